"""Thresholds with a bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from calibration.errors import CalibrationError, SampleError, UnreachableBound
from calibration.evidence import parts_needed
from calibration.thresholds import draw, false_reject_bound, find_thresholds, left_out, most_above

finite = st.floats(-1e6, 1e6)


def alone(count: int) -> list[str]:
    return [str(index) for index in range(count)]


@given(st.lists(finite, min_size=1, max_size=200), st.floats(0.01, 0.5))
def test_just_as_many_good_parts_lie_above_the_limit_as_the_evidence_says(scores: list[float], asked: float) -> None:
    thresholds, evidence = find_thresholds(scores, alone(len(scores)), asked, 0.95)
    assert sum(value > thresholds.review for value in scores) <= evidence.above  # fewer only by ties
    assert thresholds.review <= thresholds.reject == max(scores)
    assert evidence.bound <= asked or evidence.above == 0


@given(st.integers(2, 2000), st.integers(0, 50), st.floats(0.5, 0.999))
def test_the_bound_is_the_exact_binomial_one(parts: int, above: int, confidence: float) -> None:
    above = min(above, parts - 1)
    bound = false_reject_bound(parts, above, confidence)
    # Clopper-Pearson: were the true rate the bound, so few parts above the limit would have this chance.
    assert stats.binom.cdf(above, parts, bound) == pytest.approx(1 - confidence, rel=1e-6)


@pytest.mark.parametrize(("asked", "needed"), [(0.01, 299), (0.001, 2995), (0.05, 59)])
def test_the_parts_needed_are_the_fewest_that_reach_the_bound(asked: float, needed: int) -> None:
    assert parts_needed(asked, 0.95) == needed
    assert false_reject_bound(needed, 0, 0.95) <= asked < false_reject_bound(needed - 1, 0, 0.95)


def test_sixty_parts_say_what_they_support() -> None:
    _, evidence = find_thresholds(list(range(60)), alone(60), 0.01, 0.95)
    assert evidence.sentence().startswith("60 parts: at most 4.9% false rejects, 95% confidence")
    assert "needs at least 299 parts" in evidence.sentence()
    assert not evidence.reaches_asked


def test_strict_names_the_parts_that_are_missing() -> None:
    with pytest.raises(UnreachableBound, match="collect 299 parts"):
        find_thresholds(list(range(60)), alone(60), 0.01, 0.95, strict=True)
    assert find_thresholds(list(range(299)), alone(299), 0.01, 0.95, strict=True)[1].reaches_asked


def test_a_group_counts_as_one_part_and_too_few_of_them_set_the_limit_at_the_largest_score() -> None:
    scores = [1.0, 9.0, 2.0, 3.0]
    thresholds, evidence = find_thresholds(scores, ["a", "a", "b", "c"], 0.5, 0.95)
    assert (evidence.parts, evidence.pictures) == (3, 4)
    assert thresholds.review == thresholds.reject == 9.0
    assert evidence.bound == false_reject_bound(3, 0, 0.95)


def test_with_enough_groups_one_picture_of_each_decides() -> None:
    groups = [name for number in range(59) for name in (f"p{number}", f"p{number}")]
    scores = [value for number in range(59) for value in (float(number), 1000.0)]
    thresholds, evidence = find_thresholds(scores, groups, 0.05, 0.95, lots=["a", "b"] * 59)
    assert (evidence.parts, evidence.pictures, evidence.reaches_asked) == (59, 118, True)
    assert (thresholds.review, thresholds.reject) == (58.0, 1000.0)


@given(st.lists(st.tuples(st.integers(0, 9), st.text(max_size=3)), min_size=1, max_size=40))
def test_one_picture_of_each_group_is_drawn_and_it_has_the_smallest_lot(pictures: list[tuple[int, str]]) -> None:
    groups, lots = [str(group) for group, _ in pictures], [lot for _, lot in pictures]
    drawn = draw(groups, lots)
    assert sorted(groups[i] for i in drawn) == sorted(set(groups))
    for i in drawn:
        assert lots[i] == min(lot for group, lot in zip(groups, lots) if group == groups[i]) or len(set(groups)) == len(
            groups
        )


@given(st.integers(1, 3000), st.floats(0.001, 0.5), st.floats(0.5, 0.999))
def test_as_many_parts_as_possible_are_left_above_the_limit(parts: int, asked: float, confidence: float) -> None:
    above = most_above(parts, asked, confidence)
    if above is None:
        assert false_reject_bound(parts, 0, confidence) > asked
    else:
        assert false_reject_bound(parts, above, confidence) <= asked * (1 + 1e-9)
        assert above + 1 >= parts or false_reject_bound(parts, above + 1, confidence) > asked * (1 - 1e-9)


def test_a_part_that_is_not_found_counts_as_rejected() -> None:
    scores = [*range(198), math.inf, math.inf]
    thresholds, evidence = find_thresholds(scores, alone(200), 0.05, 0.95)
    assert evidence.above == 4
    assert evidence.missing == 2
    assert thresholds.review == 195.0
    assert thresholds.reject == 197.0
    assert evidence.bound == false_reject_bound(200, 4, 0.95)


def test_too_many_parts_that_are_not_found_leave_no_bound_and_say_so() -> None:
    scores = [*range(58), math.inf, math.inf]
    thresholds, evidence = find_thresholds(scores, alone(60), 0.05, 0.95)
    assert (thresholds.review, evidence.bound) == (57.0, 1.0)
    assert "no bound, 2 of 60 pictures show no part" in evidence.sentence()
    assert "No promise" in evidence.promise()
    with pytest.raises(UnreachableBound, match="mend the location"):
        find_thresholds(scores, alone(60), 0.05, 0.95, strict=True)
    with pytest.raises(SampleError, match="none of 3 pictures shows the part"):
        find_thresholds([math.inf] * 3, alone(3), 0.05, 0.95)


def test_a_provisional_recipe_says_how_many_parts_complete_it() -> None:
    _, evidence = find_thresholds(list(range(60)), alone(60), 0.01, 0.95, method="provisional")
    assert evidence.method == "provisional"
    assert "PROVISIONAL until 239 more confirmed parts are added" in evidence.sentence()
    _, evidence = find_thresholds(list(range(300)), alone(300), 0.01, 0.95, method="provisional")
    assert evidence.method == "order"


def test_an_extrapolated_limit_is_never_below_a_good_part_and_says_what_it_is() -> None:
    scores = stats.expon.rvs(size=60, random_state=np.random.default_rng(1)).tolist()
    plain, bound = find_thresholds(scores, alone(60), 0.001, 0.95)
    thresholds, evidence = find_thresholds(scores, alone(60), 0.001, 0.95, method="tail")
    assert thresholds.review > plain.review == max(scores)
    assert (evidence.method, evidence.bound) == ("tail", bound.bound)
    assert "EXTRAPOLATED" in evidence.sentence()
    assert "no bound" in evidence.sentence()


def test_a_session_left_out_shows_how_sessions_differ() -> None:
    scores = [*np.linspace(0, 1, 100), *np.linspace(0, 2, 100)]
    shares = left_out(scores, alone(200), ["mon"] * 100 + ["tue"] * 100, 0.05, 0.95)
    assert shares["mon"] == 0.0
    assert shares["tue"] == pytest.approx(0.5, abs=0.05)
    assert left_out(scores, alone(200), ["mon"] * 200, 0.05, 0.95) == {}


@pytest.mark.parametrize("distribution", ["uniform", "exponential", "cauchy"])
def test_the_bound_holds_as_often_as_it_claims(distribution: str) -> None:
    rng = np.random.default_rng(7)
    turns, parts, asked, confidence = 1000, 100, 0.1, 0.9
    law = {"uniform": stats.uniform, "exponential": stats.expon, "cauchy": stats.cauchy}[distribution]
    held = 0
    for _ in range(turns):
        scores = law.rvs(size=parts, random_state=rng)
        thresholds, evidence = find_thresholds([float(value) for value in scores], alone(parts), asked, confidence)
        held += law.sf(thresholds.review) <= evidence.bound
    # The one-sided 99.9 % limit of a share that truly is the confidence.
    assert held >= stats.binom.ppf(0.001, turns, confidence)
    # And not by being infinitely cautious.
    assert held <= stats.binom.ppf(0.999, turns, confidence)


@pytest.mark.parametrize("bad", [math.nan, -math.inf])
def test_a_score_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(CalibrationError, match="picture 1"):
        find_thresholds([1.0, bad], alone(2), 0.01, 0.95)


@pytest.mark.parametrize(("asked", "confidence"), [(0, 0.95), (1, 0.95), (0.01, 0), (0.01, 1), (-1, 2)])
def test_shares_outside_nought_and_one_are_refused(asked: float, confidence: float) -> None:
    with pytest.raises(CalibrationError, match="between 0 and 1"):
        find_thresholds([1.0], ["a"], asked, confidence)


def test_no_parts_at_all_is_an_error() -> None:
    with pytest.raises(CalibrationError, match="no good part"):
        find_thresholds([], [], 0.01, 0.95)


@settings(max_examples=5, deadline=None, derandomize=True)
@example(4, 0.98, 1)
@given(st.integers(2, 4), st.floats(0, 0.99), st.integers(0, 2**32 - 1))
def test_one_bound_holds_for_all_rules_together_however_they_depend_on_each_other(
    rules: int, common: float, seed: int
) -> None:
    rng, parts, asked, names = np.random.default_rng(seed), 200, 0.06, alone(rules)[1:]

    def values(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        shared, own = rng.normal(size=(1, count)), rng.normal(size=(rules, count))
        return np.sqrt(common) * shared + np.sqrt(1 - common) * own

    shares = []
    for _ in range(200):
        score, *others = values(parts).tolist()
        limits, evidence = find_thresholds(score, alone(parts), asked, 0.95, rules=dict(zip(names, others)))
        bounds = np.array([[limits.review], *([limits.rules[name]] for name in names)])
        shares.append(float((values(4000) > bounds).any(0).mean()))
    assert evidence.bound <= asked
    assert evidence.rules == rules
    held = sum(share <= evidence.bound for share in shares)
    assert stats.binom.cdf(held, 200, 0.94) > 1e-4  # 0.01 for what 4,000 parts can't tell
    above = most_above(parts, asked, 0.95)
    assert above is not None
    law = stats.beta(above + 1, parts - above)  # neither broken nor wasted
    assert np.mean(shares) == pytest.approx(law.mean(), abs=5 * law.std() / math.sqrt(200))


@pytest.mark.parametrize("rules", [2, 3])
def test_more_rules_need_more_parts_and_the_fewest_are_named(rules: int) -> None:
    needed = parts_needed(0.05, 0.95, rules)
    assert false_reject_bound(needed, rules - 1, 0.95) <= 0.05 < false_reject_bound(needed - 1, rules - 1, 0.95)
    other = {str(rule): list(range(needed - 1)) for rule in range(1, rules)}
    with pytest.raises(UnreachableBound, match=f"collect {needed} parts"):
        find_thresholds(list(range(needed - 1)), alone(needed - 1), 0.05, 0.95, strict=True, rules=other)


def test_with_too_few_parts_every_limit_is_the_largest_value_and_none_is_rejected() -> None:
    thresholds, evidence = find_thresholds([1.0, 2.0, 3.0], alone(3), 0.01, 0.95, rules={"area": [0.3, 0.1, 0.2]})
    assert (thresholds.review, thresholds.rules) == (3.0, {"area": 0.3})
    assert (evidence.above, evidence.bound) == (0, false_reject_bound(3, 1, 0.95))
    assert "by 2 rules together" in evidence.sentence()


def test_a_tail_is_not_fitted_to_several_rules() -> None:
    with pytest.raises(CalibrationError, match="not to area"):
        find_thresholds([1.0, 2.0], alone(2), 0.01, 0.95, method="tail", rules={"area": [0.1, 0.2]})
