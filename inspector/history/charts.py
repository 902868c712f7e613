"""What a quality engineer looks at: where rejects lie, and whether their share is more than chance moves it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from inspector.history.queries import Filter, Row, select_parts, walked
from inspector.history.tables import verdicts
from inspector.inspection import Outcome

SIGMAS = 3.0  # Shewhart's: 2.7 false alarms in 1,000 points of a stable process with many rejects in each
GRID = 4  # cells along each side of the inspected region


def p_chart(periods: Iterable[Row]) -> list[Row]:
    """The p-chart for subgroups of unequal size: share of rejects of each period, centre line and limits.

    The centre is the share over all periods, the limits are `centre +- 3 sqrt(centre (1 - centre) / judged)`, cut at 0
    and 1 (Montgomery, Introduction to Statistical Quality Control, "the fraction nonconforming control chart").
    Errors are no judgement and don't count.

    Args:
        periods: as `ledger.trend` gives them; those without a judged part have no point.
    """
    judged = [(period, period["good"] + period["reject"]) for period in periods if period["good"] + period["reject"]]
    total = sum(number for _, number in judged)
    centre = sum(period["reject"] for period, _ in judged) / total if total else 0.0
    return [_point(period, number, centre) for period, number in judged]


def _point(period: Row, judged: int, centre: float) -> Row:
    share, reach = period["reject"] / judged, SIGMAS * math.sqrt(centre * (1 - centre) / judged)
    lower, upper = max(0.0, centre - reach), min(1.0, centre + reach)
    return {
        "start_us": period["start_us"],
        "judged": judged,
        "rejects": period["reject"],
        "rejects_per_1000": 1000 * share,
        "centre_per_1000": 1000 * centre,
        "lower_per_1000": 1000 * lower,
        "upper_per_1000": 1000 * upper,
        "outside": not lower <= share <= upper,
    }


def pareto_by_position(engine: sa.Engine, wanted: Filter, grid: int = GRID) -> list[Row]:
    """Rejects by the cell of a grid over the inspected region in which their highest anomaly lies, most first.

    Args:
        grid: cells along each side; columns and rows count from 1 at the left top.
    """

    def cell(share: float) -> int:
        return min(int(share * grid), grid - 1) + 1

    found: Counter[str] = Counter()
    for x, y in _rejects(engine, wanted, verdicts.c.peak_x, verdicts.c.peak_y):
        found["not known" if x is None else f"column {cell(x)}, row {cell(y)}"] += 1
    return _most_first(found)


def pareto_by_zone(engine: sa.Engine, wanted: Filter) -> list[Row]:
    """Rejects by the zone that scores highest, most first."""
    found: Counter[str] = Counter()
    for (zones,) in _rejects(engine, wanted, verdicts.c.zone_scores):
        found[max(zones, key=lambda name: zones[name]) if zones else "no zone"] += 1
    return _most_first(found)


def _rejects(engine: sa.Engine, wanted: Filter, *columns: sa.Column[Any]) -> list[tuple[Any, ...]]:
    rejects = replace(wanted, outcome=Outcome.REJECT)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select_parts(rejects, *columns).order_by(walked(rejects)))]


def _most_first(found: Counter[str]) -> list[Row]:
    total, seen, rows = found.total(), 0, []
    for name, number in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        seen += number
        rows.append({"where": name, "rejects": number, "share": number / total, "cumulative": seen / total})
    return rows
