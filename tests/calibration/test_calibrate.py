"""Good parts to a recipe."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from calibration.calibrate import calibrate
from calibration.errors import SampleError
from calibration.samples import Sample, list_samples
from engines.bundle import Bundle
from engines.detector import Detector, open_detector
from engines.errors import ImageError, PartNotFound
from engines.image import Locate, fingerprint, read_image
from engines.locate import cut_template
from inspector.cameras.synthetic import draw_part


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
    made = calibrate("ring", samples, open_detector(tiny_bundle, "onnxruntime", 1), 0.2, 0.95)
    assert (made.recipe.bundle, made.recipe.engine) == (tiny_bundle.id, "onnxruntime")
    assert len(made.recipe.calibrate) == len(made.recipe.scores) == 20
    assert list(made.recipe.scores) == sorted(made.recipe.scores)


def test_pictures_that_trained_the_network_are_refused_by_name(tiny_bundle: Bundle, samples: list[Sample]) -> None:
    made = calibrate("ring", samples, detector_that_saw(tiny_bundle, samples[:5]), 0.2, 0.95)
    assert list(made.refused) == samples[:5]
    assert made.recipe.evidence.parts == 15


def test_no_picture_left_is_an_error(tiny_bundle: Bundle, samples: list[Sample]) -> None:
    with pytest.raises(SampleError, match="all 20 pictures were refused"):
        calibrate("ring", samples, detector_that_saw(tiny_bundle, samples), 0.2, 0.95)


def test_a_picture_that_comes_twice_counts_once(tiny_bundle: Bundle, samples: list[Sample]) -> None:
    made = calibrate("ring", [*samples, *samples[:3]], open_detector(tiny_bundle, "onnxruntime", 1), 0.2, 0.95)
    assert made.recipe.evidence.pictures == 20
    assert len(made.refused) == 3


def test_a_picture_of_another_size_is_named(tiny_bundle: Bundle, samples: list[Sample]) -> None:
    cv2.imwrite(str(samples[3].path), draw_part(3, 3, False, 80))
    with pytest.raises(ImageError, match=r"03\.png: frame of \(80, 80\) px"):
        calibrate("ring", samples, open_detector(tiny_bundle, "onnxruntime", 1), 0.2, 0.95)


def test_a_picture_without_the_part_is_named(tiny_bundle: Bundle, samples: list[Sample]) -> None:
    template, box = cut_template(draw_part(3, 0, False, 64), None)
    spec = msgspec.structs.replace(tiny_bundle.manifest.input, region=box, locate=Locate(box, 0.5))
    manifest = msgspec.structs.replace(tiny_bundle.manifest, input=spec)
    bundle = dataclasses.replace(tiny_bundle, manifest=manifest, template=template)
    cv2.imwrite(str(samples[3].path), np.full((64, 64, 3), 38, np.uint8))
    with pytest.raises(PartNotFound, match=r"03\.png: the likeness"):
        calibrate("ring", samples, open_detector(bundle, "onnxruntime", 1), 0.2, 0.95)


def test_an_unreadable_picture_is_named(tiny_bundle: Bundle, samples: list[Sample]) -> None:
    samples[3].path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"03\.png"):
        calibrate("ring", samples, open_detector(tiny_bundle, "onnxruntime", 1), 0.2, 0.95)
