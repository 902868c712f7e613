"""Artificial defects painted on good parts: what good parts alone can say about separating bad ones.

Used to choose between ways of scoring, never to set a threshold. Cut-and-paste after Li et al., "CutPaste",
arXiv 2104.04015.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.image import Image

Painter = Callable[[Image, np.random.Generator], Image]


def paint_defect(image: Image, rng: np.random.Generator) -> Image:
    """A copy of `image` (H, W, 3) BGR uint8 with one artificial defect of a random kind, place and size."""
    painter = PAINTERS[int(rng.integers(len(PAINTERS)))]
    painted: Image = painter(image, rng)
    return painted


def _scratch(image: Image, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    start = rng.uniform((0.15 * width, 0.15 * height), (0.85 * width, 0.85 * height))
    angle = rng.uniform(0, np.pi)
    steps = rng.uniform(0.03, 0.08) * min(height, width) * np.ones(int(rng.integers(3, 8)))
    angles = angle + np.cumsum(rng.normal(0, 0.25, steps.size))
    points = start + np.cumsum(steps[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1), 0)
    stroke = np.zeros((height, width), np.uint8)
    cv2.polylines(stroke, [points.astype(np.int32)], False, 255, int(rng.integers(1, 4)), cv2.LINE_AA)
    return _shade(image, stroke / 255.0, rng)


def _blotch(image: Image, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    x, y = rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.9) * height
    radii = rng.uniform(0.015, 0.12, 2) * min(height, width)
    ellipse = np.zeros((height, width), np.uint8)
    axes = (max(1, int(radii[0])), max(1, int(radii[1])))
    cv2.ellipse(ellipse, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(ellipse, (0, 0), float(max(0.5, radii.min() / 3)))
    return _shade(image, soft / 255.0, rng)


def _patch(image: Image, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    patch_height = int(rng.uniform(0.04, 0.2) * height) + 2
    patch_width = int(rng.uniform(0.04, 0.2) * width) + 2
    sources = rng.integers(0, (height - patch_height, width - patch_width), (2, 2))
    (from_y, from_x), (to_y, to_x) = sources
    painted: Image = image.copy()
    patch = image[from_y : from_y + patch_height, from_x : from_x + patch_width]
    painted[to_y : to_y + patch_height, to_x : to_x + patch_width] = patch[::-1, ::-1]
    return painted


def _shade(image: Image, weight: NDArray[np.float64], rng: np.random.Generator) -> Image:
    # At least one and a half of the picture's own deviations: fainter marks say nothing about any scoring.
    contrast = max(15.0, float(image.std())) * rng.uniform(0.8, 2.0) * rng.choice((-1.0, 1.0))
    shaded: Image = np.clip(image + contrast * weight[..., None], 0, 255).astype(np.uint8)
    return shaded


PAINTERS: tuple[Painter, ...] = (_scratch, _blotch, _patch)
