"""Bundles: whole, verified, or refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from engines.bundle import MANIFEST, MODEL, SCORING, Bundle, find_bundle, load_bundle, newest_bundle, save_bundle
from engines.errors import BundleError


@pytest.fixture
def folder(tmp_path: Path, tiny_bundle_dir: Path) -> Path:
    source = newest_bundle(tiny_bundle_dir)
    return Path(shutil.copytree(source, tmp_path / "bundles" / source.name))


def test_a_saved_bundle_loads_and_is_found_by_its_id(folder: Path, tiny_bundle: Bundle) -> None:
    assert load_bundle(folder).id == tiny_bundle.id
    assert find_bundle(folder.parent, tiny_bundle.id).id == tiny_bundle.id


@pytest.mark.parametrize("name", [MODEL, SCORING])
@pytest.mark.parametrize("place", [0, 0.5, 0.999])
def test_a_flipped_byte_is_refused(folder: Path, name: str, place: float) -> None:
    data = bytearray((folder / name).read_bytes())
    data[int(place * len(data))] ^= 0xFF
    (folder / name).write_bytes(data)
    with pytest.raises(BundleError, match="was changed since export"):
        load_bundle(folder)


@pytest.mark.parametrize("name", [MODEL, SCORING, MANIFEST])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=name):
        load_bundle(folder)


def test_an_edited_manifest_is_another_bundle(folder: Path, tiny_bundle: Bundle) -> None:
    document = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**document, "product": "other"}))
    with pytest.raises(BundleError, match="was changed since export"):
        find_bundle(folder.parent, tiny_bundle.id)


@pytest.mark.parametrize("change", [{"format": 99}, {"extra": 1}, {"files": {"../evil": "0"}}, {"levels": "none"}])
def test_a_manifest_of_another_kind_is_refused(folder: Path, change: dict[str, object]) -> None:
    document = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**document, **change}))
    with pytest.raises(BundleError):
        load_bundle(folder)


def test_an_interrupted_save_leaves_nothing(
    tmp_path: Path, tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_bundle(tmp_path / "new", tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_product_without_a_bundle_says_to_train_it(tmp_path: Path) -> None:
    (tmp_path / ".draft-x").mkdir()
    with pytest.raises(BundleError, match="train the product first"):
        newest_bundle(tmp_path)
