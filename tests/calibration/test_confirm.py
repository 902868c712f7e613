"""Confirmed parts complete a provisional recipe."""

from __future__ import annotations

import dataclasses
import math

import pytest

from calibration.confirm import Confirmed, add_confirmed
from calibration.errors import SampleError
from calibration.recipe import Recipe
from calibration.thresholds import find_thresholds
from calibration.versions import set_limits

SCORES = tuple(float(number) for number in range(60))


@pytest.fixture(scope="module")
def provisional(tiny_recipe: Recipe) -> Recipe:
    """Sixty parts where 299 are needed."""
    prints = tuple(f"{number:064x}" for number in range(60))
    thresholds, evidence = find_thresholds(SCORES, prints, 0.01, 0.95, method="provisional")
    return dataclasses.replace(
        tiny_recipe, thresholds=thresholds, evidence=evidence, calibrate=prints, scores=SCORES, groups=prints
    )


def stretch(count: int, score: float = 30.5, start: int = 0, session: str = "boot1") -> list[Confirmed]:
    return [Confirmed(f"{session}/{start + number}", session, score) for number in range(count)]


def test_confirmed_parts_are_added_until_the_asked_bound_is_reached(provisional: Recipe) -> None:
    half = add_confirmed(provisional, stretch(100), "berta")
    assert (half.evidence.method, half.evidence.parts) == ("provisional", 160)
    assert "PROVISIONAL until 139 more confirmed parts" in half.evidence.sentence()
    whole = add_confirmed(half, stretch(139, start=100, session="boot2"), "berta")
    assert (whole.evidence.method, whole.evidence.parts, whole.evidence.reaches_asked) == ("order", 299, True)
    assert (whole.evidence.sessions, whole.evidence.operator) == (2, "berta")
    assert list(whole.scores) == sorted(whole.scores)
    assert len(whole.scores) == len(whole.calibrate) == len(whole.groups)


def test_the_same_parts_twice_count_once(provisional: Recipe) -> None:
    once = add_confirmed(provisional, stretch(100), "berta")
    with pytest.raises(SampleError, match="none of the 100 confirmed parts is new"):
        add_confirmed(once, stretch(100), "berta")
    assert add_confirmed(once, stretch(101), "berta").evidence.parts == 161


def test_a_good_part_above_the_limit_raises_it_and_a_missing_one_counts_as_rejected(provisional: Recipe) -> None:
    assert add_confirmed(provisional, stretch(1, score=80.0), "berta").thresholds.review == 80.0
    lost = add_confirmed(provisional, stretch(1, score=math.inf), "berta")
    assert (lost.evidence.missing, lost.evidence.bound) == (1, 1.0)


def test_where_sessions_count_a_stretch_of_one_run_is_one(provisional: Recipe) -> None:
    evidence = dataclasses.replace(provisional.evidence, unit="session", sessions=60)
    by_session = dataclasses.replace(provisional, evidence=evidence)
    assert add_confirmed(by_session, stretch(100), "berta").evidence.parts == 61


def test_a_recipe_that_was_set_by_hand_is_not_completed(provisional: Recipe) -> None:
    with pytest.raises(SampleError, match="calibrate the product again"):
        add_confirmed(set_limits(provisional, 59.0, None, "anna", "", "trial"), stretch(9), "berta")


def test_confirmed_parts_bring_the_values_of_all_rules(provisional: Recipe) -> None:
    zone = tuple(reversed(SCORES))
    limits, evidence = find_thresholds(
        SCORES, provisional.groups, 0.01, 0.95, method="provisional", rules={"zone:rim": zone}
    )
    recipe = dataclasses.replace(provisional, thresholds=limits, evidence=evidence, rules={"zone:rim": zone})
    more = [Confirmed(f"boot1/{n}", "boot1", 30.5, {"zone:rim": 70.0 + n}) for n in range(99)]
    made = add_confirmed(recipe, [*more, Confirmed("boot1/99", "boot1", math.inf)], "berta")
    by_print = dict(zip(made.calibrate, zip(made.scores, made.rules["zone:rim"])))
    assert all(by_print[part.print] == (part.score, part.rules["zone:rim"]) for part in more)
    assert max(made.rules["zone:rim"]) == math.inf
    assert (made.evidence.parts, made.evidence.rules) == (160, 2)
    assert made.thresholds.rules["zone:rim"] == 168.0
    with pytest.raises(SampleError, match="boot1/0 has no value of zone:rim"):
        add_confirmed(recipe, stretch(1), "berta")
