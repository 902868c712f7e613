"""Scores of good parts -> thresholds with a false-reject bound. Pure; holds for any score distribution.

If T is the (n-k)-th smallest of n independent good scores, the share of good parts above T follows Beta(k+1, n-k)
(order statistics of a uniform sample; David & Nagaraja, Order Statistics, 2003, ch. 2). Its upper quantile at the
asked confidence is the bound. No model of the tail is assumed; with few parts the bound is wide, and says so.

Pictures of one group (one session, or one physical part) are not independent: one of them counts, drawn by lot. Ties
only lower the share above T. A part that was not found scores infinity: the line ejects it at any limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from calibration.errors import CalibrationError, SampleError, UnreachableBound
from calibration.evidence import Evidence, Method, parts_needed, percent

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Two limits, three bands: score <= review: clear good; above reject: clear reject; between: review.

    Attributes:
        review: the limit that carries the bound; everything above it is ejected.
        reject: the largest score that any good calibration part had, or the review limit where that is larger.
    """

    review: float
    reject: float


def find_thresholds(
    scores: Sequence[float],
    groups: Sequence[str],
    asked: float,
    confidence: float,
    strict: bool = False,
    lots: Sequence[str] = (),
    method: Method = "order",
) -> tuple[Thresholds, Evidence]:
    """Thresholds with the lowest review limit whose bound still is at most `asked`.

    With too few groups for `asked` the limit is the largest score of all pictures, and the bound what the groups
    support; that is where `method` matters.

    Args:
        scores: one per good picture; infinite where the part was not found.
        groups: one per picture; of a group one picture counts.
        asked: share of good parts that may be rejected, 0..1 exclusive.
        confidence: 0..1 exclusive.
        strict: an unreachable bound is an error instead of a wider bound.
        lots: one per picture, the smallest of a group is the one that counts; must not depend on the scores. Empty:
            the first of each group.
        method: what to do with too few groups: `order` states what they support; `tail` raises the limit to where a
            fitted tail says `asked`; `provisional` asks for confirmed parts.

    Raises:
        CalibrationError: no scores, a score that is NaN or -inf, or a share outside 0..1.
        SampleError: no part was found, all scores are alike, or the tail can't be fitted.
        UnreachableBound: under `strict`, more parts are needed.
    """
    values = _checked(scores, groups, asked, confidence)
    drawn = np.sort(values[draw(groups, lots)])
    limit, above = _limit(values, drawn, asked, confidence)
    bound = false_reject_bound(drawn.size, above, confidence) if limit < math.inf else 1.0
    missing = int(np.isposinf(values).sum())
    if strict and bound > asked:
        raise UnreachableBound(_refusal(drawn.size, bound, asked, confidence, missing))
    largest = float(values[values < math.inf].max())
    review = min(limit, largest)
    over = int((drawn > review).sum())
    evidence = Evidence(drawn.size, values.size, over, bound, confidence, asked, missing=missing)
    if method == "tail" and asked < bound < 1:
        return _extrapolated(drawn, largest, evidence)
    if method == "provisional" and asked < bound < 1:
        evidence = replace(evidence, method=method)
    return Thresholds(review, largest), evidence


def false_reject_bound(parts: int, above: int, confidence: float) -> float:
    """Upper limit of the share of good parts above the (parts - above)-th smallest score."""
    return float(special.betaincinv(above + 1, parts - above, confidence)) if above < parts else 1.0


def draw(groups: Sequence[str], lots: Sequence[str] = ()) -> NDArray[np.intp]:
    """Indices of one picture per group: that with the smallest lot."""
    if len(set(groups)) == len(groups):
        return np.arange(len(groups))
    order = np.argsort(np.asarray(lots), kind="stable") if len(lots) else np.arange(len(groups))
    _, first = np.unique(np.asarray(groups)[order], return_index=True)
    return np.asarray(order[first], np.intp)


def left_out(
    scores: Sequence[float],
    groups: Sequence[str],
    sessions: Sequence[str],
    asked: float,
    confidence: float,
    lots: Sequence[str] = (),
) -> dict[str, float]:
    """For each session, the share of its pictures above the limit that the other sessions set.

    Empty with fewer than two sessions: then nothing is known of how sessions differ.
    """
    values, names = np.asarray(scores, np.float64), np.asarray(sessions)
    shares: dict[str, float] = {}
    for session in dict.fromkeys(sessions):
        rest = [int(i) for i in np.flatnonzero(names != session)]
        if not rest:
            return {}
        others = draw([groups[i] for i in rest], [lots[i] for i in rest] if len(lots) else ())
        limit, _ = _limit(values[rest], np.sort(values[rest][others]), asked, confidence)
        shares[str(session)] = float((values[names == session] > limit).mean())
    return shares


def _limit(values: Values, drawn: Values, asked: float, confidence: float) -> tuple[float, int]:
    """The review limit and how many of the sorted `drawn` it was chosen to leave above; infinite: no limit holds."""
    above = most_above(drawn.size, asked, confidence)
    return (float(values.max()), 0) if above is None else (float(drawn[drawn.size - 1 - above]), above)


@lru_cache(maxsize=256)
def most_above(parts: int, asked: float, confidence: float) -> int | None:
    """The largest k whose bound is at most `asked`; None: not even 0 is.

    It follows from the number of parts alone, never from their scores: else the bound would not hold.
    """
    ks = np.arange(min(parts, math.ceil(parts * asked) + 1))
    fitting = special.betainc(ks + 1, parts - ks, asked) >= confidence
    return int(np.flatnonzero(fitting)[-1]) if fitting.any() else None


def _extrapolated(drawn: Values, largest: float, evidence: Evidence) -> tuple[Thresholds, Evidence]:
    from calibration.tail import fit_tail

    fit = fit_tail(drawn[drawn < math.inf], evidence.asked, evidence.confidence)
    if not fit.is_sound:
        raise SampleError(
            f"a generalised Pareto tail does not fit the largest {fit.exceedances} of {drawn.size} scores "
            f"(p = {fit.p_value:.3f}); collect more parts or use --method order or provisional"
        )
    review = max(fit.limit, largest)  # never below a good part, so that the bound of the parts stays true
    evidence = replace(evidence, method="tail", above=int((drawn > review).sum()), tail_p=fit.p_value)
    return Thresholds(review, review), evidence


def _refusal(parts: int, bound: float, asked: float, confidence: float, missing: int) -> str:
    if bound == 1 and missing:
        return (
            f"{missing} good pictures show no part where it should be found and would be ejected at any limit: too "
            f"many for {percent(asked)} false rejects; mend the location (docs/INPUT.md)"
        )
    return (
        f"{parts} parts support at most {percent(bound)} false rejects at {100 * confidence:.6g}% confidence, "
        f"{percent(asked)} was asked; collect {parts_needed(asked, confidence)} parts"
    )


def _checked(scores: Sequence[float], groups: Sequence[str], asked: float, confidence: float) -> Values:
    if not 0 < asked < 1 or not 0 < confidence < 1:
        raise CalibrationError(f"max-false-reject {asked} and confidence {confidence} must lie between 0 and 1")
    if not len(scores):
        raise CalibrationError("no good part to calibrate with; give a folder of good parts")
    if len(scores) != len(groups):
        raise CalibrationError(f"{len(scores)} scores but {len(groups)} groups; give one group per score")
    values = np.asarray(scores, np.float64)
    bad = np.flatnonzero(~(values > -math.inf))
    if bad.size:
        raise CalibrationError(f"score of picture {bad[0]} is {values[bad[0]]}; the engine is faulty, run doctor")
    if np.isposinf(values).all():
        raise SampleError(
            f"none of {values.size} pictures shows the part; give pictures of this product, or mend the location "
            "(docs/INPUT.md)"
        )
    return values
