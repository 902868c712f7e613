"""Questions to the history: each filter, the export in pages, and a ledger that tells when it does not balance."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from inspector.history.queries import Filter, count_recorded, each_part, list_parts, summarise
from inspector.history.tables import verdicts
from inspector.history.writer import HistoryWriter, Session
from inspector.inspection import Outcome, Reason, Record

if TYPE_CHECKING:
    from tests.inspector.conftest import Make

START = 1_000_000


def record(make: Make, sequence: int, outcome: Outcome, value: float | None, reference: str | None = None) -> Record:
    kept = make.record(sequence, outcome, value=value)
    return replace(kept, captured_us=START + sequence, part_ref=reference)


@pytest.fixture
def shift(writer: HistoryWriter, reader: sa.Engine, database: sa.Engine, session: Session, make: Make) -> sa.Engine:
    """Parts 1 to 5 are rings: three good, a reject, and an error that was never judged; part 6 is a disc."""
    unjudged = replace(record(make, 5, Outcome.ERROR, None), verdict=None, inspection=None, reason=Reason.LATE)
    writer.write(
        [
            record(make, 1, Outcome.GOOD, 0.5),
            record(make, 2, Outcome.GOOD, 1.0, "DMC2"),
            record(make, 3, Outcome.REJECT, 4.0, "DMC3"),
            record(make, 4, Outcome.GOOD, 1.5),
            unjudged,
        ]
    )
    other = HistoryWriter(database, replace(session, boot="boot2", product="disc"), make.recipe("disc"))
    other.write([replace(record(make, 6, Outcome.GOOD, 0.1), boot="boot2")])
    return reader


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(), [1, 2, 3, 4, 5, 6]),
        (Filter(product="ring"), [1, 2, 3, 4, 5]),  # the unjudged one too: its run knows the product
        (Filter(product="disc"), [6]),
        (Filter(product="nothing"), []),
        (Filter(outcome=Outcome.GOOD), [1, 2, 4, 6]),
        (Filter(outcome=Outcome.ERROR), [5]),
        (Filter(since_us=START + 3), [3, 4, 5, 6]),
        (Filter(until_us=START + 3), [1, 2]),
        (Filter(since_us=START + 2, until_us=START + 4), [2, 3]),
        (Filter(min_score=1.0), [2, 3, 4]),
        (Filter(max_score=0.5), [1, 6]),
        (Filter(part_ref="DMC3"), [3]),
        (Filter(product="ring", outcome=Outcome.GOOD, min_score=1.0), [2, 4]),
    ],
    ids=str,
)
def test_a_filter_gives_the_parts_it_names(shift: sa.Engine, wanted: Filter, expected: list[int]) -> None:
    assert [row["sequence"] for row in each_part(shift, wanted)] == expected
    assert [row["sequence"] for row in list_parts(shift, wanted, 100)] == expected[::-1]
    assert summarise(shift, wanted)["triggers"] == len(expected)


def test_a_list_is_limited_to_the_newest(shift: sa.Engine) -> None:
    assert [row["sequence"] for row in list_parts(shift, Filter(), 2)] == [6, 5]


@pytest.mark.parametrize("page", [1, 2, 3, 6, 7])
def test_an_export_gives_every_part_once_whatever_the_page(shift: sa.Engine, page: int) -> None:
    assert [row["sequence"] for row in each_part(shift, Filter(), page)] == [1, 2, 3, 4, 5, 6]


def test_an_export_holds_no_transaction_between_pages(
    shift: sa.Engine, path: Path, writer: HistoryWriter, make: Make
) -> None:
    rows = each_part(shift, Filter(), page=2)
    assert next(rows)["sequence"] == 1
    writer.write([record(make, 7, Outcome.GOOD, 0.1)])
    with sqlite3.connect(path) as connection:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0
    assert [row["sequence"] for row in rows] == [2, 3, 4, 5, 6, 7]


def test_a_row_names_product_recipe_and_run(shift: sa.Engine) -> None:
    rows = {row["sequence"]: row for row in each_part(shift, Filter())}
    assert (rows[1]["product"], rows[1]["recipe"], rows[1]["boot"]) == ("ring", "checksum of ring", "boot1")
    assert (rows[5]["recipe"], rows[5]["outcome"], rows[5]["reason"]) == (None, "ERROR", "late")


def test_the_ledger_balances_and_counts_errors_by_reason(shift: sa.Engine) -> None:
    assert summarise(shift, Filter()) == {
        "triggers": 6,
        "good": 4,
        "reject": 1,
        "error": 1,
        "acknowledged": 6,
        "recorded": 6,
        "balanced": True,
        "yield": 0.8,
        "errors": {"late": 1},
    }
    assert count_recorded(shift) == {"GOOD": 4, "REJECT": 1, "ERROR": 1}


def test_the_ledger_shows_a_part_that_has_no_verdict(shift: sa.Engine, database: sa.Engine) -> None:
    with database.begin() as connection:
        connection.execute(sa.delete(verdicts).where(verdicts.c.sequence == 3))
    ledger = summarise(shift, Filter())
    assert (ledger["triggers"], ledger["balanced"]) == (6, False)
    assert ledger["good"] + ledger["reject"] + ledger["error"] == 5


def test_an_empty_history_balances_and_has_no_yield(writer: HistoryWriter, reader: sa.Engine) -> None:
    ledger = summarise(reader, Filter())
    assert (ledger["triggers"], ledger["balanced"], ledger["yield"]) == (0, True, None)


def test_unacknowledged_parts_are_counted_as_such(writer: HistoryWriter, reader: sa.Engine, make: Make) -> None:
    writer.write([make.record(1), make.record(2, Outcome.ERROR, acknowledged=False)])
    ledger = summarise(reader, Filter())
    assert (ledger["acknowledged"], ledger["triggers"], ledger["balanced"]) == (1, 2, True)
