"""An engine held against the reference: what is measured, what is refused, and when it no longer holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import cast

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.recipe import Recipe
from engines.bundle import Bundle
from engines.certificate import Certificate, Judgement, Seen, certify, check, correlation, refusals, summarise
from engines.detector import Anomaly, Detector, open_detector
from engines.errors import CertificateError
from engines.image import Image
from engines.runtimes import box
from engines.runtimes.base import Runtime
from engines.scoring import Map
from inspector.cameras.synthetic import draw_part

Change = Callable[[Map], Map]
NO_RUNTIME = cast(Runtime, None)  # `summarise` asks a detector for its names only
NO_DIFFERENCE = np.zeros(1, np.float32)


class Changed(Detector):
    """The reference, with something done to every map."""

    def __init__(self, bundle: Bundle, change: Change) -> None:
        inner = open_detector(bundle, "onnxruntime", 1)
        super().__init__(bundle, inner._runtime, "openvino:fp32")
        self._change = change

    def detect(self, image: Image) -> Anomaly:
        seen = super().detect(image)
        return dataclasses.replace(seen, maps=tuple(self._change(level) for level in seen.maps))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("good")
    paths = [folder / f"{number:02d}.png" for number in range(12)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), draw_part(21, number, False, 64))
    return paths


@pytest.fixture
def judgement(tiny_recipe: Recipe) -> Judgement:
    return Judgement(tiny_recipe.checksum, tiny_recipe.scoring, tiny_recipe.thresholds.review)


@pytest.fixture
def reference(tiny_bundle: Bundle) -> Detector:
    return open_detector(tiny_bundle, "onnxruntime", 1)


def test_openvino_in_fp32_judges_as_the_reference_does(
    tiny_bundle: Bundle, reference: Detector, judgement: Judgement, good: list[Path]
) -> None:
    made = certify(reference, open_detector(tiny_bundle, "openvino:fp32", 1), judgement, good)
    assert made.refusals == []
    assert (made.engine, made.reference, made.good, made.flips) == ("openvino:fp32", "onnxruntime", 12, 0)
    assert 8 < made.painted <= 12
    assert made.map_correlation > 1 - 1e-6
    assert 0 <= made.score_difference.p99 <= made.score_difference.largest < 1e-3
    assert made.band[0] <= made.threshold <= made.band[1]
    check(made, "openvino:fp32", tiny_bundle.id, judgement.recipe)


def test_the_same_pictures_give_the_same_figures(
    tiny_bundle: Bundle, reference: Detector, judgement: Judgement, good: list[Path]
) -> None:
    candidate = Changed(tiny_bundle, lambda level: level * np.float32(1.001))
    first, second = (certify(reference, candidate, judgement, good) for _ in range(2))
    assert first == msgspec.structs.replace(second, created=first.created)
    assert first.map_difference.largest > 0


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda level: level[::-1].copy(), "maps correlate by"),
        (lambda level: np.round(level / 30) * np.float32(30), "correlate"),
        (lambda level: level * np.float32(1.3), "of good parts lie in the margin band"),
    ],
)
def test_an_engine_that_computes_something_else_is_refused(
    tiny_bundle: Bundle, reference: Detector, judgement: Judgement, good: list[Path], change: Change, complaint: str
) -> None:
    made = certify(reference, Changed(tiny_bundle, change), judgement, good)
    assert complaint in "; ".join(made.refusals)
    with pytest.raises(CertificateError, match=r"does not judge as onnxruntime.*" + complaint):
        check(made, "openvino:fp32", tiny_bundle.id, judgement.recipe)


def test_a_map_that_is_not_finite_gives_no_certificate(
    tiny_bundle: Bundle, reference: Detector, judgement: Judgement, good: list[Path]
) -> None:
    with pytest.raises(CertificateError, match="not finite"):
        certify(reference, Changed(tiny_bundle, lambda level: level * np.float32("nan")), judgement, good)


def test_too_few_pictures_say_how_many_are_needed(
    tiny_bundle: Bundle, reference: Detector, judgement: Judgement, good: list[Path]
) -> None:
    with pytest.raises(CertificateError, match=r"needs 8 good parts .* there are 7"):
        certify(reference, Changed(tiny_bundle, np.copy), judgement, good[:7])


def summary(tiny_bundle: Bundle, recipe: Recipe, pairs: list[tuple[float, float]], threshold: float) -> Certificate:
    detector = Detector(tiny_bundle, NO_RUNTIME, "openvino:fp32")
    seen = [Seen(False, NO_DIFFERENCE, 1.0, (first,), (second,)) for first, second in pairs]
    return summarise(seen, detector, detector, Judgement("r", recipe.scoring, threshold))


def test_a_flip_outside_the_other_halfs_band_is_refused_and_one_inside_is_counted(
    tiny_bundle: Bundle, tiny_recipe: Recipe
) -> None:
    alike = [(1.0, 1.0)] * 8
    lone = summary(tiny_bundle, tiny_recipe, [*alike, (1.9, 2.5)], threshold=2.0)  # nothing of the other half moved
    assert (lone.flips, lone.flips_in_band) == (1, 0)
    assert any("outside the margin band" in sentence for sentence in lone.refusals)
    common = summary(tiny_bundle, tiny_recipe, [*alike, (1.9, 2.5), (0.0, 0.6)], threshold=2.0)
    assert (common.flips, common.flips_in_band) == (0, 1)
    assert common.band == pytest.approx((1.4, 2.6))
    assert common.in_band == 0.1


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-1, 1)), min_size=8, max_size=24), st.floats(-9, 9))
def test_beyond_the_band_both_engines_give_one_verdict(
    tiny_bundle: Bundle, tiny_recipe: Recipe, drawn: list[tuple[float, float]], threshold: float
) -> None:
    pairs = [(value, value + gap) for value, gap in drawn]
    made = summary(tiny_bundle, tiny_recipe, pairs, threshold)
    for first, second in pairs:
        if not made.band[0] - 1e-9 <= second <= made.band[1] + 1e-9:
            assert (first <= threshold) == (second <= threshold)
    flips = sum((first <= threshold) != (second <= threshold) for first, second in pairs)
    assert made.flips + made.flips_in_band == flips


@pytest.mark.parametrize("key", ["engine", "bundle", "recipe", "openvino", "processor"])
def test_a_certificate_of_something_else_is_stale_and_says_of_what(
    tiny_bundle: Bundle, tiny_recipe: Recipe, key: str
) -> None:
    made = summary(tiny_bundle, tiny_recipe, [(0.0, 0.0)] * 8, 1.0)
    check(made, "openvino:fp32", tiny_bundle.id, "r")
    other = {"box": {**made.box, key: "another"}} if key in made.box else {key: "another"}
    with pytest.raises(CertificateError, match=rf"is stale: {key} is .*, was 'another'"):
        check(msgspec.structs.replace(made, **other), "openvino:fp32", tiny_bundle.id, "r")


@pytest.mark.parametrize("over", [{"flips": 1}, {"in_band": 0.06}, {"map_correlation": 0.99}])
def test_figures_over_todays_limits_refuse_whatever_was_refused_then(
    tiny_bundle: Bundle, tiny_recipe: Recipe, over: dict[str, float]
) -> None:
    made = msgspec.structs.replace(summary(tiny_bundle, tiny_recipe, [(0.0, 0.0)] * 8, 1.0), **over)
    assert made.refusals == []
    with pytest.raises(CertificateError, match="does not judge as"):
        check(made, "openvino:fp32", tiny_bundle.id, "r")


def test_a_flat_map_correlates_with_itself_only() -> None:
    flat, slope = np.zeros((4, 4), np.float32), np.arange(16, dtype=np.float32).reshape(4, 4)
    assert correlation(flat, flat) == 1
    assert correlation(flat, slope) == correlation(slope, flat) == 0
    assert correlation(slope, slope) == pytest.approx(1)


def test_limits_are_kept_up_to_their_value() -> None:
    assert refusals(lowest=0.999, in_band=0.05, flips=0) == []
    assert len(refusals(lowest=0.998, in_band=0.051, flips=1)) == 3


def test_a_box_is_known_by_its_libraries_and_processor() -> None:
    assert box.box("onnxruntime").keys() == {"onnxruntime", "processor"}
    facts = box.box("openvino")
    assert facts.keys() == {"onnxruntime", "openvino", "processor"}
    assert all(facts.values())
    assert box.version("no-such-package") == ""


def test_a_verdict_that_only_a_zone_changes_is_a_flip(tiny_bundle: Bundle, tiny_recipe: Recipe) -> None:
    detector = Detector(tiny_bundle, NO_RUNTIME, "openvino:fp32")
    pairs = [((1.0, 1.0), (1.0, 1.0))] * 8 + [((1.0, 1.0), (1.0, 3.0)), ((5.0, 1.0), (5.0, 3.0))]
    seen = [Seen(False, NO_DIFFERENCE, 1.0, *pair) for pair in pairs[:9]]
    judged = Judgement("r", tiny_recipe.scoring, 2.0, {"zone:rim": 2.0})
    made = summarise(seen, detector, detector, judged)
    assert (made.flips, made.band, made.rule_bands) == (1, (2.0, 2.0), {"zone:rim": (0.0, 4.0)})
    assert summarise(seen, detector, detector, Judgement("r", tiny_recipe.scoring, 2.0, {"zone:rim": 4.0})).flips == 0
    # A part that the score rejects on both engines has one verdict, whatever its zone says.
    rejected = [*seen[:8], Seen(False, NO_DIFFERENCE, 1.0, *pairs[9])]
    assert summarise(rejected, detector, detector, judged).flips == 0
