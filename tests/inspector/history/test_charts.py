"""Charts: limits as the textbook has them, and every reject counted once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from engines.scoring import Score
from inspector.history.charts import p_chart, pareto_by_position, pareto_by_zone
from inspector.history.queries import Filter, Row
from inspector.history.writer import HistoryWriter
from inspector.inspection import Outcome, Record

if TYPE_CHECKING:
    from tests.inspector.conftest import Make


def period(start_us: int, good: int, reject: int, error: int = 0) -> Row:
    return {"start_us": start_us, "good": good, "reject": reject, "error": error}


def test_limits_are_three_sigmas_of_the_period_s_own_size() -> None:
    """centre 0.02; sigma of 1,000 parts sqrt(0.02 * 0.98 / 1000) = 0.0044272, of 100 parts 0.014."""
    large, small = p_chart([period(0, 980, 20), period(1, 98, 2, error=50)])
    assert large["centre_per_1000"] == pytest.approx(20.0)
    assert (large["lower_per_1000"], large["upper_per_1000"]) == pytest.approx((6.7184, 33.2816), abs=1e-3)
    assert (small["lower_per_1000"], small["upper_per_1000"]) == pytest.approx((0.0, 62.0), abs=1e-9)
    assert (small["judged"], small["rejects_per_1000"]) == (100, pytest.approx(20.0))


def test_a_period_beyond_its_limits_is_marked_and_no_other() -> None:
    points = p_chart([period(number, 990, 10) for number in range(20)] + [period(20, 960, 40), period(21, 1000, 0)])
    assert [point["start_us"] for point in points if point["outside"]] == [20, 21]


def test_a_period_without_a_judged_part_has_no_point() -> None:
    assert p_chart([]) == []
    assert [point["start_us"] for point in p_chart([period(0, 0, 0, error=9), period(1, 5, 0)])] == [1]


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=20))
def test_limits_are_shares_around_the_centre(counts: list[tuple[int, int]]) -> None:
    for point in p_chart([period(number, *pair) for number, pair in enumerate(counts)]):
        assert 0 <= point["lower_per_1000"] <= point["centre_per_1000"] <= point["upper_per_1000"] <= 1000


def reject(make: Make, sequence: int, peak: tuple[float, float], zones: dict[str, float]) -> Record:
    record = make.record(sequence, Outcome.REJECT)
    assert record.inspection is not None
    score = Score(value=4.0, peak=peak, area=0.1, zones=zones)
    return replace(record, inspection=replace(record.inspection, score=score))


@pytest.fixture
def rejects(writer: HistoryWriter, reader: sa.Engine, make: Make) -> sa.Engine:
    """Three in the last cell, one in the first, one of which nothing is known; and good ones, which don't count."""
    bare = replace(make.record(5, Outcome.REJECT), inspection=None)
    rows = [
        reject(make, 1, (1.0, 1.0), {"rim": 2.0, "face": 4.0}),
        reject(make, 2, (0.99, 0.8), {"rim": 2.0, "face": 4.0}),
        reject(make, 3, (0.75, 0.75), {"rim": 3.0, "face": 1.0}),
        reject(make, 4, (0.0, 0.24), {}),
    ]
    writer.write([*rows, bare, make.record(6), make.record(7, Outcome.ERROR)])
    return reader


def test_rejects_are_counted_by_the_cell_that_they_lie_in(rejects: sa.Engine) -> None:
    rows = pareto_by_position(rejects, Filter())
    assert [(row["where"], row["rejects"]) for row in rows] == [
        ("column 4, row 4", 3),
        ("column 1, row 1", 1),
        ("not known", 1),
    ]
    assert [row["share"] for row in rows] == pytest.approx([0.6, 0.2, 0.2])
    assert [row["cumulative"] for row in rows] == pytest.approx([0.6, 0.8, 1.0])
    assert [row["rejects"] for row in pareto_by_position(rejects, Filter(), grid=1)] == [4, 1]


def test_rejects_are_counted_by_the_zone_that_scores_highest(rejects: sa.Engine) -> None:
    rows = pareto_by_zone(rejects, Filter())
    assert [(row["where"], row["rejects"]) for row in rows] == [("face", 2), ("no zone", 2), ("rim", 1)]
    assert pareto_by_zone(rejects, Filter(product="disc")) == []
