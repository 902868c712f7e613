"""Job: one product ready to judge. Recipe and detectors belong to each other and change together or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from calibration.frames import FrameGauge
from calibration.recipe import Recipe
from engines.detector import Anomaly
from engines.image import Image


class Detects(Protocol):
    """What the line needs of a detector."""

    def detect(self, image: Image) -> Anomaly:
        """Raw maps of one frame (H, W, 3) BGR uint8."""

    def close(self) -> None:
        """Release it."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What one product is judged by.

    Attributes:
        detectors: one per thread that looks at parts, by the thread's place.
        gauge: None: the recipe knows no frames to compare with.
    """

    recipe: Recipe
    detectors: tuple[Detects, ...]
    gauge: FrameGauge | None = None

    def close(self) -> None:
        """Release the detectors; no part of this job may be open."""
        for detector in self.detectors:
            detector.close()


def make_job(recipe: Recipe, detectors: Sequence[Detects]) -> Job:
    """A recipe with the detectors opened for it."""
    gauge = None if recipe.frames is None else FrameGauge(recipe.frames.reference)
    return Job(recipe, tuple(detectors), gauge)
