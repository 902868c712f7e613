"""The ledger: parts counted, as a whole or by the hour or day.

Whole hours come from the tallies, the rest from the rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from inspector.history.queries import Filter, Row, product, select_parts
from inspector.history.tables import parts, recipes, sessions, tallies, verdicts
from inspector.history.tallies import HOUR_US, hour
from inspector.inspection import Outcome

DAY_US = 24 * HOUR_US
WIDTHS_US = {"hour": HOUR_US, "day": DAY_US}


def summarise(engine: sa.Engine, wanted: Filter, recount: bool = False) -> Row:
    """The ledger of the parts that fit: counts that must balance, yield, and errors by reason.

    Args:
        recount: trust no tally, count every row.
    """
    count = _counted(wanted, recount).subquery()
    query = sa.select(count.c.outcome, count.c.reason, count.c.acknowledged, sa.func.sum(count.c.parts))
    # One statement sees one state of the history, however much is written meanwhile.
    with engine.connect() as connection:
        rows = connection.execute(query.group_by(count.c.outcome, count.c.reason, count.c.acknowledged)).all()
    counts = {outcome.value.lower(): sum(row[3] for row in rows if row[0] == outcome) for outcome in Outcome}
    triggers = sum(row[3] for row in rows)
    reasons = sorted({row[1] for row in rows if row[0] == Outcome.ERROR})
    errors = {name: sum(row[3] for row in rows if row[:2] == (Outcome.ERROR, name)) for name in reasons}
    judged = counts["good"] + counts["reject"]
    return {
        "triggers": triggers,
        **counts,
        "acknowledged": sum(row[3] for row in rows if row[2]),
        "recorded": sum(row[3] for row in rows if row[0]),
        "balanced": triggers == sum(counts.values()),
        "yield": counts["good"] / judged if judged else None,
        "errors": {name: number for name, number in errors.items() if number},
    }


def trend(engine: sa.Engine, wanted: Filter, by: str) -> list[Row]:
    """Parts by outcome, yield and rejects per 1,000 judged parts, for each hour or day (UTC) that had parts.

    Args:
        by: "hour" or "day".
    """
    width, count = WIDTHS_US[by], _counted(wanted, False).subquery()
    start = count.c.hour_us - count.c.hour_us % width
    query = sa.select(start, count.c.outcome, sa.func.sum(count.c.parts)).where(count.c.hour_us >= 0)
    found: dict[int, dict[str, int]] = {}
    with engine.connect() as connection:
        for start_us, outcome, number in connection.execute(query.group_by(start, count.c.outcome)):
            found.setdefault(start_us, {})[outcome] = number
    return [_period(start_us, found[start_us]) for start_us in sorted(found) if any(found[start_us].values())]


def count_recorded(engine: sa.Engine) -> Row:
    """Parts by outcome, cheap enough for a progress bar."""
    query = sa.select(tallies.c.outcome, sa.func.sum(tallies.c.parts)).where(tallies.c.outcome != "")
    with engine.connect() as connection:
        rows = connection.execute(query.group_by(tallies.c.outcome)).all()
    return {outcome: number for outcome, number in rows if number}


def _period(start_us: int, counts: dict[str, int]) -> Row:
    good, reject, error = (counts.get(outcome, 0) for outcome in Outcome)
    judged = good + reject
    return {
        "start_us": start_us,
        "good": good,
        "reject": reject,
        "error": error,
        "yield": good / judged if judged else None,
        "rejects_per_1000": 1000 * reject / judged if judged else None,
    }


def _counted(wanted: Filter, recount: bool) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    """Columns hour_us, outcome, reason, acknowledged, parts; several rows may have the same key."""
    since, until = wanted.since_us, wanted.until_us
    first = None if since is None else -(-since // HOUR_US) * HOUR_US
    last = None if until is None else until // HOUR_US * HOUR_US
    is_within_hours = first is not None and last is not None and first >= last
    if recount or is_within_hours or _asks_of_rows(wanted):
        return _from_rows(wanted)
    queries = [_from_tallies(replace(wanted, since_us=first, until_us=last))]
    if first != since:
        queries.append(_from_rows(replace(wanted, until_us=first)))
    if last != until:
        queries.append(_from_rows(replace(wanted, since_us=last)))
    return sa.union_all(*queries)


def _asks_of_rows(wanted: Filter) -> bool:
    scores, numbers = (wanted.min_score, wanted.max_score), (wanted.after, wanted.last)
    asked = (*scores, *numbers, wanted.part_ref, wanted.position, wanted.recipe)
    return any(value is not None for value in asked)


def _from_tallies(wanted: Filter) -> sa.Select[Any]:
    """For whole hours only."""
    source = tallies.join(sessions, sessions.c.id == tallies.c.session_id)
    source = source.outerjoin(recipes, recipes.c.id == tallies.c.recipe_id)
    columns = (tallies.c.hour_us, tallies.c.outcome, tallies.c.reason, tallies.c.acknowledged, tallies.c.parts)
    tests = []
    if wanted.since_us is not None or wanted.until_us is not None:
        tests.append(tallies.c.hour_us >= (wanted.since_us or 0))
    if wanted.until_us is not None:
        tests.append(tallies.c.hour_us < wanted.until_us)
    for column, value in ((product, wanted.product), (tallies.c.camera, wanted.camera)):
        if value is not None:
            tests.append(column == value)
    if wanted.outcome is not None:
        tests.append(tallies.c.outcome == wanted.outcome.value)
    return sa.select(*columns).select_from(source).where(*tests)


def _from_rows(wanted: Filter) -> sa.Select[Any]:
    key = (
        hour.label("hour_us"),
        sa.func.coalesce(verdicts.c.outcome, "").label("outcome"),
        sa.func.coalesce(verdicts.c.reason, "").label("reason"),
        sa.func.coalesce(verdicts.c.acknowledged, sa.false()).label("acknowledged"),
    )
    query = select_parts(wanted, *key, sa.func.count(parts.c.sequence).label("parts"))
    return query.group_by(*(column.element for column in key))
