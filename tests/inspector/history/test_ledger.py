"""The ledger: it balances, tells when it does not, and its tallies never say anything but what the rows say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspector.errors import HistoryError
from inspector.history.ledger import count_recorded, summarise, trend
from inspector.history.queries import Filter
from inspector.history.tables import metadata, tallies, verdicts
from inspector.history.tallies import HOUR_US
from inspector.history.writer import HistoryWriter, Session
from inspector.inspection import Outcome, Reason, Record

if TYPE_CHECKING:
    from tests.inspector.conftest import Make

times = st.one_of(st.none(), st.integers(0, 4 * HOUR_US))
bounds = st.one_of(st.none(), st.integers(0, 4).map(lambda hours: hours * HOUR_US), st.integers(0, 4 * HOUR_US))


@contextmanager
def in_memory(make: Make) -> Iterator[tuple[sa.Engine, HistoryWriter]]:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    metadata.create_all(engine)
    yield engine, HistoryWriter(engine, Session("boot1", "line", 1, "ring", "", "", ""), make.recipe())
    engine.dispose()


@st.composite
def batches(draw: st.DrawFn) -> list[list[tuple[int, int | None, Outcome, bool, bool]]]:
    """Parts in any order, some again and again: number, time, outcome, acknowledged, seen by the line."""
    fact = st.tuples(st.integers(1, 8), times, st.sampled_from(Outcome), st.booleans(), st.booleans())
    return draw(st.lists(st.lists(fact, min_size=1, max_size=5), max_size=4))


def told(make: Make, fact: tuple[int, int | None, Outcome, bool, bool]) -> Record:
    sequence, captured_us, outcome, acknowledged, is_seen = fact
    record = replace(make.record(sequence, outcome, acknowledged), captured_us=captured_us)
    return record if is_seen else replace(record, part=None, inspection=None, verdict=None)


@given(batches(), bounds, bounds, st.sampled_from([None, *Outcome]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tallies_say_what_the_rows_say_whatever_is_learnt_late(
    make: Make,
    facts: list[list[tuple[int, int | None, Outcome, bool, bool]]],
    since: int | None,
    until: int | None,
    outcome: Outcome | None,
) -> None:
    with in_memory(make) as (engine, writer):
        for batch in facts:
            writer.write([told(make, fact) for fact in batch])
        wanted = Filter(since_us=since, until_us=until, outcome=outcome)
        assert summarise(engine, wanted) == summarise(engine, wanted, recount=True)
        periods = trend(engine, wanted, "hour")
        timed = replace(wanted, since_us=wanted.since_us or 0)
        expected = summarise(engine, timed, recount=True)
        assert sum(period["good"] + period["reject"] + period["error"] for period in periods) == expected["recorded"]


def test_a_refused_batch_leaves_the_tallies_alone(writer: HistoryWriter, reader: sa.Engine, make: Make) -> None:
    writer.write([make.record(1), make.record(2, Outcome.REJECT)])
    before = summarise(reader, Filter())
    with pytest.raises(HistoryError):
        writer.write([make.record(3), replace(make.record(4), inspection=None, score=object())])  # type: ignore[arg-type]
    assert summarise(reader, Filter()) == summarise(reader, Filter(), recount=True) == before


def test_a_whole_day_is_counted_without_a_look_at_its_rows(shift: sa.Engine, database: sa.Engine) -> None:
    with database.begin() as connection:
        connection.execute(sa.delete(verdicts))
    assert summarise(shift, Filter(since_us=0, until_us=24 * HOUR_US))["good"] == 4
    assert summarise(shift, Filter(since_us=0, until_us=24 * HOUR_US), recount=True)["good"] == 0


def test_a_reason_that_no_part_has_any_more_is_not_named(
    writer: HistoryWriter, reader: sa.Engine, database: sa.Engine, make: Make
) -> None:
    late = replace(make.record(1), outcome=Outcome.ERROR, reason=Reason.LATE, acknowledged=False)
    writer.write([late])
    assert summarise(reader, Filter())["errors"] == {"late": 1}
    writer.write([make.record(1)])
    assert summarise(reader, Filter())["errors"] == {}
    assert count_recorded(reader) == {"GOOD": 1}
    with database.connect() as connection:
        assert sorted(connection.execute(sa.select(tallies.c.parts)).scalars()) == [0, 1]


@pytest.mark.parametrize(("by", "starts"), [("hour", [0, 23, 24, 49]), ("day", [0, 24, 48])])
def test_a_trend_has_the_periods_that_had_parts(
    writer: HistoryWriter, reader: sa.Engine, make: Make, by: str, starts: list[int]
) -> None:
    hours = (0.5, 23, 23.99, 24, 49)
    outcomes = (Outcome.GOOD, Outcome.GOOD, Outcome.REJECT, Outcome.ERROR, Outcome.GOOD)
    records = [make.record(number, outcome) for number, outcome in enumerate(outcomes, 1)]
    writer.write([replace(record, captured_us=int(hour * HOUR_US)) for record, hour in zip(records, hours)])
    periods = {period["start_us"] // HOUR_US: period for period in trend(reader, Filter(), by)}
    assert sorted(periods) == starts
    assert periods[24] == {
        "start_us": 24 * HOUR_US,
        "good": 0,
        "reject": 0,
        "error": 1,
        "yield": None,
        "rejects_per_1000": None,
    }
    assert sum(period["reject"] for period in periods.values()) == 1
    with_reject = periods[23 if by == "hour" else 0]
    assert with_reject["rejects_per_1000"] == pytest.approx(1000 / (with_reject["good"] + 1))


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
    ledger = summarise(shift, Filter(), recount=True)
    assert (ledger["triggers"], ledger["balanced"]) == (6, False)
    assert ledger["good"] + ledger["reject"] + ledger["error"] == 5


def test_an_empty_history_balances_and_has_no_yield(writer: HistoryWriter, reader: sa.Engine) -> None:
    ledger = summarise(reader, Filter())
    assert (ledger["triggers"], ledger["balanced"], ledger["yield"]) == (0, True, None)


def test_unacknowledged_parts_are_counted_as_such(writer: HistoryWriter, reader: sa.Engine, make: Make) -> None:
    writer.write([make.record(1), make.record(2, Outcome.ERROR, acknowledged=False)])
    ledger = summarise(reader, Filter())
    assert (ledger["acknowledged"], ledger["triggers"], ledger["balanced"]) == (1, 2, True)
