"""Doubts about pictures that are said to show good parts: named, never acted upon in silence. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.image import Image

Kind = Literal["near_duplicate", "blurred", "over_exposed", "under_exposed", "odd_score", "not_found"]
Values = NDArray[np.float64]

FAR = 6.0  # robust deviations from the median; one in a million of a normal distribution, rare in skewed ones too
NEAR = 0.15  # of the usual distance of two parts; two shots of one part lie below, two parts of one mould above
SIDE = 32  # px of the picture that near duplicates are looked for in
BRIGHT, DARK = 250, 5  # grey levels at which a sensor no longer tells more from less
CLIPPED = 0.01  # of the pixels beyond what is usual for the product


@dataclass(frozen=True, slots=True)
class Look:
    """What hygiene keeps of a picture.

    Attributes:
        brightness: mean grey, 0..255.
        focus: log of the variance of the grey picture's Laplacian.
        over, under: share of pixels that are clipped white and black.
        small: (SIDE, SIDE) float32 grey.
    """

    brightness: float
    focus: float
    over: float
    under: float
    small: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Doubt:
    """One reason to look at one picture.

    Attributes:
        index: of the picture among those looked at.
        detail: figures, for people.
    """

    index: int
    kind: Kind
    detail: str


def look(image: Image) -> Look:
    """Measure one picture (H, W, 3) BGR."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    sharpness = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    return Look(
        float(grey.mean()), math.log(sharpness + 1e-3), float((grey >= BRIGHT).mean()), float((grey <= DARK).mean()),
        small,
    )  # fmt: skip


def doubts(looks: Sequence[Look], scores: Sequence[float]) -> list[Doubt]:
    """Pictures that stand out among their own kind: near duplicates, bad exposure, bad focus, odd scores.

    Args:
        scores: one per picture; infinite where the part was not found.
    """
    found = [Doubt(i, "not_found", "no part where it should be") for i, s in enumerate(scores) if s == math.inf]
    found += _far("blurred", [-entry.focus for entry in looks], 0.05, "sharpness")
    found += _clipped("over_exposed", [entry.over for entry in looks], "white")
    found += _far("over_exposed", [entry.brightness for entry in looks], 1.0, "brightness")
    found += _clipped("under_exposed", [entry.under for entry in looks], "black")
    found += _far("under_exposed", [-entry.brightness for entry in looks], 1.0, "brightness")
    found += _far("odd_score", scores, 1e-9, "score")
    return sorted([*_first_of_each(found), *_near(looks)], key=lambda doubt: (doubt.index, doubt.kind))


def robust_deviations(values: Values, least: float) -> Values:
    """How far above the median values lie, in robust standard deviations of the upper half, at least `least`.

    Scores and shares are skewed: the spread of the lower half says nothing of how far up is far.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.zeros_like(values)
    middle = np.median(finite)
    scale = max(1.4826 * float(np.median(finite[finite >= middle] - middle)), least)
    return np.asarray((values - middle) / scale, np.float64)


def _far(kind: Kind, values: Sequence[float], least: float, name: str) -> list[Doubt]:
    array = np.asarray(values, np.float64)
    away = robust_deviations(array, least)
    found = np.flatnonzero((away > FAR) & np.isfinite(array))
    return [Doubt(int(i), kind, f"{name} {away[i]:.0f} deviations from the others") for i in found]


def _clipped(kind: Kind, shares: Sequence[float], name: str) -> list[Doubt]:
    array = np.asarray(shares, np.float64)
    usual = float(np.median(array)) if array.size else 0.0
    return [Doubt(int(i), kind, f"{array[i]:.0%} {name}") for i in np.flatnonzero(array > 2 * usual + CLIPPED)]


def _near(looks: Sequence[Look]) -> list[Doubt]:
    if len(looks) < 3:
        return []
    flat = np.stack([entry.small.ravel() for entry in looks])
    flat -= flat.mean(0)
    squares = (flat**2).sum(1)
    usual = math.sqrt(2 * float(np.median(squares)))  # of two parts, if they differ from the mean independently
    found = []
    for index in range(1, len(looks)):
        away = np.sqrt(np.maximum(squares[:index] + squares[index] - 2 * flat[:index] @ flat[index], 0))
        nearest = int(np.argmin(away))
        if away[nearest] < NEAR * usual:
            found.append(Doubt(index, "near_duplicate", f"of picture {nearest}"))
    return found


def _first_of_each(found: Sequence[Doubt]) -> list[Doubt]:
    return list({(doubt.index, doubt.kind): doubt for doubt in reversed(found)}.values())
