"""Certificates of a product: made by calibrating, needed for judging, renewed from kept pictures."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import cv2
import msgspec
import pytest
from rich.console import Console

from calibration.calibrate import Contract
from calibration.recipe import Recipe, load_recipe, save_recipe
from calibration.samples import list_samples
from engines.bundle import Bundle, save_bundle
from engines.errors import CertificateError
from engines.image import Image, fingerprint, read_image
from engines.runtimes import box
from engines.runtimes.openvino import OpenVinoRuntime
from engines.scoring import Map
from inspector.cameras.synthetic import draw_part
from inspector.certify import check_certified, keep_pictures, make_certificate, save_certificate
from inspector.products import Product, product
from inspector.teaching import calibrate_on

OPENVINO = "openvino:fp32"


def parts(folder: Path, seed: int, count: int) -> list[Path]:
    folder.mkdir(parents=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:04d}.png"), draw_part(seed, number, False, 64))
    return sorted(folder.iterdir())


@pytest.fixture
def ring(tmp_path: Path, tiny_bundle: Bundle, tiny_recipe: Recipe) -> Product:
    """Calibrated on the reference; pictures were kept when it was taught."""
    ring = product(tmp_path, "ring")
    save_bundle(ring.bundles, tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring)
    ring.recipes.mkdir()
    save_recipe(ring.recipes, tiny_recipe)
    keep_pictures(ring, parts(tmp_path / "select", 31, 20))
    return ring


def calibrate(ring: Product, folder: Path, engine: str = OPENVINO) -> Recipe:
    return calibrate_on(ring, list_samples(folder), engine, Contract(0.2), Console(file=io.StringIO())).recipe


def test_calibrating_on_another_engine_certifies_it(ring: Product, tmp_path: Path) -> None:
    parts(tmp_path / "good", 32, 20)
    recipe = calibrate(ring, tmp_path / "good")
    certificate = check_certified(ring, recipe)
    assert certificate is not None
    assert (certificate.engine, certificate.good) == (OPENVINO, 20)
    assert certificate.threshold == recipe.thresholds.review
    assert load_recipe(ring.recipes).checksum == recipe.checksum


def test_the_reference_needs_no_certificate(ring: Product) -> None:
    assert check_certified(ring, load_recipe(ring.recipes)) is None
    with pytest.raises(CertificateError, match="is the reference itself"):
        make_certificate(ring, *ring.active())


def test_an_engine_that_judges_otherwise_is_never_activated(
    ring: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer = OpenVinoRuntime.infer

    def upside_down(self: OpenVinoRuntime, picture: Image) -> tuple[Map, ...]:
        return tuple(level[::-1].copy() for level in infer(self, picture))

    monkeypatch.setattr(OpenVinoRuntime, "infer", upside_down)
    parts(tmp_path / "good", 32, 20)
    before = load_recipe(ring.recipes).checksum
    with pytest.raises(CertificateError, match=r"does not judge ring as onnxruntime does.*Nothing was changed"):
        calibrate(ring, tmp_path / "good")
    assert load_recipe(ring.recipes).checksum == before


def test_without_a_picture_to_compare_on_nothing_is_activated(ring: Product, tmp_path: Path) -> None:
    keep_pictures(ring, [])
    parts(tmp_path / "good", 32, 20)
    with pytest.raises(CertificateError, match="needs 8 good parts that did not set the threshold, there are 0"):
        calibrate(ring, tmp_path / "good")
    assert load_recipe(ring.recipes).engine == "onnxruntime"


def test_a_missing_or_damaged_certificate_says_how_to_make_it(ring: Product, tmp_path: Path) -> None:
    parts(tmp_path / "good", 32, 20)
    recipe = calibrate(ring, tmp_path / "good")
    (path,) = ring.certificates.glob("*.json")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CertificateError, match=f"is no certificate.*inspector certify ring --engine {OPENVINO}"):
        check_certified(ring, recipe)
    path.unlink()
    with pytest.raises(CertificateError, match=f"has no certificate of {OPENVINO}.*inspector certify ring"):
        check_certified(ring, recipe)


def test_another_processor_asks_for_a_new_certificate_which_the_kept_pictures_give(
    ring: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts(tmp_path / "good", 32, 20)
    recipe = calibrate(ring, tmp_path / "good")
    monkeypatch.setattr(box, "processor", lambda: "another")
    with pytest.raises(CertificateError, match="is stale: processor is 'another'"):
        check_certified(ring, recipe)
    save_certificate(ring, make_certificate(ring, *ring.active()))
    assert check_certified(ring, recipe) is not None


def test_pictures_that_set_the_threshold_do_not_certify_it(ring: Product, tmp_path: Path) -> None:
    kept = sorted((ring.certificates / "pictures").iterdir())
    recipe, bundle = ring.active()
    prints = tuple(fingerprint(read_image(path)) for path in kept[:5])
    used = dataclasses.replace(recipe, engine=OPENVINO, calibrate=prints)
    more = parts(tmp_path / "more", 33, 6)
    assert make_certificate(ring, used, bundle, [*more, *kept]).good == 15 + 6


def test_kept_pictures_are_a_few_and_those_of_the_last_training(ring: Product, tmp_path: Path) -> None:
    keep_pictures(ring, parts(tmp_path / "other", 34, 50))
    kept = list((ring.certificates / "pictures").iterdir())
    assert len(kept) == 32
    others = {path.read_bytes() for path in (tmp_path / "other").iterdir()}
    assert {path.read_bytes() for path in kept} < others


def test_a_warm_product_is_opened_anew_once_its_certificate_is_another(ring: Product, tmp_path: Path) -> None:
    """Else one that was refused after it was warmed would be put in force by what held then."""
    parts(tmp_path / "good", 32, 20)
    recipe = calibrate(ring, tmp_path / "good")
    certificate = check_certified(ring, recipe)
    assert certificate is not None
    marks = [ring.mark()]
    save_certificate(ring, msgspec.structs.replace(certificate, refusals=["it differs"]))
    marks.append(ring.mark())
    next(ring.certificates.glob("*.json")).unlink()
    marks.append(ring.mark())
    assert len({*marks}) == 3


@pytest.mark.parametrize("change", [{"refusals": []}, {"flips": 0}, {"format": 1}, {"checksum": ""}])
def test_a_certificate_that_somebody_edited_is_none(ring: Product, tmp_path: Path, change: dict[str, object]) -> None:
    parts(tmp_path / "good", 32, 20)
    recipe = calibrate(ring, tmp_path / "good")
    made = check_certified(ring, recipe)
    assert made is not None
    save_certificate(ring, msgspec.structs.replace(made, flips=2, refusals=["2 verdicts differ"]))
    (path,) = ring.certificates.glob("*.json")
    path.write_bytes(msgspec.json.encode({**msgspec.json.decode(path.read_bytes()), **change}))
    with pytest.raises(CertificateError, match=r"was changed since it was made|is stale: format is 2, was 1"):
        check_certified(ring, recipe)
