"""The coverage benchmark: what it calls claimed, and that it would notice a bound that does not hold."""

from __future__ import annotations

import numpy as np
import pytest
from calibration_coverage import cell, draw_normal, exchanged, score_of, share_above, summary


def test_a_cell_is_claimed_exactly_where_the_independent_parts_suffice() -> None:
    assert cell(60, False, "light", 0.05, 2)["claimed"]
    assert not cell(58, False, "light", 0.05, 2)["claimed"]
    assert not cell(60, True, "heavy", 0.05, 2)["claimed"]
    assert cell(300, True, "heavy", 0.05, 2)["claimed"]


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
