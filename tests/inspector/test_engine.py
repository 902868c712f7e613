"""Which engine judges: never one without a threshold of its own, or without proof that it judges as the reference."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from calibration.errors import RecipeError
from calibration.recipe import Recipe, activate, save_recipe
from calibration.thresholds import Thresholds
from calibration.versions import set_limits
from engines.bundle import Bundle, save_bundle
from engines.detector import Detector
from engines.errors import CertificateError, InferenceFailed, RuntimeUnavailable
from engines.runtimes.base import ENGINES
from engines.runtimes.openvino import OpenVinoRuntime
from inspector.cameras.synthetic import draw_part
from inspector.certify import keep_pictures, make_certificate, save_certificate
from inspector.config import Config, parse_config
from inspector.engine import open_engine
from inspector.errors import ConfigError
from inspector.products import Product, product

OPENVINO = "openvino:fp32"


@pytest.fixture
def ring(tmp_path: Path, tiny_bundle: Bundle, tiny_recipe: Recipe) -> Product:
    """Calibrated on OpenVINO, certified, then on the reference, from the same pictures."""
    ring = product(tmp_path, "ring")
    save_bundle(ring.bundles, tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring)
    paths = [tmp_path / f"{number}.png" for number in range(10)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), draw_part(41, number, False, 64))
    keep_pictures(ring, paths)
    ring.recipes.mkdir()
    limits = Thresholds(tiny_recipe.thresholds.review + 0.001, tiny_recipe.thresholds.reject + 0.001)
    on_openvino = save_recipe(ring.recipes, dataclasses.replace(tiny_recipe, engine=OPENVINO, thresholds=limits))
    save_certificate(ring, make_certificate(ring, on_openvino, tiny_bundle))
    save_recipe(ring.recipes, tiny_recipe)
    return ring


def site(ring: Product, *engines: str, **line: Any) -> Config:
    document = {
        "line": {"product": ring.name, "engines": list(engines), "threads": 1, **line},
        "camera": {"kind": "synthetic"},
    }
    return parse_config(document, "test")


def opened(ring: Product, *engines: str) -> tuple[str, str]:
    """Engine of the recipe, engine of the detector."""
    recipe, detectors = open_engine(site(ring, *engines), ring)
    for detector in detectors:
        detector.close()
    return recipe.engine, detectors[0].engine


def test_without_a_list_the_active_recipes_engine_judges(ring: Product) -> None:
    assert opened(ring) == ("onnxruntime", "onnxruntime")
    activate(ring.recipes, "0001")
    assert opened(ring) == (OPENVINO, OPENVINO)


def test_the_first_of_the_list_judges_with_its_own_threshold(ring: Product) -> None:
    assert opened(ring, OPENVINO, "onnxruntime") == (OPENVINO, OPENVINO)
    assert opened(ring, "onnxruntime", OPENVINO) == ("onnxruntime", "onnxruntime")
    recipe, _ = open_engine(site(ring, "openvino"), ring)
    assert recipe.thresholds.review == ring.active()[0].thresholds.review + 0.001


def test_detectors_in_flight_share_the_threads(ring: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def noted(bundle: Bundle, engine: str, threads: int, any_size: bool) -> SimpleNamespace:
        asked.append(threads)
        return SimpleNamespace(close=lambda: None)

    monkeypatch.setattr("inspector.engine.open_detector", noted)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)))
    for threads, in_flight, each in ((0, 1, 0), (0, 3, 2), (6, 2, 3), (1, 2, 1)):
        asked.clear()
        _, detectors = open_engine(site(ring, threads=threads, in_flight=in_flight), ring)
        assert asked == [each] * in_flight == [each] * len(detectors)


def test_an_engine_that_this_box_has_not_is_passed_over(ring: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise RuntimeUnavailable("not on this box")

    monkeypatch.setitem(ENGINES, OPENVINO, dataclasses.replace(ENGINES[OPENVINO], check=missing))
    assert opened(ring, OPENVINO, "onnxruntime") == ("onnxruntime", "onnxruntime")
    activate(ring.recipes, "0001")
    with pytest.raises(RuntimeUnavailable, match="not on this box"):  # no list: nobody allowed another engine
        opened(ring)


@pytest.mark.parametrize("fails_at", [1, 2])
def test_an_engine_that_fails_while_it_is_opened_is_closed_and_passed_over(
    ring: Product, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    calls, closed = [0], [0]
    warm_up, close = Detector.warm_up, OpenVinoRuntime.close

    def failing(self: Detector) -> None:
        if self.engine == OPENVINO:
            calls[0] += 1
            if calls[0] == fails_at:
                raise InferenceFailed("out of memory")
        warm_up(self)

    def counting(self: OpenVinoRuntime) -> None:
        closed[0] += 1
        close(self)

    monkeypatch.setattr(Detector, "warm_up", failing)
    monkeypatch.setattr(OpenVinoRuntime, "close", counting)
    recipe, detectors = open_engine(site(ring, OPENVINO, "onnxruntime", in_flight=2), ring)
    assert recipe.engine == "onnxruntime"
    assert [detector.engine for detector in detectors] == ["onnxruntime"] * 2
    assert closed == [fails_at]


def test_an_engine_without_a_certificate_is_passed_over(ring: Product) -> None:
    shutil.rmtree(ring.certificates)
    assert opened(ring, OPENVINO, "onnxruntime") == ("onnxruntime", "onnxruntime")
    activate(ring.recipes, "0001")
    with pytest.raises(CertificateError, match="inspector certify ring"):
        opened(ring)


def test_when_no_engine_can_be_used_each_says_why(ring: Product) -> None:
    shutil.rmtree(ring.certificates)
    with pytest.raises(ConfigError) as caught:
        opened(ring, "openvino:bf16", OPENVINO)
    said = str(caught.value)
    assert "openvino:bf16: ring has no threshold for engine openvino:bf16" in said
    assert "inspector calibrate ring --engine openvino:bf16" in said
    assert f"{OPENVINO}: ring has no certificate" in said


@pytest.mark.parametrize(
    "other",
    [
        {"bundle": "0" * 64},
        {"calibrate": ("c" * 64,)},
        {"evidence": "asked"},
        {"evidence": "confidence"},
        {"thresholds": Thresholds(1e6, 1e6, {"area": 0.5})},
        {"scoring": "zones"},
        {"scoring": "ignore"},
    ],
)
def test_a_recipe_with_another_promise_is_no_substitute(
    ring: Product, tiny_recipe: Recipe, other: dict[str, Any]
) -> None:
    if "evidence" in other:
        other = {"evidence": dataclasses.replace(tiny_recipe.evidence, **{other["evidence"]: 0.5})}
    if "scoring" in other:
        drawn = np.arange(256).reshape(16, 16) < 64
        masks: dict[str, Any] = {"zones": {"rim": drawn}, "ignore": drawn}
        masked = {other["scoring"]: masks[other["scoring"]]}
        other = {"scoring": dataclasses.replace(tiny_recipe.scoring, **masked)}
    shutil.rmtree(ring.recipes / "0001")
    save_recipe(ring.recipes, dataclasses.replace(tiny_recipe, engine=OPENVINO, **other))
    save_recipe(ring.recipes, tiny_recipe)
    with pytest.raises(RecipeError, match=f"no threshold for engine {OPENVINO}, it was calibrated on onnxruntime"):
        ring.recipe_on(OPENVINO)


def test_no_other_engine_stands_in_for_limits_that_were_set_by_hand(ring: Product, tiny_recipe: Recipe) -> None:
    limit = tiny_recipe.thresholds.review
    save_recipe(ring.recipes, set_limits(tiny_recipe, limit, None, "anna", "", "a reason"))
    with pytest.raises(RecipeError, match="no threshold for engine"):
        ring.recipe_on(OPENVINO)


def test_a_damaged_recipe_of_old_does_not_stop_the_search(ring: Product, tiny_recipe: Recipe) -> None:
    save_recipe(ring.recipes, tiny_recipe)
    (ring.recipes / "0002" / "recipe.npz").write_bytes(b"")
    assert ring.recipe_on(OPENVINO).engine == OPENVINO


def test_a_recipe_of_old_that_says_openvino_means_its_fp32(ring: Product, tiny_recipe: Recipe) -> None:
    saved = save_recipe(ring.recipes, dataclasses.replace(tiny_recipe, engine="openvino"))
    save_certificate(ring, make_certificate(ring, saved, ring.active()[1]))
    assert ring.recipe_on(OPENVINO).checksum == saved.checksum
    assert opened(ring) == ("openvino", OPENVINO)


def test_a_recipe_in_another_products_folder_is_refused(ring: Product) -> None:
    ring.folder.rename(ring.folder.with_name("bolt"))
    bolt = product(ring.folder.parents[1], "bolt")
    with pytest.raises(RecipeError, match="recipe of 'ring' in the folder of 'bolt'"):
        opened(bolt)
