"""A frame in, raw maps out."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest

from engines.bundle import Bundle
from engines.detector import open_detector
from engines.errors import EngineError, ImageError, PartNotFound
from engines.image import Locate, Tiling
from engines.locate import cut_template
from inspector.cameras.synthetic import draw_part


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


def test_tiles_are_looked_at_one_by_one_and_come_back_as_one_map(tiny_bundle: Bundle) -> None:
    """The tiny model averages over squares, so what it says of a position does not depend on the tile."""
    tiling = Tiling((96, 128), (0, 32), (0, 32, 64))
    spec = msgspec.structs.replace(tiny_bundle.manifest.input, frame_size=(96, 128), tiling=tiling)
    manifest = msgspec.structs.replace(tiny_bundle.manifest, input=spec, levels=[(32, 24), (16, 12), (8, 6)])
    detector = open_detector(dataclasses.replace(tiny_bundle, manifest=manifest), "onnxruntime", 1)
    frame = np.random.default_rng(0).integers(0, 256, (128, 96, 3), np.uint8)
    seen = detector.detect(frame).maps
    distance = np.abs(frame.astype(np.float32).mean(2) - 150)
    for level, stride in zip(seen, (4, 8, 16)):
        expected = distance.reshape(128 // stride, stride, 96 // stride, stride).mean((1, 3))
        np.testing.assert_allclose(level, expected, rtol=1e-4)


def test_a_located_part_is_seen_alike_wherever_it_lies_and_its_absence_is_named(tiny_bundle: Bundle) -> None:
    template, box = cut_template(draw_part(3, 0, False, 240), None)
    locate = Locate(box, 0.5)
    spec = msgspec.structs.replace(tiny_bundle.manifest.input, frame_size=(320, 320), region=box, locate=locate)
    manifest = msgspec.structs.replace(tiny_bundle.manifest, input=spec)
    bundle = dataclasses.replace(tiny_bundle, manifest=manifest, template=template)
    detector = open_detector(bundle, "onnxruntime", 1)
    frames = [np.full((320, 320, 3), 38, np.uint8) for _ in range(2)]
    frames[0][10:250, 10:250] = draw_part(3, 0, False, 240)
    frames[1][70:310, 60:300] = np.rot90(draw_part(3, 0, False, 240))
    here, there = (detector.detect(frame).maps[0] for frame in frames)
    assert np.abs(here - there).mean() < 2
    pose = detector.find(frames[1])
    assert pose is not None
    assert abs(pose.angle_deg + 90) < 0.5
    assert open_detector(tiny_bundle, "onnxruntime", 1).find(frames[1]) is None
    with pytest.raises(PartNotFound):
        detector.detect(np.full((320, 320, 3), 38, np.uint8))
    with pytest.raises(ImageError, match="template is missing"):
        open_detector(dataclasses.replace(bundle, template=None), "onnxruntime", 1)
