"""Scores of good parts -> thresholds with a false-reject bound. Pure; holds for any continuous score distribution.

If T is the (n-k)-th smallest of n independent good scores, the share of good parts above T follows Beta(k+1, n-k)
(order statistics of a uniform sample; David & Nagaraja, Order Statistics, 2003, ch. 2). Its upper quantile at the
asked confidence is the bound. No model of the tail is assumed; with few parts the bound is wide, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from calibration.errors import CalibrationError, UnreachableBound


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Two limits, three bands: score <= review: clear good; above reject: clear reject; between: review.

    Attributes:
        review: the limit that carries the bound; everything above it is ejected.
        reject: the largest score that any good calibration part had.
    """

    review: float
    reject: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why the thresholds may be trusted, and how far.

    Attributes:
        parts: independent scores used: pictures, or groups when pictures share parts.
        pictures: pictures scored.
        above: good calibration parts above the review limit.
        bound: at most this share of good parts will be rejected ...
        confidence: ... with this confidence.
        asked: the bound that was asked for; `bound` is larger when the parts don't support it.
    """

    parts: int
    pictures: int
    above: int
    bound: float
    confidence: float
    asked: float

    @property
    def reaches_asked(self) -> bool:
        """Whether the parts support the bound that was asked for."""
        return self.bound <= self.asked

    def sentence(self) -> str:
        """What an operator reads."""
        claim = f"{self.parts} parts: at most {self.bound:.1%} false rejects, {self.confidence:.0%} confidence"
        if self.reaches_asked:
            return claim
        needed = parts_needed(self.asked, self.confidence)
        return f"{claim}; the {self.asked:.1%} asked for needs at least {needed} parts"


def find_thresholds(
    scores: Sequence[float], groups: Sequence[str], asked: float, confidence: float, strict: bool = False
) -> tuple[Thresholds, Evidence]:
    """Thresholds with the lowest review limit whose bound still is at most `asked`.

    Args:
        scores: one per good picture, finite.
        groups: one per picture; a group counts as one part, with its largest score.
        asked: share of good parts that may be rejected, 0..1 exclusive.
        confidence: 0..1 exclusive.
        strict: an unreachable bound is an error instead of a wider bound.

    Raises:
        CalibrationError: no scores, a score that is not finite, or a share outside 0..1.
        UnreachableBound: under `strict`, more parts are needed.
    """
    _check(scores, groups, asked, confidence)
    independent = np.sort(_group_maxima(scores, groups))
    parts = independent.size
    if strict and false_reject_bound(parts, 0, confidence) > asked:
        raise UnreachableBound(
            f"{parts} parts support at most {false_reject_bound(parts, 0, confidence):.1%} false rejects at "
            f"{confidence:.0%} confidence, {asked:.1%} was asked; collect {parts_needed(asked, confidence)} parts"
        )
    above = _most_above(parts, asked, confidence)
    thresholds = Thresholds(review=float(independent[parts - 1 - above]), reject=float(independent[-1]))
    bound = false_reject_bound(parts, above, confidence)
    return thresholds, Evidence(parts, len(scores), above, bound, confidence, asked)


def false_reject_bound(parts: int, above: int, confidence: float) -> float:
    """Upper limit of the share of good parts above the (parts - above)-th smallest score."""
    return float(special.betaincinv(above + 1, parts - above, confidence))


def parts_needed(bound: float, confidence: float) -> int:
    """Fewest good parts that can support `bound` at all: n with (1 - bound)^n <= 1 - confidence."""
    return math.ceil(math.log(1 - confidence) / math.log(1 - bound))


def _most_above(parts: int, asked: float, confidence: float) -> int:
    above = 0
    while above + 1 < parts and false_reject_bound(parts, above + 1, confidence) <= asked:
        above += 1
    return above


def _group_maxima(scores: Sequence[float], groups: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    largest: dict[str, float] = {}
    for value, group in zip(scores, groups):
        largest[group] = max(value, largest.get(group, -math.inf))
    return np.asarray(list(largest.values()), np.float64)


def _check(scores: Sequence[float], groups: Sequence[str], asked: float, confidence: float) -> None:
    if not 0 < asked < 1 or not 0 < confidence < 1:
        raise CalibrationError(f"max-false-reject {asked} and confidence {confidence} must lie between 0 and 1")
    if not scores:
        raise CalibrationError("no good part to calibrate with; give a folder of good parts")
    if len(scores) != len(groups):
        raise CalibrationError(f"{len(scores)} scores but {len(groups)} groups; give one group per score")
    bad = [index for index, value in enumerate(scores) if not math.isfinite(value)]
    if bad:
        raise CalibrationError(f"score of picture {bad[0]} is {scores[bad[0]]}; the engine is faulty, run doctor")
