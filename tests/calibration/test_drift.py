"""Drift: a stated run length, and a cause that is named rightly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.drift import BETS, EVERY, SCORE, STARTS, DriftMonitor, Starts, _bets, _stakes, _tail_payoffs

CALIBRATED = 200


def monitor(seed: int, run_length: float = 500.0) -> tuple[DriftMonitor, np.random.Generator]:
    rng = np.random.default_rng(seed)
    known = {SCORE: rng.exponential(size=CALIBRATED).tolist(), "brightness": rng.normal(size=CALIBRATED).tolist()}
    return DriftMonitor(known, run_length, seed), rng


def parts_until_alarm(seed: int, score: float = 1.0, light: float = 0.0, most: int = 2000) -> tuple[int, str]:
    watcher, rng = monitor(seed)
    for number in range(most):
        drift = watcher.update({SCORE: score * rng.exponential(), "brightness": light + rng.normal()})
        if drift.state == "RECALIBRATE":
            return number + 1, drift.cause
    return most, ""


def test_without_change_the_mean_run_is_as_long_as_stated() -> None:
    lengths = [parts_until_alarm(seed)[0] for seed in range(40)]
    mean, error = np.mean(lengths), np.std(lengths) / np.sqrt(len(lengths))
    assert mean - 1.7 * error >= 500


def test_a_dying_lamp_is_a_frame_even_where_scores_rise_with_it() -> None:
    found = [parts_until_alarm(seed, score=2.0, light=-1.5) for seed in range(20)]
    assert np.median([delay for delay, _ in found]) < 60
    assert [cause for _, cause in found].count("frame") >= 18


def test_rising_scores_in_steady_frames_are_parts() -> None:
    found = [parts_until_alarm(seed, score=3.0) for seed in range(20)]
    assert np.median([delay for delay, _ in found]) < 60
    assert [cause for _, cause in found].count("part") >= 18


def test_the_alarm_stays_when_the_lamp_is_well_again() -> None:
    watcher, rng = monitor(1)
    for _ in range(100):
        watcher.update({SCORE: 1.0, "brightness": -5.0})
    alarm = watcher.update({SCORE: rng.exponential(), "brightness": 0.0})
    for _ in range(500):
        assert watcher.update({SCORE: rng.exponential(), "brightness": rng.normal()}) == alarm
    assert (alarm.state, alarm.cause, alarm.series) == ("RECALIBRATE", "frame", "brightness")


def test_it_watches_before_it_asks_to_recalibrate() -> None:
    watcher, rng = monitor(2)
    states = [watcher.update({SCORE: 4 * rng.exponential(), "brightness": rng.normal()}).state for _ in range(200)]
    assert states[-1] == "RECALIBRATE"
    assert "WATCH" in states[: states.index("RECALIBRATE")]
    assert states[0] == "OK"


def test_a_part_that_was_not_found_counts_as_the_highest_score() -> None:
    watcher, _ = monitor(3)
    for _ in range(40):
        drift = watcher.update({SCORE: math.inf})
    assert (drift.state, drift.cause) == ("RECALIBRATE", "part")


def test_missing_values_change_nothing() -> None:
    watcher, _ = monitor(4)
    assert all(watcher.update({SCORE: math.nan}).evidence == 0 for _ in range(50))


@pytest.mark.parametrize("is_score", [True, False])
def test_no_bet_pays_in_the_mean_while_nothing_changes(is_score: bool) -> None:
    ranks = (np.arange(50_000) + 0.5) / 50_000
    payoffs = np.mean([_bets(is_score, float(rank)) for rank in ranks], 0)
    assert payoffs.shape == (BETS[is_score],)
    assert (payoffs <= 1.0 + 1e-4).all()
    assert (payoffs > 0.7).all()  # the rarest ranks, which pay most for the largest shift, lie between these


@given(st.integers(1, 10_000), st.integers(0, 10_000))
def test_the_bet_on_more_of_the_tail_pays_one_in_the_mean(before: int, after: int) -> None:
    below = 0.1 * (before + 2 * after) / (before + after)
    assert 0.1 - 1e-12 <= below <= 0.2 + 1e-12  # to rounding
    payoffs = [
        float(_tail_payoffs(rank, np.array([before]), before + after)[0]) for rank in (below * 0.999, below * 1.001)
    ]
    assert below * payoffs[0] + (1 - below) * payoffs[1] == pytest.approx(1)


def test_starts_are_bounded_and_their_weight_is_that_of_the_parts() -> None:
    starts = Starts()
    for number in range(1, 3000):
        starts.begin(100 + number)
        assert starts.total == EVERY * min(number, STARTS)


def test_twice_as_many_parts_in_the_tail_are_seen() -> None:
    delays = []
    for seed in range(15):
        watcher, rng = monitor(seed)
        for number in range(2000):
            tail = number >= 300 and rng.random() < 1 / 9  # of the rest so many move up: a tenth becomes two
            score = rng.exponential() if not tail else -np.log(0.1 * rng.random())
            if watcher.update({SCORE: score, "brightness": rng.normal()}).state == "RECALIBRATE":
                break
        delays.append(number - 300)
    assert np.median(delays) < 200


def test_a_resumed_monitor_goes_on_exactly_where_the_other_was() -> None:
    watcher, rng = monitor(5, 100.0)
    values = [{SCORE: round(float(rng.exponential()), 1), "brightness": float(rng.normal())} for _ in range(300)]
    for value in values[:123]:
        watcher.update(value)
    snapshot = watcher.snapshot()
    expected = [watcher.update(value) for value in values[123:]]
    again = DriftMonitor.resume(snapshot, 100.0)
    assert [again.update(value) for value in values[123:]] == expected
    assert watcher.snapshot() == again.snapshot()


@given(st.sets(st.sampled_from([SCORE, "brightness", "focus", "x"]), min_size=1))
def test_stakes_add_up_to_one(names: Sequence[str]) -> None:
    assert sum(_stakes(names).values()) == pytest.approx(1)


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=50), st.lists(st.floats(), max_size=50))
def test_any_values_give_a_state(known: list[float], values: list[float]) -> None:
    watcher = DriftMonitor({SCORE: known}, 100)
    for value in values:
        assert watcher.update({SCORE: value}).evidence >= 0
