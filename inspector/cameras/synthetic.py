"""Parts drawn by the program itself: a stamped, brushed metal ring with bolt holes, some with a defect.

Every part follows from seed and number alone: the same part again in a test, in a second process, tomorrow.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.image import Image
from inspector.cameras.base import EndOfParts, Pacer
from inspector.clock import Clock, SystemClock
from inspector.config import SyntheticCameraConfig
from inspector.inspection import Capture, Frame

Canvas = NDArray[np.uint8]  # (H, W) grey
Point = tuple[int, int]

HOLES = 6
BACKGROUND, METAL, HOLE = 38, 150, 24  # grey levels


class SyntheticCamera:
    """A camera over an endless or finite belt of drawn parts."""

    def __init__(self, config: SyntheticCameraConfig, clock: Clock | None = None) -> None:
        self.name = config.name
        self._config = config
        self._clock = clock or SystemClock()
        self._pacer = Pacer(config.rate_hz)
        self._count = 0

    def open(self) -> None:
        """Nothing to connect to."""

    def grab(self, timeout_s: float) -> Capture | None:
        if self._config.parts and self._count >= self._config.parts:
            raise EndOfParts
        if not self._pacer.wait(timeout_s):
            return None
        number, self._count = self._count, self._count + 1
        now_ns, now_us = self._clock.now_ns(), self._clock.utc_us()
        config = self._config
        defective = is_defective(config.seed, number, config.defect_share)
        image = draw_part(config.seed, number, defective, config.size, config.pose == "free")
        return Frame(self.name, number, now_ns, now_us, image)

    def close(self) -> None:
        """Nothing is held open."""


def is_defective(seed: int, number: int, defect_share: float) -> bool:
    """Whether that part of that belt has a defect: the known truth."""
    return bool(np.random.default_rng((seed, number, 1)).random() < defect_share)


def draw_part(seed: int, number: int, defective: bool, size: int = 320, free_pose: bool = False) -> Image:
    """One part, (size, size, 3) BGR uint8. With and without its defect it is the same part otherwise."""
    rng = np.random.default_rng((seed, number, 2))
    turn = rng.uniform(0, 2 * math.pi) if free_pose else math.radians(rng.normal(0, 0.6))
    centre = size / 2 + rng.normal(0, size * 0.004, 2)
    light = rng.normal(1.0, 0.015)
    canvas = _draw_ring(size, centre, turn, rng)
    if defective:
        damage = np.random.default_rng((seed, number, 3))
        DEFECTS[int(damage.integers(len(DEFECTS)))](canvas, centre, turn, damage)
    shaded = canvas.astype(np.float32) * light + rng.standard_normal((size, size), np.float32) * 2.0
    grey = np.clip(shaded, 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


def _draw_ring(size: int, centre: NDArray[np.float64], turn: float, rng: np.random.Generator) -> Canvas:
    canvas = np.full((size, size), BACKGROUND, np.uint8)
    _disc(canvas, centre, 0.42 * size, METAL)
    # Brushing runs with the part: rows of noise, turned with it.
    rows = cv2.GaussianBlur(rng.standard_normal((size, 1), np.float32), (1, 3), 0) * 9.0
    middle = (float(centre[0]), float(centre[1]))
    matrix = cv2.getRotationMatrix2D(middle, -math.degrees(turn), 1.0)
    brushed = cv2.warpAffine(np.repeat(rows, size, 1), matrix, (size, size), borderMode=cv2.BORDER_REFLECT)
    metal = canvas == METAL
    canvas[metal] = np.clip(canvas[metal] + brushed[metal], 0, 255).astype(np.uint8)
    _disc(canvas, centre, 0.15 * size, BACKGROUND)
    for hole in range(HOLES):
        # One hole is larger: the part has an up and a down.
        radius = 0.042 if hole == 0 else 0.03
        _disc(canvas, _on_ring(centre, 0.29 * size, turn + hole * 2 * math.pi / HOLES), radius * size, HOLE)
    return canvas


def _scratch(canvas: Canvas, centre: NDArray[np.float64], turn: float, rng: np.random.Generator) -> None:
    size = len(canvas)
    start = rng.uniform(0, 2 * math.pi)
    radii = np.linspace(rng.uniform(0.19, 0.26), rng.uniform(0.30, 0.39), 8)
    angles = start + np.linspace(0, rng.uniform(0.2, 0.7), 8)
    points = np.stack([_on_ring(centre, r * size, a) for r, a in zip(radii, angles)]).astype(np.int32)
    grey = int(rng.choice((70, 225)))
    cv2.polylines(canvas, [points], False, grey, max(1, round(size / 200)), cv2.LINE_AA)


def _dent(canvas: Canvas, centre: NDArray[np.float64], turn: float, rng: np.random.Generator) -> None:
    size = len(canvas)
    place = _on_ring(centre, rng.uniform(0.2, 0.38) * size, rng.uniform(0, 2 * math.pi))
    radius = rng.uniform(0.018, 0.035) * size
    _disc(canvas, place + radius * 0.25, radius, 205)
    _disc(canvas, place, radius * 0.8, 95)


def _stain(canvas: Canvas, centre: NDArray[np.float64], turn: float, rng: np.random.Generator) -> None:
    size = len(canvas)
    place = _on_ring(centre, rng.uniform(0.22, 0.36) * size, rng.uniform(0, 2 * math.pi))
    blot = np.zeros_like(canvas)
    axes = (max(2, round(rng.uniform(0.03, 0.07) * size)), max(2, round(rng.uniform(0.02, 0.05) * size)))
    cv2.ellipse(blot, _point(place), axes, float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(blot, (0, 0), size / 120).astype(np.float32) / 255
    canvas[:] = np.clip(canvas * (1 - rng.uniform(0.25, 0.45) * soft), 0, 255).astype(np.uint8)


def _closed_hole(canvas: Canvas, centre: NDArray[np.float64], turn: float, rng: np.random.Generator) -> None:
    angle = turn + int(rng.integers(HOLES)) * 2 * math.pi / HOLES
    _disc(canvas, _on_ring(centre, 0.29 * len(canvas), angle), 0.045 * len(canvas), METAL)


def _chip(canvas: Canvas, centre: NDArray[np.float64], turn: float, rng: np.random.Generator) -> None:
    size = len(canvas)
    place = _on_ring(centre, 0.42 * size, rng.uniform(0, 2 * math.pi))
    _disc(canvas, place, rng.uniform(0.025, 0.05) * size, BACKGROUND)


Defect = Callable[[Canvas, NDArray[np.float64], float, np.random.Generator], None]
DEFECTS: tuple[Defect, ...] = (_scratch, _dent, _stain, _closed_hole, _chip)


def _disc(canvas: Canvas, centre: NDArray[np.float64], radius: float, grey: int) -> None:
    fine = 4  # fractional bits: parts lie between pixels
    scaled = (round(float(centre[0]) * 2**fine), round(float(centre[1]) * 2**fine))
    cv2.circle(canvas, scaled, round(radius * 2**fine), grey, -1, cv2.LINE_AA, fine)


def _on_ring(centre: NDArray[np.float64], radius: float, angle: float) -> NDArray[np.float64]:
    return centre + radius * np.array([math.cos(angle), math.sin(angle)])


def _point(place: NDArray[np.float64]) -> Point:
    return round(float(place[0])), round(float(place[1]))
