"""judge: what was seen + the recipe -> the verdict. Pure, and the only place where a part becomes GOOD."""

from __future__ import annotations

import math

from calibration.recipe import Recipe
from calibration.thresholds import Thresholds
from inspector.inspection import Band, Inspection, Outcome, Reason, Verdict


def judge(inspection: Inspection, recipe: Recipe) -> Verdict:
    """Decide about one part.

    GOOD is reached in one way only: a finite score at or below the review limit. A fault, a missing or a non-finite
    score is ERROR (`nan > limit` is False: without the check a NaN would pass the part).
    """
    sequence = inspection.part.sequence
    if inspection.fault is not None or inspection.score is None:
        reason = inspection.fault or Reason.ENGINE_FAULT
        return Verdict(sequence, Outcome.ERROR, Band.CLEAR, reason, inspection.detail)
    value, limits = inspection.score.value, recipe.thresholds
    if not math.isfinite(value):
        return Verdict(sequence, Outcome.ERROR, Band.CLEAR, Reason.NOT_FINITE, f"score is {value}; run doctor")
    outcome, band = weigh(value, limits)
    return Verdict(sequence, outcome, band, None if outcome is Outcome.GOOD else Reason.ABOVE_LIMIT)


def weigh(value: float, limits: Thresholds) -> tuple[Outcome, Band]:
    """What a finite score means under limits: the line's rule, and the one that stored scores are judged again by."""
    if value <= limits.review:
        return Outcome.GOOD, Band.CLEAR
    return Outcome.REJECT, Band.REVIEW if value <= limits.reject else Band.CLEAR
