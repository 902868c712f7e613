"""A frame in, raw maps out."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest

from engines.bundle import Bundle
from engines.detector import open_detector
from engines.errors import EngineError, ImageError


def test_a_frame_of_the_taught_size_gives_maps_and_times(tiny_bundle: Bundle) -> None:
    detector = open_detector(tiny_bundle, "onnxruntime", 1)
    anomaly = detector.detect(np.zeros((64, 64, 3), np.uint8))
    detector.close()
    assert [level.shape for level in anomaly.maps] == [(16, 16), (8, 8), (4, 4)]
    assert anomaly.infer_ms > 0


def test_a_frame_of_another_size_is_refused_unless_sizes_may_vary(tiny_bundle: Bundle) -> None:
    frame = np.zeros((80, 70, 3), np.uint8)
    with pytest.raises(ImageError, match=r"taught with \(64, 64\)"):
        open_detector(tiny_bundle, "onnxruntime", 1).detect(frame)
    assert open_detector(tiny_bundle, "onnxruntime", 1, any_size=True).detect(frame).maps


def test_maps_that_the_manifest_does_not_announce_are_refused(tiny_bundle: Bundle) -> None:
    manifest = msgspec.structs.replace(tiny_bundle.manifest, levels=[(9, 9)])
    detector = open_detector(dataclasses.replace(tiny_bundle, manifest=manifest), "onnxruntime", 1)
    with pytest.raises(EngineError, match="manifest says"):
        detector.detect(np.zeros((64, 64, 3), np.uint8))
