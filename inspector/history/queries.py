"""Questions to the history. Read-only, short, as plain rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from inspector.history.tables import parts, recipes, sessions, tallies, verdicts
from inspector.history.tallies import HOUR_US
from inspector.inspection import Outcome

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which parts; None means any. Times are UTC microseconds, `until_us` exclusive.

    Attributes:
        position: (left, top, right, bottom), shares of the inspected region; the box in which the highest anomaly lies.
    """

    product: str | None = None
    outcome: Outcome | None = None
    since_us: int | None = None
    until_us: int | None = None
    min_score: float | None = None
    max_score: float | None = None
    part_ref: str | None = None
    camera: str | None = None
    position: tuple[float, float, float, float] | None = None
    recipe: str | None = None  # checksum
    after: int | None = None  # sequence
    last: int | None = None  # sequence


def list_parts(engine: sa.Engine, wanted: Filter, limit: int) -> list[Row]:
    """The newest parts that fit, newest first."""
    with engine.connect() as connection:
        query = _select(wanted).order_by(walked(wanted).desc()).limit(limit)
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
        query = _select(wanted).order_by(walked(wanted)).limit(limit)
        return [dict(row) for row in connection.execute(query).mappings()]


def walked(wanted: Filter) -> sa.Column[int]:
    """The number along which an index leads through the parts that fit, without a sort."""
    by_outcome = wanted.outcome is not None and wanted.part_ref is None
    return verdicts.c.sequence if by_outcome else parts.c.sequence


def _select(wanted: Filter) -> sa.Select[Any]:
    columns = [column for column in verdicts.columns if column.name not in ("sequence", "recipe_id")]
    named = (recipes.c.product, recipes.c.checksum.label("recipe"), recipes.c.bundle, recipes.c.engine)
    return select_parts(wanted, parts, sessions.c.boot, *named, *columns)


def select_parts(wanted: Filter, *columns: Any) -> sa.Select[Any]:
    """Columns of the parts that fit, of the tables parts, verdicts, sessions and recipes."""
    # Outer: a part without a verdict must show as an imbalance, not vanish.
    source = parts.outerjoin(verdicts, verdicts.c.sequence == parts.c.sequence)
    source = source.join(sessions, sessions.c.id == parts.c.session_id)
    query = sa.select(*columns).select_from(source.outerjoin(recipes, recipes.c.id == verdicts.c.recipe_id))
    return query.where(*_within(wanted), *_fits(wanted))


def _within(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    if wanted.since_us is None and wanted.until_us is None:
        return []
    # Time by way of the numbers: the tallies know which numbers an hour had, and rows lie by number. An index of
    # times would cost every insert, and make the database sort what is in order already.
    captured = parts.c.captured_us
    hours = [tallies.c.hour_us >= (0 if wanted.since_us is None else wanted.since_us - wanted.since_us % HOUR_US)]
    times = []
    if wanted.since_us is not None:
        times.append(captured >= wanted.since_us)
    if wanted.until_us is not None:
        times.append(captured < wanted.until_us)
        hours.append(tallies.c.hour_us < wanted.until_us)
    first = sa.select(sa.func.min(tallies.c.first_sequence)).where(*hours).scalar_subquery()
    last = sa.select(sa.func.max(tallies.c.last_sequence)).where(*hours).scalar_subquery()
    return [*times, walked(wanted).between(first, last)]


def _fits(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    tests: list[tuple[Any, Callable[[Any], sa.ColumnElement[bool]]]] = [
        (wanted.product, lambda value: product == value),
        (wanted.outcome, lambda value: verdicts.c.outcome == value.value),
        (wanted.min_score, lambda value: verdicts.c.score >= value),
        (wanted.max_score, lambda value: verdicts.c.score <= value),
        (wanted.part_ref, lambda value: parts.c.part_ref == value),
        (wanted.camera, lambda value: parts.c.camera == value),
        (wanted.recipe, lambda value: recipes.c.checksum == value),
        (wanted.after, lambda value: walked(wanted) > value),
        (wanted.last, lambda value: walked(wanted) <= value),
        (wanted.position, _lies_in),
    ]
    return [test(value) for value, test in tests if value is not None]


def _lies_in(position: tuple[float, float, float, float]) -> sa.ColumnElement[bool]:
    left, top, right, bottom = position
    return verdicts.c.peak_x.between(left, right) & verdicts.c.peak_y.between(top, bottom)


# A part that was never judged has no recipe; its session still knows the product.
product = sa.func.coalesce(recipes.c.product, sessions.c.product)
