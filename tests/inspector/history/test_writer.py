"""The writer: one row per part for ever, whatever is learnt of it and in what order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import HistoryError
from inspector.history.tables import metadata, parts, recipes, sessions, verdicts
from inspector.history.writer import HistoryWriter, Session, advance, settled
from inspector.inspection import CameraFault, Outcome, Reason, Record
from inspector.job import make_job
from inspector.messages import Entry

if TYPE_CHECKING:
    from tests.inspector.conftest import Make

Row = dict[str, Any]


def row(engine: sa.Engine, sequence: int) -> Row:
    query = sa.select(parts, verdicts).join(verdicts).where(parts.c.sequence == sequence)
    with engine.connect() as connection:
        return dict(connection.execute(query).mappings().one())


def count(engine: sa.Engine, table: sa.Table) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


def expired(record: Record, reason: Reason = Reason.LATE) -> Record:
    """The same part while nothing but the end of its window is known."""
    return replace(
        record,
        outcome=Outcome.ERROR,
        reason=reason,
        inspection=None,
        verdict=None,
        score=None,
        acknowledged=False,
        acknowledged_ns=None,
    )


def from_journal(make: Make, sequence: int, boot: str = "boot0") -> Record:
    """A part that only the journal knows."""
    return Record(sequence, boot, Outcome.GOOD, None, 123, "DMC7", None, None, None, 0.25, True, 5)


# -- what is kept of a part ----------------------------------------------------------------------------------------


def test_a_settled_part_is_kept_with_everything_known_of_it(
    database: sa.Engine, writer: HistoryWriter, make: Make
) -> None:
    writer.write([make.record(7, Outcome.REJECT, value=2.5)])
    kept = row(database, 7)
    expected = {
        "sequence": 7,
        "camera": "camera",
        "block_id": 7,
        "outcome": "REJECT",
        "judged": "REJECT",
        "band": "clear",
        "reason": "above_limit",
        "acknowledged": True,
        "score": 2.5,
        "peak_x": 0.25,
        "peak_y": 0.75,
        "area": 0.125,
        "threshold": 2.0,
        "queue_ms": 1.0,
        "prepare_ms": 2.0,
        "infer_ms": 3.0,
        "score_ms": 4.0,
        "verdict_ms": 10.0,
        "ack_ms": 20.0,
        "margin_ms": 80.0,
    }
    assert {name: kept[name] for name in expected} == expected


def test_a_camera_fault_is_kept_as_a_part_without_a_score(
    database: sa.Engine, writer: HistoryWriter, make: Make
) -> None:
    fault = CameraFault("camera", 3, 1_000_000_000, 55, Reason.LOST_FRAME, "block id 3 never came")
    part = make.part(1, fault)
    seen = make.inspection(part, None, Reason.LOST_FRAME)
    record = replace(make.record(1, Outcome.ERROR), part=part, inspection=seen, score=None, reason=Reason.LOST_FRAME)
    writer.write([record])
    kept = row(database, 1)
    assert (kept["block_id"], kept["reason"], kept["score"]) == (3, "lost_frame", None)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_that_is_not_finite_does_not_break_the_batch(
    database: sa.Engine, writer: HistoryWriter, make: Make, value: float
) -> None:
    writer.write([make.record(1, Outcome.ERROR, value=value), make.record(2)])
    assert row(database, 1)["outcome"] == "ERROR"
    assert row(database, 2)["outcome"] == "GOOD"


def test_a_very_long_detail_is_cut_to_its_column(database: sa.Engine, writer: HistoryWriter, make: Make) -> None:
    record = make.record(1, Outcome.ERROR)
    assert record.verdict is not None
    writer.write([replace(record, verdict=replace(record.verdict, detail="x" * 9999))])
    assert row(database, 1)["detail"] == "x" * 500


# -- what is learnt later ------------------------------------------------------------------------------------------


def test_a_part_that_expired_and_is_acknowledged_later_gets_the_journals_outcome(
    database: sa.Engine, writer: HistoryWriter, make: Make
) -> None:
    record = make.record(1)
    writer.write([expired(record)])
    assert (row(database, 1)["outcome"], row(database, 1)["acknowledged"]) == ("ERROR", False)
    writer.write([record])
    kept = row(database, 1)
    assert (kept["outcome"], kept["reason"], kept["acknowledged"], kept["score"]) == ("GOOD", None, True, 1.0)
    assert (count(database, parts), count(database, verdicts)) == (1, 1)


def test_expired_and_settled_in_one_batch_are_one_row(database: sa.Engine, writer: HistoryWriter, make: Make) -> None:
    writer.write([expired(make.record(1)), make.record(1)])
    assert (row(database, 1)["outcome"], count(database, verdicts)) == ("GOOD", 1)


def test_a_late_inspection_adds_its_score_but_never_changes_the_outcome(
    database: sa.Engine, writer: HistoryWriter, make: Make
) -> None:
    judged = make.record(1)
    late = replace(expired(judged), acknowledged=True, acknowledged_ns=judged.acknowledged_ns)
    writer.write([late])
    writer.write([replace(late, inspection=judged.inspection, verdict=judged.verdict)])
    kept = row(database, 1)
    assert (kept["outcome"], kept["reason"]) == ("ERROR", "late")
    assert (kept["judged"], kept["score"], kept["infer_ms"]) == ("GOOD", 1.0, 3.0)


def test_a_recovered_entry_completes_a_row_and_empties_nothing(
    database: sa.Engine, writer: HistoryWriter, make: Make
) -> None:
    full = make.record(1)
    writer.write([full])
    before = row(database, 1)
    bare = replace(full, part=None, inspection=None, verdict=None, score=None)
    writer.write([bare])
    assert row(database, 1) == before


def test_a_part_that_only_the_journal_knows_is_kept_under_its_own_run(
    database: sa.Engine, writer: HistoryWriter, make: Make
) -> None:
    writer.write([from_journal(make, 1), make.record(2)])
    with database.connect() as connection:
        query = sa.select(sessions.c.boot).join(parts).order_by(parts.c.sequence)
        assert connection.execute(query).scalars().all() == ["boot0", "boot1"]
    kept = row(database, 1)
    assert (kept["captured_us"], kept["part_ref"], kept["score"], kept["camera"]) == (123, "DMC7", 0.25, None)


def test_a_part_stays_with_the_run_that_numbered_it(database: sa.Engine, writer: HistoryWriter, make: Make) -> None:
    writer.write([make.record(1)])
    writer.write([replace(make.record(1), boot="boot2")])
    with database.connect() as connection:
        assert connection.execute(sa.select(sessions.c.boot).join(parts)).scalars().all() == ["boot1"]


def test_sessions_and_recipes_are_kept_once(database: sa.Engine, session: Session, make: Make) -> None:
    for _ in range(2):
        HistoryWriter(database, session, make.recipe())
    HistoryWriter(database, replace(session, boot="boot2"), make.recipe("other"))
    assert (count(database, sessions), count(database, recipes)) == (2, 2)


# -- where a restart goes on ---------------------------------------------------------------------------------------


def test_an_empty_history_has_settled_nothing(writer: HistoryWriter) -> None:
    assert writer.settled() == 0
    assert writer.expired() == {}


def test_a_missing_first_part_is_a_gap_like_any_other(writer: HistoryWriter, make: Make) -> None:
    """Part 2 was settled before part 1, then the line was killed: the journal must be asked for part 1."""
    writer.write([make.record(2), make.record(3)])
    assert writer.settled() == 0
    writer.write([make.record(1)])
    assert writer.settled() == 3


def test_an_expired_part_is_told_again_as_it_is_kept(writer: HistoryWriter, make: Make) -> None:
    writer.write([make.record(1), replace(expired(make.record(2)), part_ref="DMC2", score=4.5)])
    assert writer.settled() == 1
    assert writer.expired() == {
        2: Entry(
            sequence=2,
            boot="",
            outcome=Outcome.ERROR,
            reason=Reason.LATE,
            captured_us=make.record(2).captured_us,
            part_ref="DMC2",
            score=4.5,
        )
    }


@contextmanager
def in_memory() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@given(st.dictionaries(st.integers(1, 12), st.sampled_from([True, True, True, False]), max_size=12))
@settings(max_examples=200, deadline=None)
def test_settled_is_the_end_of_the_unbroken_acknowledged_beginning(rows: dict[int, bool]) -> None:
    expected = 0
    while rows.get(expected + 1, False):
        expected += 1
    with in_memory() as connection:
        for sequence, acknowledged in rows.items():
            values = {"sequence": sequence, "outcome": "GOOD", "acknowledged": acknowledged}
            connection.execute(sa.insert(verdicts), values)
        assert settled(connection) == expected


@given(st.lists(st.dictionaries(st.integers(1, 8), st.booleans(), max_size=4), max_size=6))
@settings(max_examples=40, deadline=None)
def test_the_kept_progress_changes_nothing_but_the_way(batches: list[dict[int, bool]]) -> None:
    """What was settled once may even be told as unacknowledged again."""
    rows: dict[int, bool] = {}
    with in_memory() as connection:
        for batch in batches:
            rows |= batch
            connection.execute(sa.delete(verdicts).where(verdicts.c.sequence.in_(batch)))
            for sequence, acknowledged in batch.items():
                values = {"sequence": sequence, "outcome": "GOOD", "acknowledged": acknowledged}
                connection.execute(sa.insert(verdicts), values)
            advance(connection)
            expected = 0
            while rows.get(expected + 1, False):
                expected += 1
            assert settled(connection) == expected


def test_a_restart_does_not_walk_over_what_was_settled_before(
    database: sa.Engine, writer: HistoryWriter, make: Make
) -> None:
    writer.write([make.record(sequence) for sequence in range(1, 1001)])
    steps: list[int] = []
    with database.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.set_progress_handler(lambda: steps.append(1), 100)
        assert settled(connection) == 1000
        driver.set_progress_handler(None, 0)
    assert len(steps) < 5  # of 100 instructions each; a walk grows with the parts
    assert writer.expired() == {}


# -- when the disk is full -----------------------------------------------------------------------------------------


def fill_up(database: sa.Engine, spare_pages: int = 0) -> None:
    with database.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {int(pages or 0) + spare_pages}")


def make_room(database: sa.Engine) -> None:
    with database.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")


@pytest.mark.parametrize("spare_pages", [0, 3])
def test_a_full_disk_is_named_and_nothing_of_the_batch_is_written(
    database: sa.Engine, writer: HistoryWriter, make: Make, spare_pages: int
) -> None:
    writer.write([make.record(1)])
    fill_up(database, spare_pages)
    batch = [from_journal(make, 2), *(make.record(sequence) for sequence in range(3, 500))]
    with pytest.raises(HistoryError, match=r"498 verdicts.*SQLITE_FULL|498 verdicts.*full"):
        writer.write(batch)
    assert (count(database, parts), count(database, verdicts), count(database, sessions)) == (1, 1, 1)
    make_room(database)
    writer.write(batch)
    assert (count(database, parts), count(database, verdicts), count(database, sessions)) == (499, 499, 2)
    assert writer.settled() == 499


def test_a_session_that_cannot_be_registered_is_an_error(database: sa.Engine, session: Session, make: Make) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql("DROP TABLE recipes")
    with pytest.raises(HistoryError, match="recipes"):
        HistoryWriter(database, session, make.recipe())


def test_each_part_has_the_recipe_that_it_was_numbered_under(
    database: sa.Engine, writer: HistoryWriter, make: Make
) -> None:
    """Also one that nobody judged in time, and also after a batch that the database refused."""
    rows = []
    for sequence, name in enumerate(("ring", "disc", "cup", "disc"), 1):
        record = make.record(sequence)
        assert record.part is not None
        part = replace(record.part, job=make_job(make.recipe(name), []))
        rows.append(replace(record, part=part, verdict=None if name == "cup" else record.verdict))
    with pytest.raises(HistoryError):
        writer.write([replace(rows[1], inspection=None, score=object())])  # type: ignore[arg-type]
    writer.write(rows)
    query = sa.select(recipes.c.product).join(verdicts).order_by(verdicts.c.sequence)
    with database.connect() as connection:
        assert list(connection.execute(query).scalars()) == ["ring", "disc", "cup", "disc"]
