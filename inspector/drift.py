"""Drift of a line: the history's parts, oldest first, held against the calibration of the recipe that judged them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from calibration.drift import RUN_LENGTH, SCORE, Drift, DriftMonitor
from calibration.frames import SERIES
from calibration.recipe import Recipe
from inspector.inspection import Reason


def watch(recipe: Recipe, rows: Iterable[Mapping[str, Any]], run_length: float = RUN_LENGTH) -> Drift:
    """Where the recipe stands after its parts.

    Args:
        rows: as `each_part` gives them; those that another recipe judged, and those without a look, don't count.
    """
    known = {SCORE: recipe.scores}
    if recipe.frames is not None:
        known |= {name: tuple(column) for name, column in zip(SERIES, recipe.frames.values.T.tolist())}
    monitor = DriftMonitor(known, run_length)
    drift = Drift("OK", "", "", 0.0, 0)
    for row in rows:
        if row["recipe"] == recipe.checksum:
            values = _values(row)
            drift = monitor.update(values) if values else drift
    return drift


def _values(row: Mapping[str, Any]) -> dict[str, float]:
    score = math.inf if row["reason"] == Reason.PART_NOT_FOUND else row["score"]
    values = {SCORE: score, **{name: row[f"frame_{name}"] for name in SERIES}}
    return {name: float(value) for name, value in values.items() if value is not None}
