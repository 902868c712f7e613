"""The coverage benchmark: what it calls claimed, and that it would notice a bound that does not hold."""

from __future__ import annotations

import numpy as np
import pytest
from calibration_coverage import (
    cell,
    draw_normal,
    draw_rules,
    exchanged,
    score_of,
    share_above,
    share_above_any,
    summary,
)


def test_a_cell_is_claimed_exactly_where_the_independent_parts_suffice() -> None:
    assert cell(60, False, "light", 0.05, 2)["claimed"]
    assert not cell(58, False, "light", 0.05, 2)["claimed"]
    assert not cell(60, True, "heavy", 0.05, 2)["claimed"]
    assert cell(300, True, "heavy", 0.05, 2)["claimed"]


def test_several_rules_need_more_parts_to_be_claimed() -> None:
    assert not cell(123, False, "light", 0.05, 2, rules=3)["claimed"]
    row = cell(124, False, "heavy", 0.05, 2, rules=3)
    assert row["claimed"]
    assert row["rules"] == 3


def test_the_bound_of_several_rules_holds_and_is_used() -> None:
    row = cell(300, False, "light", 0.05, 100, rules=3)
    assert row["p"] > 1e-4
    assert 0.5 * 0.05 < row["mean_realised"] < 0.05


@pytest.mark.parametrize("law", ["light", "heavy"])
def test_the_true_share_above_any_limit_is_that_of_many_parts(law: str) -> None:
    scores = score_of(draw_rules(np.random.default_rng(0), 200_000, 1, 3), law)
    limits = np.array([2.0, 2.5, 3.0])
    assert (scores > limits[:, None]).any(0).mean() == pytest.approx(share_above_any(limits, law), rel=0.05)
    assert share_above_any(limits[:1], law) == share_above(2.0, law)
    assert share_above_any([2.0, 40.0, 1e6], "heavy") == pytest.approx(share_above(2.0, "heavy"), abs=2e-3)


@pytest.mark.parametrize("law", ["light", "heavy"])
def test_the_true_share_is_that_of_many_parts(law: str) -> None:
    scores = score_of(np.random.default_rng(0).standard_normal(200_000), law)
    assert (scores > 2.0).mean() == pytest.approx(share_above(2.0, law), rel=0.05)


def test_groups_are_as_correlated_as_stated() -> None:
    pairs = draw_normal(np.random.default_rng(0), 50_000, 5).reshape(-1, 5)
    assert np.corrcoef(pairs[:, 0], pairs[:, 1])[0, 1] == pytest.approx(0.5, abs=0.03)
    assert pairs.std() == pytest.approx(1, abs=0.02)


def test_a_bound_that_holds_too_rarely_shows() -> None:
    row = {"claimed": True, "bound": 0.05, "mean_realised": 0.02}
    facts = summary([{**row, "p": 0.2}, {**row, "p": 0.001}, {**row, "p": 0.9, "claimed": False}], 300)
    assert facts["min_p"] == pytest.approx(0.002)
    assert facts["min_realised_of_bound"] == pytest.approx(0.4)


@pytest.mark.parametrize(("size", "groups", "bound", "above"), [(1, 60, 0.05, 1), (5, 60, 0.05, 1), (1, 300, 0.05, 9)])
def test_the_mean_realised_share_does_not_depend_on_the_draw(size: int, groups: int, bound: float, above: int) -> None:
    for seed in range(2):
        share = exchanged(np.random.default_rng(seed), groups * size, size, "heavy", bound)
        assert share == pytest.approx(above / (groups + 1))
