"""Artificial defects painted on good parts: what good parts alone can say about separating bad ones.

They teach the students to see past a defect and the head to find one, and choose between ways of scoring; they never
set a threshold. A defect is a shape filled with something that does not belong there: shapes by Perlin-like noise and
foreign fills after Zavrtanik et al., "DRAEM", arXiv 2108.07610; fills from the same part after Li et al., "CutPaste",
arXiv 2104.04015. Sizes are drawn log-uniformly, so that a pinhole is as frequent as a palm-sized blotch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.image import Image

Weight = NDArray[np.float32]  # (H, W), 0..1: how much of the fill shows
Pixels = NDArray[np.float32]  # (H, W, 3) BGR

VISIBLE = 6  # grey levels; a fainter change teaches to see noise
LARGEST = 0.5  # of the picture; beyond that the "defect" is the picture
TRIES = 8


class Painted(NamedTuple):
    """A picture (H, W, 3) BGR uint8 and where it was visibly changed, (H, W) bool; nowhere if no try was visible."""

    image: Image
    mask: NDArray[np.bool_]


def paint_defect(image: Image, other: Image, rng: np.random.Generator) -> Painted:
    """A copy of `image` with one artificial defect of a random kind, place and size.

    Args:
        image: (H, W, 3) BGR uint8, a good part.
        other: another good part of the same shape, to take foreign texture from.
    """
    pixels, foreign = image.astype(np.float32), other.astype(np.float32)
    for _ in range(TRIES):
        shape = _draw(SHAPES, rng)
        weight = shape(*image.shape[:2], rng)
        if rng.random() < 0.3:
            weight = cv2.GaussianBlur(weight, (0, 0), rng.uniform(0.5, 3))  # a soft edge
        weight *= rng.uniform(0.5, 1) if rng.random() < 0.5 else 1
        filled = _draw(FILLS.get(shape, ANY_FILL), rng)(pixels, foreign, rng)
        painted = np.clip(pixels + weight[..., None] * (filled - pixels), 0, 255)
        mask = (np.abs(painted - pixels).max(2) > VISIBLE) & (weight > 0.1)
        if 4 <= mask.sum() <= LARGEST * mask.size:
            return Painted(painted.astype(np.uint8), mask)
    return Painted(image.copy(), np.zeros(image.shape[:2], np.bool_))


# -- shapes --------------------------------------------------------------------------------------------------------


def stroke(height: int, width: int, rng: np.random.Generator) -> Weight:
    """A winding line: scratch, crack, hair, fibre."""
    count = int(rng.integers(4, 16))
    step = rng.uniform(0.01, 0.06) * min(height, width)
    angles = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, rng.choice([0.05, 0.2, 0.5]), count))
    points = _anywhere(height, width, rng) + np.cumsum(_directions(angles) * step, 0)
    thickness = int(rng.integers(1, 6)) if rng.random() < 0.5 else 1
    canvas = np.zeros((height, width), np.uint8)
    cv2.polylines(canvas, [_fixed_point(points)], False, 255, thickness, cv2.LINE_AA, FRACTION_BITS)
    return _weight(canvas)


def ellipse(height: int, width: int, rng: np.random.Generator) -> Weight:
    """A hole, a drop, a stain."""
    radius, aspect = _log_uniform(0.006, 0.25, rng) * min(height, width), _log_uniform(0.3, 3.3, rng)
    axes = max(1, int(radius * aspect**0.5)), max(1, int(radius / aspect**0.5))
    x, y = _anywhere(height, width, rng)
    canvas = np.zeros((height, width), np.uint8)
    cv2.ellipse(canvas, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA)
    return _weight(canvas)


def polygon(height: int, width: int, rng: np.random.Generator) -> Weight:
    """A chip, a missing or foreign piece."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
    radii = _log_uniform(0.02, 0.35, rng) * min(height, width) * rng.uniform(0.4, 1.2, angles.size)
    canvas = np.zeros((height, width), np.uint8)
    corners = _anywhere(height, width, rng) + _directions(angles) * radii[:, None]
    cv2.fillPoly(canvas, [_fixed_point(corners)], 255, cv2.LINE_AA, FRACTION_BITS)
    return _weight(canvas)


def cloud(height: int, width: int, rng: np.random.Generator) -> Weight:
    """Patches of noise around one place: corrosion, dirt, fraying."""
    cells = int(rng.choice([4, 8, 16, 32])) + 2
    noise = cv2.resize(
        rng.normal(size=(cells, cells)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = _anywhere(height, width, rng)
    distance = ((rows - y) / height) ** 2 + ((columns - x) / width) ** 2
    field = noise - 1.5 * distance / _log_uniform(0.05, 0.35, rng) ** 2
    share = rng.uniform(0.002, 0.06) if rng.random() < 0.8 else rng.uniform(0.05, 0.2)
    softness = rng.choice([0.02, 0.15])
    return _pixels(np.clip((field - np.quantile(field, 1 - share)) / softness, 0, 1))


def border(height: int, width: int, rng: np.random.Generator) -> Weight:
    """Everything beyond a straight line: an uneven, worn or unfinished side."""
    along_sides = rng.choice(4) * np.pi / 2 + rng.normal(0, 0.06)
    angle = along_sides if rng.random() < 0.5 else rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    beyond = (columns / width - 0.5) * np.cos(angle) + (rows / height - 0.5) * np.sin(angle) - rng.uniform(0.05, 0.42)
    return _pixels(np.clip(beyond / rng.choice([0.004, 0.02, 0.08]) + 0.5, 0, 1))


# -- fills ---------------------------------------------------------------------------------------------------------


def shade(pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """Darker or lighter."""
    return _pixels(pixels + rng.uniform(8, 90) * rng.choice([-1, 1]) * _tint(pixels, rng))


def gain(pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """More or less light, or contrast."""
    around = pixels.mean() if rng.random() < 0.5 else 0.0
    return _pixels((pixels - around) * np.exp(rng.uniform(0.15, 0.8) * rng.choice([-1, 1])) + around)


def elsewhere(pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """Another place of the same part, as it is or mirrored."""
    height, width = pixels.shape[:2]
    by = int(rng.integers(height // 8, height - height // 8)), int(rng.integers(width // 8, width - width // 8))
    moved = np.roll(pixels, by, (0, 1))
    return moved if rng.random() < 0.5 else moved[::-1] if rng.random() < 0.5 else moved[:, ::-1]


def another_part(pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """The surface of another part, mostly of another place on it."""
    return elsewhere(other, other, rng) if rng.random() < 0.7 else other


def turned(pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """The part itself, turned and scaled: its texture runs the wrong way."""
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(20, 160), rng.uniform(0.7, 1.5))
    return _pixels(cv2.warpAffine(pixels, turn, (width, height), borderMode=cv2.BORDER_REFLECT))


def blur(pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """Texture worn or smeared away."""
    return _pixels(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(1.5, 6)))


def noise(pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """A grain that is not the part's own, on its surface or instead of it."""
    height, width = pixels.shape[:2]
    grain = int(rng.choice([1, 2, 4, 8]))
    cells = rng.normal(size=(height // grain + 1, width // grain + 1)).astype(np.float32)
    field = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)[..., None] * _tint(pixels, rng)
    ground = pixels if rng.random() < 0.5 else _pixels(cv2.GaussianBlur(pixels, (0, 0), 8))
    return _pixels(ground + field * rng.uniform(10, 50) + rng.uniform(-30, 30))


def flat(pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """One colour: a foreign body, a hole seen through."""
    colour = np.full(3, rng.uniform(0, 255)) if is_grey(pixels) or rng.random() < 0.5 else rng.uniform(0, 255, 3)
    return np.broadcast_to(colour.astype(np.float32), pixels.shape)


Weighted = Sequence[tuple[Callable[..., NDArray[np.float32]], float]]

SHAPES: Weighted = ((stroke, 0.35), (ellipse, 0.2), (cloud, 0.2), (polygon, 0.15), (border, 0.1))
ANY_FILL: Weighted = (
    (shade, 0.25), (gain, 0.12), (elsewhere, 0.12), (another_part, 0.14), (turned, 0.12), (noise, 0.1), (flat, 0.08),
    (blur, 0.07),
)  # fmt: skip
FILLS: dict[Callable[..., NDArray[np.float32]], Weighted] = {
    # A line one pixel wide shows no texture; a whole side in one colour is no defect that needs learning.
    stroke: ((shade, 0.6), (flat, 0.15), (gain, 0.15), (another_part, 0.1)),
    border: ((another_part, 0.4), (elsewhere, 0.2), (turned, 0.2), (gain, 0.1), (blur, 0.1)),
}

FRACTION_BITS = 3  # cv2 draws at an eighth of a pixel


def is_grey(pixels: Pixels) -> bool:
    """Whether a picture (H, W, 3) has no colour, judged on a coarse grid."""
    grid = pixels[::16, ::16]
    return bool((grid == grid[..., :1]).all())


def _draw(table: Weighted, rng: np.random.Generator) -> Callable[..., NDArray[np.float32]]:
    weights = np.asarray([weight for _, weight in table])
    return table[int(rng.choice(len(table), p=weights / weights.sum()))][0]


def _tint(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Equal on all channels where the part is grey, since a grey camera can't see colour; else sometimes coloured."""
    return np.ones(3, np.float32) if is_grey(pixels) or rng.random() < 0.6 else rng.uniform(-1, 1, 3).astype(np.float32)


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _anywhere(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.uniform((0, 0), (width, height))


def _directions(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _fixed_point(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.asarray(np.round(points * 2**FRACTION_BITS), np.int32)


def _weight(canvas: NDArray[np.uint8]) -> Weight:
    return _pixels(canvas / np.float32(255))


def _pixels(array: object) -> Pixels:
    return np.asarray(array, np.float32)
