"""Bundles: whole, verified, or refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest

from engines.bundle import (
    MANIFEST,
    MODEL,
    REPORT,
    SCORING,
    TEMPLATE,
    Bundle,
    find_bundle,
    load_bundle,
    newest_bundle,
    save_bundle,
)
from engines.errors import BundleError
from engines.image import InputSpec, Locate, Tiling
from engines.training_report import TrainingReport, decode_report, encode_report


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


def save_with(parent: Path, bundle: Bundle, template: bool = False, **changes: object) -> Path:
    spec = msgspec.structs.replace(bundle.manifest.input, **changes)
    manifest = msgspec.structs.replace(bundle.manifest, input=spec)
    picture = np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8) if template else None
    return save_bundle(parent, manifest, bundle.model, bundle.scoring, picture)


LOCATE = Locate((1, 2, 40, 30), 0.5)
TILING = Tiling((96, 64), (0, 32), (0,))


def test_everything_before_the_network_is_stated_and_comes_back(tmp_path: Path, tiny_bundle: Bundle) -> None:
    folder = save_with(
        tmp_path, tiny_bundle, True, region=(1, 2, 40, 30), fit="letterbox", tiling=TILING, locate=LOCATE
    )
    bundle = load_bundle(folder)
    assert bundle.manifest.input == InputSpec(
        64, 64, (64, 64), (1, 2, 40, 30), "letterbox", tiling=TILING, locate=LOCATE
    )
    assert bundle.template is not None
    assert (bundle.template == np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8)).all()
    data = bytearray((folder / TEMPLATE).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / TEMPLATE).write_bytes(data)
    with pytest.raises(BundleError, match="was changed since export"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("template", "changes"),
    [(False, {"locate": LOCATE}), (True, {}), (False, {"tiling": Tiling((128, 64), (0, 32), (0,))})],
    ids=["no template", "a template for nothing", "tiles with a gap"],
)
def test_a_manifest_that_contradicts_itself_is_refused(
    tmp_path: Path, tiny_bundle: Bundle, template: bool, changes: dict[str, object]
) -> None:
    with pytest.raises(BundleError, match=r"lists|cover"):
        load_bundle(save_with(tmp_path, tiny_bundle, template, **changes))


def test_an_input_with_something_unknown_is_refused(folder: Path) -> None:
    document = json.loads((folder / MANIFEST).read_text())
    document["input"]["mirror"] = True
    (folder / MANIFEST).write_text(json.dumps(document))
    with pytest.raises(BundleError, match="mirror"):
        load_bundle(folder)


def test_graphs_of_other_precisions_and_the_report_come_back(tmp_path: Path, tiny_bundle: Bundle) -> None:
    report = encode_report(TrainingReport([(1, 2.0, None)], {}, 2))
    folder = save_bundle(
        tmp_path, tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring, fp16=b"half", report=report
    )
    bundle = load_bundle(folder)
    assert (bundle.graph("fp32"), bundle.graph("fp16")) == (tiny_bundle.model, b"half")
    assert decode_report(bundle.files[REPORT]).curve == [(1, 2.0, None)]
    with pytest.raises(BundleError, match=r"no model.int8.onnx, only model.fp16.onnx, model.onnx"):
        bundle.graph("int8")


def as_format(folder: Path, number: int) -> Path:
    document = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**document, "format": number}))
    return folder


def test_a_bundle_of_format_2_is_still_read(folder: Path, tiny_bundle: Bundle) -> None:
    old = load_bundle(as_format(folder, 2))
    assert old.model == tiny_bundle.model
    with pytest.raises(BundleError, match="train the product again"):
        old.graph("fp16")


def test_format_2_has_no_other_graphs(tmp_path: Path, tiny_bundle: Bundle) -> None:
    folder = save_bundle(tmp_path, tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring, fp16=b"half")
    with pytest.raises(BundleError, match="may have nothing more"):
        load_bundle(as_format(folder, 2))


def test_an_unknown_format_is_named_whatever_else_it_holds(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"format": 99, "graphs": ["a"]}')
    with pytest.raises(BundleError, match="bundle format 99, this program reads 2 and 3"):
        load_bundle(folder)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_graph_that_takes_weights_from_outside_the_bundle_is_refused(
    tmp_path: Path, tiny_bundle: Bundle, precision: str
) -> None:
    """Runtimes would read them from where the line was started, under the bundle's own id."""
    graph = onnx.load_from_string(tiny_bundle.model)
    outside = next(tensor for tensor in graph.graph.initializer if tensor.name == "metal")
    outside.raw_data = b""
    onnx.external_data_helper.set_external_data(outside, location="weights.bin")
    outside.data_location = onnx.TensorProto.EXTERNAL
    graphs = {"model": tiny_bundle.model, ("model" if precision == "fp32" else precision): graph.SerializeToString()}
    folder = save_bundle(tmp_path, tiny_bundle.manifest, scoring=tiny_bundle.scoring, **graphs)
    with pytest.raises(BundleError, match=r"onnx takes weights from outside the bundle"):
        load_bundle(folder)
