"""Figures from scores of good and defective things; pure numpy.

Those of pictures take weights, one row per resample of a bootstrap, so that a thousand resamples are a few matrix
operations. Those of positions are exact areas from one sort of the good positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Weights = NDArray[np.float64]  # (R, n) how often each of n pictures counts in each of R resamples


def auroc(good: Sequence[float], bad: Sequence[float]) -> float:
    """Probability that a bad picture scores above a good one, ties counting half (Mann-Whitney); NaN when empty."""
    if not len(good) or not len(bad):
        return float("nan")
    order = np.sort(np.asarray(good, np.float64))
    scores = np.asarray(bad, np.float64)
    below, below_or_equal = np.searchsorted(order, scores, "left"), np.searchsorted(order, scores, "right")
    return float((below + below_or_equal).mean() / (2 * order.size))


def weighted_auroc(good: Values, bad: Values, good_weights: Weights, bad_weights: Weights) -> Values:
    """AUROC (R,) of scores (n_good,), (n_bad,) under weights (R, n_good), (R, n_bad)."""
    order = np.argsort(good)
    below = np.cumsum(np.pad(good_weights[:, order], ((0, 0), (1, 0))), axis=1)  # (R, n_good + 1)
    left, right = (np.searchsorted(good[order], bad, side) for side in ("left", "right"))
    wins = (bad_weights * (below[:, left] + below[:, right])).sum(1) / 2
    return np.asarray(wins / (below[:, -1] * bad_weights.sum(1)))


def weighted_average_precision(good: Values, bad: Values, good_weights: Weights, bad_weights: Weights) -> Values:
    """AP (R,): sum over distinct thresholds of (R_n - R_(n-1)) P_n, defects being the positives; no interpolation."""
    hits, flagged = _curve(good, bad, good_weights, bad_weights)
    precision = hits / np.maximum(flagged, 1e-12)  # nothing flagged: no hits either, so that 0 stands for 0/0
    return np.asarray((np.diff(hits, axis=1, prepend=0.0) * precision).sum(1) / hits[:, -1])


def weighted_f1_max(good: Values, bad: Values, good_weights: Weights, bad_weights: Weights) -> Values:
    """The largest F1 (R,) of any threshold, chosen on these very pictures: an upper bound, no operating point."""
    hits, flagged = _curve(good, bad, good_weights, bad_weights)
    return np.asarray((2 * hits / (flagged + hits[:, -1:])).max(1))


def weighted_missed(
    good: Values, bad: Values, good_weights: Weights, bad_weights: Weights, share: float
) -> tuple[Values, Values]:
    """Thresholds (R,) that reject at most `share` of the good pictures, and the share (R,) of defects they miss.

    A picture is rejected when its score is above the threshold, as in the line. With k = floor(share * n_good), the
    threshold is the (k + 1)-th largest good score: the smallest value that rejects at most k good pictures. Where more
    than k are rejected at any threshold (their scores are infinite) it is infinite, and what has a finite score passes.
    """
    descending = np.argsort(-good)
    counts = np.cumsum(good_weights[:, descending], axis=1)
    allowed = np.floor(share * counts[:, -1:] + 1e-9)  # 0.07 * 100 is 7.000000000000001, 0.29 * 100 is 28.999...
    thresholds = good[descending][(counts <= allowed).sum(1)]
    missed = (bad_weights * passes(bad[None, :], thresholds[:, None])).sum(1) / bad_weights.sum(1)
    return thresholds, missed


def passes(scores: Values | float, thresholds: Values | float) -> NDArray[np.bool_]:
    """Whether pictures stay on the belt: not above the threshold, and not infinite, which is above any."""
    return np.asarray((np.asarray(scores) <= thresholds) & np.less(scores, np.inf))


def area_to(limit: float, good: NDArray[np.float32], bad: NDArray[np.float32], weights: Values) -> float:
    """Area under hit rate against false-positive rate, from 0 to `limit`, divided by `limit`; trapezoids at ties.

    Each bad position raises the curve by its share of the weights at the rate of good positions above it. So the area
    is a weighted mean over bad positions, and no curve is built.

    Args:
        good: scores of all good positions, sorted ascending, not empty.
        bad, weights: scores and weights of bad positions, in one order, not empty.
    """
    above = (good.size - np.searchsorted(good, bad, "right")) / good.size
    reached = (good.size - np.searchsorted(good, bad, "left")) / good.size
    return float((weights * ramp_area(above, reached, limit)).sum() / (weights.sum() * limit))


def ramp_area(above: Values, reached: Values, limit: float) -> Values:
    """Area from 0 to `limit` below a ramp that is 0 up to `above`, then climbs to 1 at `reached`, elementwise."""
    width = np.maximum(reached - above, 1e-300)  # no tie: a step, whose climb has no area
    climbed = np.clip(limit - above, 0.0, reached - above)
    return np.asarray(climbed * (climbed / width) / 2 + np.clip(limit - reached, 0.0, None))


def _curve(good: Values, bad: Values, good_weights: Weights, bad_weights: Weights) -> tuple[Weights, Weights]:
    """Weight of defects, and of all pictures, at or above each distinct score, from the highest down: (R, distinct)."""
    scores = np.concatenate([good, bad])
    order = np.argsort(-scores)
    ranked = scores[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), scores.size - 1)  # a difference of infinities is NaN
    hits = np.concatenate([np.zeros_like(good_weights), bad_weights], axis=1)[:, order].cumsum(1)[:, ends]
    flagged = np.concatenate([good_weights, bad_weights], axis=1)[:, order].cumsum(1)[:, ends]
    return hits, flagged
