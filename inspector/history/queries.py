"""Questions to the history. Read-only, short, as plain rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from inspector.history.tables import parts, recipes, sessions, verdicts
from inspector.inspection import Outcome

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which parts; None means any. Times are UTC microseconds, `until_us` exclusive."""

    product: str | None = None
    outcome: Outcome | None = None
    since_us: int | None = None
    until_us: int | None = None
    min_score: float | None = None
    max_score: float | None = None
    part_ref: str | None = None
    camera: str | None = None
    recipe: str | None = None  # checksum
    after: int | None = None  # sequence
    last: int | None = None  # sequence


def list_parts(engine: sa.Engine, wanted: Filter, limit: int) -> list[Row]:
    """The newest parts that fit, newest first."""
    with engine.connect() as connection:
        query = _select(wanted).order_by(parts.c.sequence.desc()).limit(limit)
        return [dict(row) for row in connection.execute(query).mappings()]


def find_part(engine: sa.Engine, sequence: int) -> Row | None:
    """One part; None: the history has no such number."""
    with engine.connect() as connection:
        row = connection.execute(_select(Filter()).where(parts.c.sequence == sequence)).mappings().first()
    return dict(row) if row else None


def each_part(engine: sa.Engine, wanted: Filter, page: int = 1000) -> Iterator[Row]:
    """All parts that fit, oldest first, a page per transaction: a long export must not hold the write-ahead log."""
    while True:
        rows = list_next(engine, wanted, page)
        yield from rows
        if len(rows) < page:
            return
        wanted = replace(wanted, after=rows[-1]["sequence"])


def list_next(engine: sa.Engine, wanted: Filter, limit: int) -> list[Row]:
    """The oldest parts that fit, oldest first."""
    with engine.connect() as connection:
        query = _select(wanted).order_by(parts.c.sequence).limit(limit)
        return [dict(row) for row in connection.execute(query).mappings()]


def summarise(engine: sa.Engine, wanted: Filter) -> Row:
    """The ledger of the parts that fit: counts that must balance, yield, and errors by reason."""
    joined = _joined(
        sa.func.count(),
        verdicts.c.outcome,
        verdicts.c.reason,
        sa.func.sum(sa.cast(verdicts.c.acknowledged, sa.Integer)),
    )
    query = _narrow(joined, wanted).group_by(verdicts.c.outcome, verdicts.c.reason)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
        triggers = connection.scalar(_narrow(_joined(sa.func.count(parts.c.sequence)), wanted)) or 0
    counts = {outcome.value.lower(): sum(row[0] for row in rows if row[1] == outcome) for outcome in Outcome}
    errors = {row[2]: row[0] for row in rows if row[1] == Outcome.ERROR}
    judged = counts["good"] + counts["reject"]
    return {
        "triggers": triggers,
        **counts,
        "acknowledged": sum(int(row[3] or 0) for row in rows),
        "recorded": sum(row[0] for row in rows),
        "balanced": triggers == sum(counts.values()),
        "yield": counts["good"] / judged if judged else None,
        "errors": errors,
    }


def count_recorded(engine: sa.Engine) -> Row:
    """Parts by outcome, cheap enough for a progress bar."""
    with engine.connect() as connection:
        rows = connection.execute(sa.select(verdicts.c.outcome, sa.func.count()).group_by(verdicts.c.outcome)).all()
    return {row[0]: row[1] for row in rows}


def _select(wanted: Filter) -> sa.Select[Any]:
    columns = [column for column in verdicts.columns if column.name not in ("sequence", "recipe_id")]
    return _narrow(
        _joined(
            parts,
            sessions.c.boot,
            recipes.c.product,
            recipes.c.checksum.label("recipe"),
            recipes.c.bundle,
            recipes.c.engine,
            *columns,
        ),
        wanted,
    )


def _joined(*columns: Any) -> sa.Select[Any]:
    # Outer: a part without a verdict must show as an imbalance, not vanish.
    source = parts.outerjoin(verdicts, verdicts.c.sequence == parts.c.sequence)
    source = source.join(sessions, sessions.c.id == parts.c.session_id)
    return sa.select(*columns).select_from(source.outerjoin(recipes, recipes.c.id == verdicts.c.recipe_id))


def _narrow(query: sa.Select[Any], wanted: Filter) -> sa.Select[Any]:
    # A part that was never judged has no recipe; its session still knows the product.
    product = sa.func.coalesce(recipes.c.product, sessions.c.product)
    tests: list[tuple[Any, Callable[[Any], sa.ColumnElement[bool]]]] = [
        (wanted.product, lambda value: product == value),
        (wanted.outcome, lambda value: verdicts.c.outcome == value.value),
        (wanted.since_us, lambda value: parts.c.captured_us >= value),
        (wanted.until_us, lambda value: parts.c.captured_us < value),
        (wanted.min_score, lambda value: verdicts.c.score >= value),
        (wanted.max_score, lambda value: verdicts.c.score <= value),
        (wanted.part_ref, lambda value: parts.c.part_ref == value),
        (wanted.camera, lambda value: parts.c.camera == value),
        (wanted.recipe, lambda value: recipes.c.checksum == value),
        (wanted.after, lambda value: parts.c.sequence > value),
        (wanted.last, lambda value: parts.c.sequence <= value),
    ]
    return query.where(*(test(value) for value, test in tests if value is not None))
