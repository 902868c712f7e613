"""Good parts to a recipe. What is refused or named: tests/inspector/test_calibrate_bad_input.py."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from calibration.calibrate import Contract, calibrate
from calibration.samples import Sample, list_samples
from engines.bundle import Bundle
from engines.detector import Detector, open_detector
from engines.image import Locate, fingerprint, read_image
from engines.locate import cut_template
from inspector.cameras.synthetic import draw_part

ASKED = Contract(0.2)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    for number in range(20):
        cv2.imwrite(str(tmp_path / f"{number:02d}.png"), draw_part(3, number, False, 64))
    return list_samples(tmp_path)


def detector_that_saw(bundle: Bundle, samples: list[Sample]) -> Detector:
    prints = [fingerprint(read_image(sample.path)) for sample in samples]
    manifest = msgspec.structs.replace(bundle.manifest, fit=prints[::2], select=prints[1::2])
    return open_detector(dataclasses.replace(bundle, manifest=manifest), "onnxruntime", 1)


def test_the_recipe_names_bundle_engine_and_pictures(tiny_bundle: Bundle, samples: list[Sample]) -> None:
    made = calibrate("ring", samples, open_detector(tiny_bundle, "onnxruntime", 1), ASKED)
    assert (made.recipe.bundle, made.recipe.engine) == (tiny_bundle.id, "onnxruntime")
    assert len(made.recipe.calibrate) == len(made.recipe.scores) == 20
    assert list(made.recipe.scores) == sorted(made.recipe.scores)


def test_pictures_that_trained_the_network_are_refused_by_name(tiny_bundle: Bundle, samples: list[Sample]) -> None:
    made = calibrate("ring", samples, detector_that_saw(tiny_bundle, samples[:5]), ASKED)
    assert list(made.refused) == samples[:5]
    assert made.recipe.evidence.parts == 15


def test_a_picture_that_comes_twice_counts_once(tiny_bundle: Bundle, samples: list[Sample]) -> None:
    made = calibrate("ring", [*samples, *samples[:3]], open_detector(tiny_bundle, "onnxruntime", 1), ASKED)
    assert made.recipe.evidence.pictures == 20
    assert len(made.refused) == 3


def locating(bundle: Bundle) -> Bundle:
    """The same bundle, for parts that are located as they lie in part 0."""
    template, box = cut_template(draw_part(3, 0, False, 64), None)
    spec = msgspec.structs.replace(bundle.manifest.input, region=box, locate=Locate(box, 0.5))
    return dataclasses.replace(
        bundle, manifest=msgspec.structs.replace(bundle.manifest, input=spec), template=template
    )  # fmt: skip


def test_a_good_part_that_is_not_found_counts_as_rejected_and_is_named(
    tiny_bundle: Bundle, samples: list[Sample]
) -> None:
    cv2.imwrite(str(samples[3].path), np.full((64, 64, 3), 38, np.uint8))
    made = calibrate("ring", samples, open_detector(locating(tiny_bundle), "onnxruntime", 1), Contract(0.3))
    assert made.recipe.scores[-1] == np.inf
    assert made.recipe.evidence.missing == 1
    assert np.isfinite(made.recipe.thresholds.reject)
    assert [made.samples[d.index].path.name for d in made.doubts if d.kind == "not_found"] == ["03.png"]


def test_the_picture_that_parts_are_located_by_is_refused(tiny_bundle: Bundle, samples: list[Sample]) -> None:
    made = calibrate("ring", samples, open_detector(locating(tiny_bundle), "onnxruntime", 1), Contract(0.3))
    assert [sample.path.name for sample in made.refused] == ["00.png"]


def test_another_picture_of_a_taught_part_is_refused(tiny_bundle: Bundle, samples: list[Sample]) -> None:
    of_one_part = [*(dataclasses.replace(sample, part="seven") for sample in samples[:3]), *samples[3:]]
    made = calibrate("ring", of_one_part, detector_that_saw(tiny_bundle, samples[:1]), ASKED)
    assert list(made.refused) == of_one_part[:3]


def test_sessions_are_what_counts_and_the_parts_stand_beside(tiny_bundle: Bundle, samples: list[Sample]) -> None:
    by_day = [dataclasses.replace(sample, session=str(number % 2)) for number, sample in enumerate(samples)]
    detector = open_detector(tiny_bundle, "onnxruntime", 1)
    evidence = calibrate("ring", by_day, detector, ASKED).recipe.evidence
    assert (evidence.parts, evidence.unit, evidence.sessions) == (2, "session", 2)
    assert evidence.within == pytest.approx(1 - 0.05 ** (1 / 20))
    assert "as long as parts look like those of these 2 sessions" in evidence.sentence()
    assert evidence.left_out is not None
    evidence = calibrate("ring", by_day, detector, Contract(0.2, independent="part")).recipe.evidence
    assert (evidence.parts, evidence.unit, evidence.sessions, evidence.within) == (20, "part", 2, None)
    assert evidence.promise().startswith("At most 1 in 7 good parts will be rejected, with 95% confidence, as long as")
    assert evidence.promise().endswith("those of these 2 sessions.")
