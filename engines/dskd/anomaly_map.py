"""Discrepancy between teacher and student features, position by position."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from engines.dskd.method import Metric


def discrepancy(teacher: tuple[Tensor, ...], student: tuple[Tensor, ...], metric: Metric) -> tuple[Tensor, ...]:
    """Raw anomaly maps, one (B, h, w) >= 0 per level of (B, C, h, w) features.

    l2: mean over channels of (t - s)^2;  cosine: 1 - cos(t, s) per position.
    """
    measure = squared_distance if metric == "l2" else cosine_distance
    return tuple(measure(t, s) for t, s in zip(teacher, student))


def squared_distance(teacher: Tensor, student: Tensor) -> Tensor:
    """Mean over channels of the squared difference: two (B, C, h, w) -> (B, h, w)."""
    difference = teacher - student
    return (difference * difference).mean(1)


def cosine_distance(teacher: Tensor, student: Tensor) -> Tensor:
    """1 - cosine over channels: two (B, C, h, w) -> (B, h, w), 0..2."""
    # Normalise first: a dot product of unit vectors can't overflow in FP16.
    return 1 - (functional.normalize(teacher, dim=1) * functional.normalize(student, dim=1)).sum(1)
