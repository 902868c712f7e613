"""Facts of frames: each change shows in its own series."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from calibration.frames import FrameGauge, find_reference, glimpse, learn_frames
from engines.image import Image
from inspector.cameras.synthetic import draw_part


@pytest.fixture(scope="module")
def parts() -> list[Image]:
    return [draw_part(1, number, False, 320) for number in range(12)]


@pytest.fixture(scope="module")
def gauge(parts: list[Image]) -> FrameGauge:
    return FrameGauge(find_reference([glimpse(part).small for part in parts]))


@pytest.mark.parametrize(("across", "down"), [(2, 0), (0, -2), (-1, 1)])
def test_a_shift_is_measured_in_shares_of_the_frame(
    parts: list[Image], gauge: FrameGauge, across: int, down: int
) -> None:
    shift = np.array([[1, 0, across], [0, 1, down]], np.float32)
    for part in parts[:4]:
        moved = np.asarray(cv2.warpAffine(part, shift, (320, 320), borderMode=cv2.BORDER_REPLICATE), np.uint8)
        before, after = gauge.measure(part), gauge.measure(moved)
        assert (after.x - before.x) * 320 == pytest.approx(across, abs=0.3)
        assert (after.y - before.y) * 320 == pytest.approx(down, abs=0.3)


def test_a_darker_frame_is_as_sharp_and_lies_as_it_lay(parts: list[Image], gauge: FrameGauge) -> None:
    before, after = gauge.measure(parts[0]), gauge.measure(np.asarray(np.round(parts[0] * 0.9), np.uint8))
    assert after.brightness / before.brightness == pytest.approx(0.9, abs=0.01)
    assert after.focus == pytest.approx(before.focus, abs=0.1)
    assert after.x == pytest.approx(before.x, abs=1e-3)


def test_a_frame_out_of_focus_shows_and_is_as_bright(parts: list[Image], gauge: FrameGauge) -> None:
    blurred = np.asarray(cv2.GaussianBlur(parts[0], (0, 0), 1.0), np.uint8)
    before, after = gauge.measure(parts[0]), gauge.measure(blurred)
    assert after.focus < before.focus - 1
    assert after.brightness == pytest.approx(before.brightness, abs=0.3)


def test_a_large_frame_and_a_flat_one_are_measured(gauge: FrameGauge) -> None:
    for shape in ((1200, 1600, 3), (40, 700, 3)):
        assert gauge.measure(np.zeros(shape, np.uint8)).brightness == 0
    flat = FrameGauge(np.zeros((96, 96), np.float32)).measure(np.full((64, 64, 3), 9, np.uint8))
    assert np.isfinite([flat.brightness, flat.focus, flat.x, flat.y]).all()


def test_the_frames_of_calibration_are_measured_as_running_ones_are(parts: list[Image]) -> None:
    frames = learn_frames([glimpse(part) for part in parts])
    gauge = FrameGauge(frames.reference)
    assert frames.values.shape == (12, 4)
    for part, row in zip(parts, frames.values):
        assert dataclasses.astuple(gauge.measure(part)) == tuple(row)
    assert np.abs(frames.values[:, 2:].mean(0)).max() < 1e-3
