"""Scores of good parts -> thresholds with a false-reject bound. Pure; holds for any score distribution.

If T is the (n-k)-th smallest of n independent good scores, the share of good parts above T follows Beta(k+1, n-k)
(order statistics of a uniform sample; David & Nagaraja, Order Statistics, 2003, ch. 2). Its upper quantile at the
asked confidence is the bound. No model of the tail is assumed; with few parts the bound is wide, and says so.

Pictures of one group (one session, or one physical part) are not independent: one of them counts, drawn by lot. Ties
only lower the share above T. A part that was not found scores infinity: the line ejects it at any limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType

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
        rules: limits of further rules, by the names of `engines.scoring.rule_values`: above any of them a part is
            rejected, whatever its score.
    """

    review: float
    reject: float
    rules: dict[str, float] = field(default_factory=dict)


def find_thresholds(
    scores: Sequence[float],
    groups: Sequence[str],
    asked: float,
    confidence: float,
    strict: bool = False,
    lots: Sequence[str] = (),
    method: Method = "order",
    rules: Mapping[str, Sequence[float]] = MappingProxyType({}),
) -> tuple[Thresholds, Evidence]:
    """Thresholds with the lowest limits whose bound still is at most `asked`.

    With too few groups for `asked` each limit is the largest value of all pictures, and the bound what the groups
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
        rules: by name, one value per picture, infinite where the score is: each rule gets a limit, and the bound is
            on parts that break any.

    Raises:
        CalibrationError: no scores, a value that is NaN or -inf, a share outside 0..1, or a tail for several rules.
        SampleError: no part was found, all scores are alike, or the tail can't be fitted.
        UnreachableBound: under `strict`, more parts are needed.
    """
    values = np.stack([_checked(row, groups, asked, confidence) for row in (scores, *rules.values())])
    if method == "tail" and rules:
        raise CalibrationError(f"a tail is fitted to scores alone, not to {', '.join(rules)}; use another --method")
    drawn = values[:, draw(groups, lots)]
    limits, bound = _limits(values, drawn, asked, confidence)
    missing = int(np.isposinf(values[0]).sum())
    if strict and bound > asked:
        raise UnreachableBound(_refusal(drawn.shape, bound, asked, confidence, missing))
    largest = np.where(values < math.inf, values, -math.inf).max(1)
    limits = np.minimum(limits, largest)
    over = int((drawn > limits[:, None]).any(0).sum())
    evidence = Evidence(
        drawn.shape[1], len(scores), over, bound, confidence, asked, missing=missing, rules=len(values)
    )  # fmt: skip
    if method == "tail" and asked < bound < 1:
        return _extrapolated(np.sort(drawn[0]), float(largest[0]), evidence)
    if method == "provisional" and asked < bound < 1:
        evidence = replace(evidence, method=method)
    return Thresholds(float(limits[0]), float(largest[0]), dict(zip(rules, limits[1:].tolist()))), evidence


def false_reject_bound(parts: int, above: int, confidence: float) -> float:
    """Upper limit of the share of good parts above the (parts - above)-th smallest score."""
    return float(special.betaincinv(above + 1, parts - above, confidence)) if above < parts else 1.0


def draw(groups: Sequence[str], lots: Sequence[str] = ()) -> NDArray[np.intp]:
    """Indices of one picture per group: that with the smallest lot; in the order of the lots where they are given."""
    order = sorted(range(len(groups)), key=lots.__getitem__) if len(lots) else range(len(groups))
    first: dict[str, int] = {}  # numpy's strings would lose a NUL at their end, and two names be one
    for picture in order:
        first.setdefault(groups[picture], picture)
    return np.fromiter(first.values(), np.intp)


def left_out(
    scores: Sequence[float],
    groups: Sequence[str],
    sessions: Sequence[str],
    asked: float,
    confidence: float,
    lots: Sequence[str] = (),
    rules: Mapping[str, Sequence[float]] = MappingProxyType({}),
) -> dict[str, float]:
    """For each session, the share of its pictures above a limit that the other sessions set.

    Empty with fewer than two sessions: then nothing is known of how sessions differ.
    """
    values, names = np.asarray([scores, *rules.values()], np.float64), np.asarray(sessions)
    shares: dict[str, float] = {}
    for session in dict.fromkeys(sessions):
        rest = [int(i) for i in np.flatnonzero(names != session)]
        if not rest:
            return {}
        others = draw([groups[i] for i in rest], [lots[i] for i in rest] if len(lots) else ())
        limits, _ = _limits(values[:, rest], values[:, rest][:, others], asked, confidence)
        shares[str(session)] = float((values[:, names == session] > limits[:, None]).any(0).mean())
    return shares


def _limits(values: Values, drawn: Values, asked: float, confidence: float) -> tuple[Values, float]:
    """Limits (R,) of the values (R, N) and the bound of the drawn ones (R, n); 1: no limit holds, one is infinite."""
    rules, parts = drawn.shape
    above = most_above(parts, asked, confidence)
    if above is None or above + 1 < rules:
        limits, above = values.max(1), rules - 1
    else:
        limits = cut_blocks(drawn, above + 1)
    return limits, false_reject_bound(parts, above, confidence) if np.isfinite(limits).all() else 1.0


def cut_blocks(drawn: Values, blocks: int) -> Values:
    """Limits (R,) of R rules, so that the share of parts above any of them is that of `blocks` order statistics.

    The rules take turns; each lowers its limit to the largest value that is left, and the part that had it is set
    aside. What was cut off follows Beta(blocks, n + 1 - blocks) whatever the values and however the rules depend on
    each other (Tukey, Statistically equivalent blocks, Ann. Math. Stat. 18, 1947). One rule: the order statistic.

    Args:
        drawn: (R, n), in an order that says nothing of them: of equal values the first is set aside.
        blocks: at least R, at most n.
    """
    rules, parts = drawn.shape
    if rules == 1:
        return np.partition(drawn, parts - blocks)[:, parts - blocks]
    left, limits = drawn.copy(), np.full(rules, math.inf)
    for turn in range(blocks):
        rule = turn % rules
        part = int(left[rule].argmax())
        limits[rule] = left[rule, part]
        left[:, part] = -math.inf
    return limits


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


def _refusal(shape: tuple[int, ...], bound: float, asked: float, confidence: float, missing: int) -> str:
    rules, parts = shape
    if bound == 1 and missing:
        return (
            f"{missing} good pictures show no part where it should be found and would be ejected at any limit: too "
            f"many for {percent(asked)} false rejects; mend the location (docs/INPUT.md)"
        )
    return (
        f"{parts} parts support at most {percent(bound)} false rejects at {100 * confidence:.6g}% confidence, "
        f"{percent(asked)} was asked; collect {parts_needed(asked, confidence, rules)} parts"
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
