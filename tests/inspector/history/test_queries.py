"""Questions to the history: each filter, the export in pages, and an index that leads to every answer."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from inspector.history.ledger import summarise
from inspector.history.queries import Filter, each_part, list_parts
from inspector.history.writer import HistoryWriter
from inspector.inspection import Outcome

if TYPE_CHECKING:
    from tests.inspector.conftest import Make

START = 1_000_000  # of the shift


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
        (Filter(outcome=Outcome.REJECT, since_us=START + 3, until_us=START + 4), [3]),
        (Filter(outcome=Outcome.REJECT, since_us=START + 4), []),
        (Filter(outcome=Outcome.REJECT, part_ref="DMC3"), [3]),
        (Filter(since_us=START + 3_600_000_000), []),
        (Filter(until_us=0), []),
        (Filter(position=(0.25, 0.75, 0.5, 1.0)), [1, 2, 3, 4, 6]),  # all peaks lie at (0.25, 0.75); 5 has none
        (Filter(position=(0.3, 0.5, 1.0, 1.0)), []),
        (Filter(position=(0.0, 0.0, 0.5, 0.7)), []),
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
    writer.write([make.record(7)])
    with sqlite3.connect(path) as connection:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0
    assert [row["sequence"] for row in rows] == [2, 3, 4, 5, 6, 7]


def test_a_row_names_product_recipe_and_run(shift: sa.Engine) -> None:
    rows = {row["sequence"]: row for row in each_part(shift, Filter())}
    assert (rows[1]["product"], rows[1]["recipe"], rows[1]["boot"]) == ("ring", "checksum of ring", "boot1")
    assert (rows[5]["recipe"], rows[5]["outcome"], rows[5]["reason"]) == (None, "ERROR", "late")


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(outcome=Outcome.REJECT),
        Filter(outcome=Outcome.GOOD),
        Filter(since_us=START, until_us=START + 3),
        Filter(outcome=Outcome.REJECT, since_us=START, until_us=START + 3),
        Filter(part_ref="DMC3"),
        Filter(part_ref="DMC3", outcome=Outcome.REJECT, since_us=START),
    ],
    ids=str,
)
def test_no_list_sorts_or_walks_what_an_index_has(shift: sa.Engine, wanted: Filter) -> None:
    """A sort reads all that fit before it gives the first row."""
    asked: list[tuple[str, object]] = []
    sa.event.listen(shift, "before_cursor_execute", lambda *event: asked.append((event[2], event[3])))
    list_parts(shift, wanted, 50)
    with shift.connect() as connection:
        statement, values = asked[0]
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]  # type: ignore[arg-type]
    assert not [step for step in plan if "TEMP B-TREE" in step]
    scans = [step for step in plan if step.startswith("SCAN")]
    assert scans == (["SCAN parts"] if wanted == Filter() else [])  # along its own numbers, which LIMIT ends
