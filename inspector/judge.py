"""judge: what was seen + the recipe -> the verdict. Pure, and the only place where a part becomes GOOD."""

from __future__ import annotations

import math
from collections.abc import Mapping

from calibration.recipe import Recipe
from calibration.thresholds import Thresholds
from engines.scoring import rule_values
from inspector.inspection import Band, Inspection, Outcome, Reason, Verdict


def judge(inspection: Inspection, recipe: Recipe) -> Verdict:
    """Decide about one part.

    GOOD is reached in one way only: a finite score at or below the review limit, and every further rule's value at or
    below its own. A fault, a missing or a non-finite score or value is ERROR (`nan > limit` is False: without the check
    a NaN would pass the part).
    """
    sequence = inspection.part.sequence
    if inspection.fault is not None or inspection.score is None:
        reason = inspection.fault or Reason.ENGINE_FAULT
        return Verdict(sequence, Outcome.ERROR, Band.CLEAR, reason, inspection.detail)
    score, limits = inspection.score, recipe.thresholds
    values = rule_values(score.area, score.zones)
    for name, value in {"score": score.value, **{name: values.get(name, math.nan) for name in limits.rules}}.items():
        if not math.isfinite(value):
            return Verdict(sequence, Outcome.ERROR, Band.CLEAR, Reason.NOT_FINITE, f"{name} is {value}; run doctor")
    outcome, band, why = weigh(score.value, values, limits)
    return Verdict(sequence, outcome, band, None if outcome is Outcome.GOOD else Reason.ABOVE_LIMIT, why)


def weigh(score: float, values: Mapping[str, float], limits: Thresholds) -> tuple[Outcome, Band, str]:
    """What a score means under limits: the line's rule, and the one that stored scores are judged again by.

    Args:
        values: finite, of further rules by name, at least of those that have a limit.

    Returns:
        The third is the rule that was broken though the score was not, with its figures; "" otherwise.
    """
    if not score <= limits.review:
        return Outcome.REJECT, Band.REVIEW if score <= limits.reject else Band.CLEAR, ""
    for name, limit in limits.rules.items():
        if not values[name] <= limit:
            return Outcome.REJECT, Band.REVIEW, f"{name} {values[name]:.4g} above {limit:.4g}"
    return Outcome.GOOD, Band.CLEAR, ""
