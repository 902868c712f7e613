"""`inspector bundle`: out of one data directory, into another, and nothing that is not as it was made."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from engines.bundle import MODEL, Bundle, load_bundle, newest_bundle, save_bundle
from engines.bundle_archive import pack
from engines.errors import BundleError
from engines.signature import SIGNATURE
from engines.training_report import GraphCheck, TrainingReport, encode_report
from inspector.cli import app
from inspector.products import KEYS, product

Call = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path, tiny_bundle: Bundle) -> Path:
    report = encode_report(TrainingReport([], {"fp16": GraphCheck("fp32", 0.002, 0.03, 4, 25.0)}, 2))
    save_bundle(
        product(tmp_path / "home", "ring").bundles, tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring,
        fp16=b"half", report=report,
    )  # fmt: skip
    return tmp_path / "home"


@pytest.fixture
def key(tmp_path: Path) -> tuple[Path, bytes]:
    """A private key's file and the public key's bytes, made as docs/BUNDLE.md says."""
    private = tmp_path / "release.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    public = subprocess.run(["openssl", "pkey", "-in", private, "-pubout"], check=True, capture_output=True).stdout
    return private, public


def trust(data_dir: Path, public: bytes) -> None:
    (data_dir / KEYS).mkdir(parents=True)
    (data_dir / KEYS / "release.pem").write_bytes(public)


def call(*arguments: object) -> Any:
    """Run a command that succeeds; what it prints as JSON."""
    result = CliRunner().invoke(app, ["bundle", *map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_bundle_goes_to_another_box(home: Path, tmp_path: Path) -> None:
    away, file = tmp_path / "away", tmp_path / "ring.bundle"
    exported = call("export", "ring", "--out", file, "--data-dir", home)
    assert exported["bytes"] == file.stat().st_size
    assert call("verify", file, "--data-dir", away)["bundle"] == exported["bundle"]
    assert call("import", file, "--data-dir", away)["was_there"] is False
    assert call("import", file, "--data-dir", away)["was_there"] is True
    assert product(away, "ring").newest_bundle().files == product(home, "ring").newest_bundle().files


def test_inspect_tells_what_is_in_it_and_how_graphs_were_checked(home: Path) -> None:
    told = call("inspect", "ring", "--data-dir", home)
    assert set(told["files"]) == {"manifest.json", "model.onnx", "model.fp16.onnx", "scoring.npz", "training.json"}
    assert told["graphs"]["fp16"]["difference"] == 0.002
    assert told["signer"] is None
    assert call("inspect", "ring", "--bundle", told["bundle"][:6], "--data-dir", home) == told
    with pytest.raises(BundleError, match="0 bundles of ring begin with 'ffff'"):
        call("inspect", "ring", "--bundle", "ffff", "--data-dir", home)


def test_a_box_with_keys_takes_signed_bundles_only(home: Path, tmp_path: Path, key: tuple[Path, bytes]) -> None:
    private, public = key
    away, file = tmp_path / "away", tmp_path / "ring.bundle"
    trust(away, public)
    call("export", "ring", "--out", file, "--data-dir", home)
    with pytest.raises(BundleError, match="is not signed"):
        call("import", file, "--data-dir", away)
    assert tree(away) == ["keys", "keys/release.pem"]
    signed = call("sign", "ring", "--key", private, "--data-dir", home)
    call("export", "ring", "--out", file, "--data-dir", home)
    assert call("import", file, "--data-dir", away)["signer"] == signed["signer"]
    assert product(away, "ring").newest_bundle().signer == signed["signer"]


def test_a_signature_can_come_after_the_bundle(home: Path, tmp_path: Path, key: tuple[Path, bytes]) -> None:
    private, public = key
    away, file = tmp_path / "away", tmp_path / "ring.bundle"
    call("export", "ring", "--out", file, "--data-dir", home)
    call("import", file, "--data-dir", away)
    trust(away, public)
    with pytest.raises(BundleError, match="is not signed"):
        product(away, "ring").newest_bundle()
    call("sign", "ring", "--key", private, "--data-dir", home)
    call("export", "ring", "--out", file, "--data-dir", home)
    call("import", file, "--data-dir", away)
    assert product(away, "ring").newest_bundle().signer


def test_a_wrong_signature_fails_with_and_without_keys(home: Path, key: tuple[Path, bytes]) -> None:
    private, public = key
    call("sign", "ring", "--key", private, "--data-dir", home)
    path = newest_bundle(product(home, "ring").bundles) / SIGNATURE
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "signature": "0" * 128}))
    with pytest.raises(BundleError, match="wrong signature"):
        call("verify", "ring", "--data-dir", home)
    trust(home, public)
    with pytest.raises(BundleError, match="wrong signature"):
        call("verify", "ring", "--data-dir", home)
    call("sign", "ring", "--key", private, "--data-dir", home)
    assert call("verify", "ring", "--data-dir", home)["signer"] == document["key"]


def test_openssl_agrees_with_the_signature(home: Path, tmp_path: Path, key: tuple[Path, bytes]) -> None:
    private, public = key
    call("sign", "ring", "--key", private, "--data-dir", home)
    folder = newest_bundle(product(home, "ring").bundles)
    (tmp_path / "public.pem").write_bytes(public)
    (tmp_path / "raw").write_bytes(bytes.fromhex(json.loads((folder / SIGNATURE).read_text())["signature"]))
    subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", tmp_path / "public.pem", "-rawin",
         "-in", folder / "manifest.json", "-sigfile", tmp_path / "raw"],
        check=True,
    )  # fmt: skip


def test_what_was_changed_is_neither_signed_nor_exported(home: Path, tmp_path: Path, key: tuple[Path, bytes]) -> None:
    folder = newest_bundle(product(home, "ring").bundles)
    (folder / MODEL).write_bytes(b"other")
    for command in (("verify", "ring"), ("export", "ring", "--out", tmp_path / "x.bundle")):
        with pytest.raises(BundleError, match="was changed since export"):
            call(*command, "--data-dir", home)
    assert not (tmp_path / "x.bundle").exists()
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("ring", "bolt"))
    with pytest.raises(BundleError, match="must not be signed"):
        call("sign", "ring", "--key", key[0], "--data-dir", home)
    assert not (folder / SIGNATURE).exists()


@pytest.mark.parametrize("name", ["../evil", "Ring", ""])
def test_an_archive_of_a_product_that_may_not_be_named_so_leaves_nothing(
    tmp_path: Path, tiny_bundle: Bundle, name: str
) -> None:
    manifest = msgspec.structs.replace(tiny_bundle.manifest, product=name)
    made = load_bundle(save_bundle(tmp_path / "made", manifest, tiny_bundle.model, tiny_bundle.scoring))
    (tmp_path / "x.bundle").write_bytes(pack(made))
    with pytest.raises(Exception, match="product name"):
        call("import", tmp_path / "x.bundle", "--data-dir", tmp_path / "away")
    assert not (tmp_path / "away").exists()


def test_an_interrupted_import_leaves_nothing(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call("export", "ring", "--out", tmp_path / "ring.bundle", "--data-dir", home)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BundleError, match="No space left on device; free space"):
        call("import", tmp_path / "ring.bundle", "--data-dir", tmp_path / "away")
    assert tree(product(tmp_path / "away", "ring").bundles) == []
