"""How far two methods differ on the same pictures: means over seeds, bootstrap by physical part. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines.errors import EvaluationError
from engines.evaluation import PERCENTILES, Interval, Judged, part_weights
from engines.metrics import Values, weighted_auroc, weighted_missed
from harness.judging import FALSE_REJECTS
from harness.results import Row

RESAMPLES = 2000


def image_auroc(good: Values, bad: Values, good_weights: Values, bad_weights: Values) -> Values:
    """AUROC of each resample."""
    return weighted_auroc(good, bad, good_weights, bad_weights)


def missed(good: Values, bad: Values, good_weights: Values, bad_weights: Values) -> Values:
    """Share of defects missed at 1 % false rejects, of each resample."""
    return weighted_missed(good, bad, good_weights, bad_weights, FALSE_REJECTS)[1]


FIGURES = {"image_auroc": image_auroc, "missed_at_1pct_false_rejects": missed}


def difference(first: Sequence[Row], second: Sequence[Row], figure: str, resamples: int = RESAMPLES) -> Interval:
    """Mean over seeds of `first` minus that of `second`, with its 95 % interval.

    Raises:
        EvaluationError: the rows are not of the same test pictures.
    """
    shown = first[0].pictures
    for row in (*first, *second):
        if any(row.pictures[key] != shown[key] for key in ("name", "label", "part")):
            raise EvaluationError(f"rows {first[0].name!r} and {row.name!r} judged other pictures; make both again")
    judged = [Judged(0.0, label, part, None, None) for label, part in zip(shown["label"], shown["part"])]
    weights = part_weights(judged, np.random.default_rng(0), resamples)
    means = [np.mean([_resampled(row, figure, weights) for row in rows], axis=0) for rows in (first, second)]
    values = means[0] - means[1]
    low, high = np.percentile(values[1:], PERCENTILES)
    return Interval(float(values[0]), float(low), float(high))


def _resampled(row: Row, figure: str, weights: Values) -> Values:
    is_good = np.array([label == "good" for label in row.pictures["label"]])
    scores = np.asarray(row.pictures["score"], np.float64)
    return FIGURES[figure](scores[is_good], scores[~is_good], weights[:, is_good], weights[:, ~is_good])
