"""Tallies: the parts of each hour counted by what they have in common, so that no question counts millions of rows.

A batch's parts are taken out of the counts as they were and put back as they are, in the transaction that changes them.
So the counts follow every row, also one that is completed late, and are never rebuilt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from inspector.history.tables import parts, tallies, verdicts

HOUR_US = 3_600_000_000
NO_TIME = -1  # the hour of parts that left no trace but their number

_KEY = [column for column in tallies.columns if column.primary_key]
hour = sa.func.coalesce(parts.c.captured_us - parts.c.captured_us % HOUR_US, NO_TIME)


@contextmanager
def counted(connection: sa.Connection, sequences: Sequence[int]) -> Iterator[None]:
    """Inside, the rows of these parts may change; the counts follow."""
    _add(connection, sequences, -1)
    yield
    _add(connection, sequences, 1)


def _add(connection: sa.Connection, sequences: Sequence[int], sign: int) -> None:
    connection.execute(_ADD, {"sequences": msgspec.json.encode(sorted(set(sequences))).decode(), "sign": sign})


def _adding() -> sa.Insert:
    # json_each: one statement whatever the size of the batch.
    named = sa.func.json_each(sa.bindparam("sequences", type_=sa.String)).table_valued("value")
    new = insert(tallies).from_select(
        [column.name for column in tallies.columns],
        grouped(sa.bindparam("sign", type_=sa.Integer)).where(parts.c.sequence.in_(sa.select(named.c.value))),
    )
    return new.on_conflict_do_update(
        index_elements=_KEY,
        set_={
            "parts": tallies.c.parts + new.excluded.parts,
            "first_sequence": sa.func.min(tallies.c.first_sequence, new.excluded.first_sequence),
            "last_sequence": sa.func.max(tallies.c.last_sequence, new.excluded.last_sequence),
        },
    )


def grouped(sign: sa.ColumnElement[int]) -> sa.Select[tuple[object, ...]]:
    """Rows counted as tallies keep them, each part `sign` times."""
    key = [
        hour,
        parts.c.session_id,
        sa.func.coalesce(verdicts.c.recipe_id, 0),
        sa.func.coalesce(parts.c.camera, ""),
        sa.func.coalesce(verdicts.c.outcome, ""),
        sa.func.coalesce(verdicts.c.reason, ""),
        sa.func.coalesce(verdicts.c.acknowledged, sa.false()),
    ]
    source = parts.outerjoin(verdicts, verdicts.c.sequence == parts.c.sequence)
    sequence = parts.c.sequence
    counts = [sign * sa.func.count(), sa.func.min(sequence), sa.func.max(sequence)]
    return sa.select(*key, *counts).select_from(source).group_by(*key)


_ADD = _adding()
