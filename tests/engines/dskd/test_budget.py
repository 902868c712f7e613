"""Steps, looks and the time left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.dskd.budget import (
    EXPORT_S,
    FEWEST_STEPS,
    LOOK_PICTURES,
    LOOK_SHARE,
    LOOKS,
    SCORE_COST,
    SEE_COST,
    Pace,
    count_looks,
    is_look,
    look_cost,
    steps_within,
)


@given(st.integers(1, 3000), st.integers(1, LOOK_PICTURES))
def test_looks_take_a_tenth_of_the_time_at_most_but_there_is_always_one(steps: int, pictures: int) -> None:
    looks = count_looks(steps, pictures)
    assert 1 <= looks <= LOOKS
    assert looks == 1 or looks * look_cost(pictures) <= LOOK_SHARE * steps


@given(st.integers(1, 3000), st.data())
def test_looks_are_evenly_spread_and_the_last_step_has_one(steps: int, data: st.DataObject) -> None:
    looks = data.draw(st.integers(1, min(LOOKS, steps)))
    where = [step for step in range(1, steps + 1) if is_look(step, steps, looks)]
    assert len(where) == looks
    assert where[-1] == steps
    gaps = [b - a for a, b in zip([0, *where], where)]
    assert max(gaps) - min(gaps) <= 1


@given(st.floats(10, 3600), st.floats(0.01, 20), st.integers(1, 5000), st.integers(FEWEST_STEPS, 2000))
def test_a_plan_keeps_to_its_budget_and_its_cap(seconds: float, step_s: float, select: int, most: int) -> None:
    steps = steps_within(seconds, step_s, select, most)
    assert FEWEST_STEPS <= steps <= most
    looked = min(select, LOOK_PICTURES)
    looks_s = count_looks(steps, looked) * look_cost(looked) * step_s
    total_s = steps * step_s + looks_s + EXPORT_S + SCORE_COST * SEE_COST * step_s * select
    assert total_s <= seconds or steps == FEWEST_STEPS


def test_seven_minutes_are_enough_for_the_default_on_two_cores() -> None:
    assert steps_within(7 * 60 - 15, 1.0, 30, 1000) >= 350


def test_time_left_counts_steps_looks_export_and_scoring() -> None:
    pace = Pace(steps=10, looks=2, select=40, looked=20)
    for _ in range(5):
        pace.step_took(2.0)
    pace.look_took(3.0)
    assert pace.remaining_s(5) == pytest.approx(5 * 2 + 1 * 3 + EXPORT_S + SCORE_COST * 3 * 40 / 20)


def test_before_the_first_look_its_time_is_estimated_from_the_steps() -> None:
    pace = Pace(steps=4, looks=1, select=8, looked=8)
    pace.step_took(2.0)
    look_s = look_cost(8) * 2
    assert pace.remaining_s(1) == pytest.approx(3 * 2 + look_s + EXPORT_S + SCORE_COST * look_s)
