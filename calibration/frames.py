"""Frames: how bright, how sharp and where, apart from what the network says: a dying lamp is told from defects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.image import Image

Small = NDArray[np.uint8]  # (SIDE, SIDE) grey
Reference = NDArray[np.float32]  # (SIDE, SIDE)

SERIES = ("brightness", "focus", "x", "y")
SIDE = 96  # px of the picture whose position is looked at: a shift of 2 px in 320 is 0.6 px of it
SPARE = 3  # of a large frame every so many-th pixel is averaged that each of the small picture's has 9 or more
CUT = 512  # px; sharpness is measured in the middle of larger frames

LEAST_GAIN = 0.1  # against the reference; below it the frame shows something else, and its position nothing
BLUR = 1.5  # px of it: widens the reach of the linear estimate to about 2 px


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """What is known of one frame apart from its scores.

    Attributes:
        brightness: mean grey, 0..255.
        focus: log of the variance of the Laplacian, less twice the log of the brightness: a darker frame is as sharp.
        x, y: shift of the whole against the calibrated frames, in shares of the frame's width and height.
    """

    brightness: float
    focus: float
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What has to be kept of a frame to measure it once the reference is known."""

    small: Small
    sharpness: float


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of calibration; part of the recipe.

    Attributes:
        reference: their mean.
        values: (N, 4) float64: the facts of each frame, in the order of `SERIES`.
    """

    reference: Reference
    values: NDArray[np.float64]


def glimpse(image: Image) -> Glimpse:
    """Look at a frame (H, W, 3) BGR."""
    top, left = (max(0, (side - CUT) // 2) for side in image.shape[:2])
    middle = cv2.cvtColor(image[top : top + CUT, left : left + CUT], cv2.COLOR_BGR2GRAY)
    step = max(1, min(image.shape[:2]) // (SPARE * SIDE))
    sparse = cv2.cvtColor(np.ascontiguousarray(image[::step, ::step]), cv2.COLOR_BGR2GRAY)
    small = cv2.resize(sparse, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(middle, cv2.CV_16S))
    return Glimpse(np.asarray(small, np.uint8), float(deviation[0, 0]) ** 2)


def learn_frames(glimpses: Sequence[Glimpse]) -> Frames:
    """Reference and facts of the frames of calibration, at least one."""
    reference = find_reference([entry.small for entry in glimpses])
    gauge = FrameGauge(reference)
    return Frames(reference, np.array([astuple(gauge.place(entry)) for entry in glimpses], np.float64))


def find_reference(frames: Sequence[Small]) -> Reference:
    """The mean frame."""
    return np.asarray(np.mean(frames, 0), np.float32)


class FrameGauge:
    """Measures frames against a reference.

    The position is one step of Lucas & Kanade: a shifted frame is the reference plus its gradients times the shift,
    with gain and offset free, by least squares. Exact for small shifts only, and steady where a correlation jumps.
    """

    def __init__(self, reference: Reference) -> None:
        """Args:
        reference: see `find_reference`.
        """
        smooth = cv2.GaussianBlur(reference, (0, 0), BLUR)
        down, across = np.gradient(smooth)
        columns = np.stack([-across, -down, smooth, np.ones_like(smooth)], -1).reshape(-1, 4)
        self._solve = np.linalg.pinv(columns)[:3].astype(np.float32)  # (3, SIDE * SIDE)

    def measure(self, image: Image) -> FrameFacts:
        """Measure a frame (H, W, 3) BGR."""
        return self.place(glimpse(image))

    def place(self, entry: Glimpse) -> FrameFacts:
        """Measure what was kept of a frame."""
        small = entry.small.astype(np.float32)
        brightness = float(small.mean())
        focus = math.log(entry.sharpness + 1e-3) - 2 * math.log(brightness + 1)
        x, y, gain = (float(value) for value in self._solve @ cv2.GaussianBlur(small, (0, 0), BLUR).ravel())
        gain = max(gain, LEAST_GAIN)
        return FrameFacts(brightness, focus, x / gain / SIDE, y / gain / SIDE)
