"""Tracking: a part passes on its own proven GOOD, at its own place, and every part gets a fate."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from inspector.inspection import Outcome
from inspector.tracking import PATIENCE, Close, Fate, Layout, Odometer, Open, Tracker, Why

SENSED = Layout(gate=300, reach=8, sensor=180, tolerance=12)
BLIND = Layout(gate=300, reach=8, sensor=None, tolerance=8)
GOOD = Outcome.GOOD


def tracker(*seen_at: int, layout: Layout = SENSED) -> Tracker:
    """The belt is where the sensor has just seen the last of these parts."""
    tracker = Tracker(layout)
    for at in seen_at:
        tracker.moved(at + (layout.sensor or 0), True)
        tracker.saw(at + (layout.sensor or 0))
    return tracker


def fates(tracker: Tracker, place: int, is_serving: bool = True) -> list[tuple[int | None, Why]]:
    moves = tracker.moved(place, is_serving)
    return [(move.sequence, move.why) for move in moves if isinstance(move, Fate)]


@pytest.mark.parametrize("layout", [SENSED, BLIND])
def test_a_proven_part_opens_the_gate_when_it_is_there_and_the_gate_falls_back(layout: Layout) -> None:
    belt = tracker(*([100] if layout.sensor else []), layout=layout)
    belt.told(7, GOOD, 100)
    assert belt.moved(391, True) == []
    assert belt.moved(392, True) == [Fate(1, 7, True, Why.PROVEN), Open(7)]
    assert belt.moved(407, True) == []
    assert belt.moved(408, True) == [Close()]


def test_a_verdict_before_the_sensor_waits_for_its_part() -> None:
    belt = Tracker(SENSED)
    belt.moved(150, True)
    belt.told(7, GOOD, 100)
    belt.saw(283)  # 3 from where it was expected
    assert fates(belt, 395) == [(7, Why.PROVEN)]


@pytest.mark.parametrize("outcome", [Outcome.REJECT, Outcome.ERROR])
def test_anything_but_good_leaves_the_gate_shut(outcome: Outcome) -> None:
    belt = tracker(100)
    belt.told(7, outcome, 100)
    assert belt.moved(392, True) == [Fate(1, 7, False, Why.NOT_GOOD)]


def test_a_late_verdict_finds_its_own_part_and_moves_nothing_for_the_next() -> None:
    belt = tracker(100, 160)
    belt.told(8, GOOD, 160)
    assert fates(belt, 392) == []
    assert belt.told(7, GOOD, 100) == [Fate(1, 7, False, Why.UNPROVEN)]
    assert fates(belt, 452) == [(8, Why.PROVEN)]


def test_verdicts_may_come_in_any_order() -> None:
    belt = tracker(100, 160)
    belt.told(8, Outcome.REJECT, 160)
    belt.told(7, GOOD, 100)
    assert fates(belt, 392) == [(7, Why.PROVEN)]
    assert fates(belt, 452) == [(8, Why.NOT_GOOD)]


def test_a_double_trigger_passes_only_when_both_verdicts_are_good() -> None:
    belt = tracker(100, 200)
    belt.told(7, GOOD, 100)
    belt.told(8, Outcome.REJECT, 104)
    belt.told(9, GOOD, 200)
    belt.told(10, GOOD, 204)
    assert fates(belt, 392) == [(7, Why.NOT_GOOD), (8, Why.NOT_GOOD)]
    assert fates(belt, 492) == [(9, Why.PROVEN), (10, Why.PROVEN)]


def test_a_verdict_that_fits_two_parts_proves_neither() -> None:
    belt = tracker(100, 120)
    belt.told(7, GOOD, 110)
    assert fates(belt, 412) == [(7, Why.AMBIGUOUS), (7, Why.AMBIGUOUS)]


def test_a_part_right_behind_another_keeps_the_gate_shut_for_both() -> None:
    belt = tracker(100, 115)
    belt.told(7, GOOD, 95)
    assert fates(belt, 392) == [(7, Why.AMBIGUOUS)]


def test_nothing_passes_while_no_line_is_there() -> None:
    belt = tracker(100)
    belt.told(7, GOOD, 100)
    assert fates(belt, 392, is_serving=False) == [(7, Why.FAIL_SAFE)]


def test_an_open_gate_falls_back_when_the_line_falls_silent() -> None:
    belt = tracker(100)
    belt.told(7, GOOD, 100)
    belt.moved(395, True)
    assert belt.moved(396, False) == [Close()]


def test_a_part_that_the_line_never_saw_is_no_trigger_once_patience_ends() -> None:
    belt = tracker(100)
    assert fates(belt, 392) == []
    assert fates(belt, 392 + PATIENCE * SENSED.gate - 1) == []
    assert fates(belt, 392 + PATIENCE * SENSED.gate) == [(None, Why.NO_TRIGGER)]


def test_patience_runs_only_while_a_line_is_there() -> None:
    belt = tracker(100)
    belt.moved(392, True)
    assert fates(belt, 392 + 2 * PATIENCE * SENSED.gate, is_serving=False) == []


def test_a_part_that_the_line_forgot_in_a_crash_is_told_apart() -> None:
    belt = tracker(100)
    belt.moved(392, True)
    belt.told(7, Outcome.ERROR, None)
    assert fates(belt, 392 + PATIENCE * SENSED.gate) == [(None, Why.UNRECORDED)]


def test_a_verdict_for_which_no_part_comes_is_a_phantom() -> None:
    belt = Tracker(SENSED)
    belt.told(7, GOOD, 100)
    assert belt.moved(293, True) == []
    assert belt.phantoms == 1


def test_a_good_is_worth_nothing_once_the_part_is_at_the_gate_or_its_place_is_unknown() -> None:
    belt = tracker(100)
    belt.moved(391, True)
    assert belt.can_pass(100)
    belt.moved(392, True)
    assert not belt.can_pass(100)
    assert not belt.can_pass(None)


@given(
    gaps=st.lists(st.integers(30, 200), min_size=1, max_size=12),
    outcomes=st.lists(st.sampled_from(Outcome), min_size=12, max_size=12),
    order=st.randoms(use_true_random=False),
    untold=st.sets(st.integers(0, 11), max_size=4),
)
def test_whatever_the_order_only_parts_with_a_good_of_their_own_pass(
    gaps: list[int], outcomes: list[Outcome], order: object, untold: set[int]
) -> None:
    places = [sum(gaps[: number + 1]) for number in range(len(gaps))]
    belt = Tracker(Layout(gate=10_000, reach=8, sensor=5_000, tolerance=12))
    verdicts = [number for number in range(len(places)) if number not in untold]
    order.shuffle(verdicts)  # type: ignore[attr-defined]
    for place in places:
        belt.saw(place + 5_000)
    for number in verdicts:
        belt.told(number, outcomes[number], places[number])
    passed = [move.sequence for move in belt.moved(20_000, True) if isinstance(move, Open)]
    assert passed == [number for number in sorted(verdicts) if outcomes[number] is GOOD]


def test_an_odometer_says_where_the_belt_was_between_two_samples() -> None:
    odometer = Odometer(memory_ns=10_000)
    for now, place in ((100, 0), (200, 50), (300, 50), (400, 50), (500, 80)):
        odometer.sample(now, place)
    assert [odometer.at(then) for then in (99, 100, 150, 350, 450, 9_000)] == [None, 0, 25, 50, 65, 80]


def test_an_odometer_forgets_what_is_longer_ago_than_its_memory() -> None:
    odometer = Odometer(memory_ns=100)
    for now in range(5_000):
        odometer.sample(now, now * 2)
    assert odometer.at(10) is None
    assert odometer.at(4_950) == 9_900
