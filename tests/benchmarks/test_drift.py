"""The drift benchmark: its changes are what they are called, and a row that misses its figure says so."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from drift import MOST_DELAY, QUICK, Plan, Table, begin, changed, larger_tail, more_tail

from calibration.drift import Snapshot

FEW = 12
SHORT = Plan(QUICK.run_length, 40, 400)


@pytest.fixture(scope="module")
def table() -> Table:
    return np.random.default_rng(0).normal(size=(400, 5))


@pytest.fixture(scope="module")
def begun(table: Table) -> list[Snapshot | None]:
    return [begin(table, stream, SHORT) for stream in range(FEW)]


def test_the_excess_over_the_median_is_doubled_and_the_frames_stay(table: Table) -> None:
    after = larger_tail(table)
    middle = np.median(table[:, 0])
    assert after[:, 0].max() - middle == pytest.approx(2 * (table[:, 0].max() - middle))
    assert (np.sort(after[:, 0])[:200] == np.sort(table[:, 0])[:200]).all()
    assert (after[:, 1:] == table[:, 1:]).all()


def test_the_largest_tenth_comes_twice_as_often(table: Table) -> None:
    limit = np.quantile(table[:, 0], 0.9)
    assert (more_tail(table)[:, 0] > limit).mean() == pytest.approx(0.2)


def test_a_change_that_is_seen_soon_and_named_rightly_holds(table: Table, begun: list[Snapshot | None]) -> None:
    darker = table - [0, 3, 0, 0, 0]
    row = changed(begun, darker, "frame", SHORT)
    assert row["median_delay"] <= 20
    assert row["holds"]
    assert not changed(begun, darker, "part", SHORT)["holds"]


def test_no_change_at_all_is_not_seen_in_time(table: Table, begun: list[Snapshot | None]) -> None:
    row = changed(begun, table, "frame", dataclasses.replace(SHORT, run_length=10**9))
    assert row["median_delay"] > MOST_DELAY
    assert not row["holds"]
