"""GOOD is reached in one way only."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.thresholds import Thresholds
from engines.scoring import Score
from inspector.inspection import Band, Outcome, Reason
from inspector.judge import judge

if TYPE_CHECKING:
    from tests.inspector.conftest import Make

limits = st.floats(-1e6, 1e6)


@given(value=st.none() | st.floats(), fault=st.none() | st.sampled_from(Reason), review=limits, width=st.floats(0, 1e6))
def test_good_means_a_finite_score_up_to_the_review_limit_and_no_fault(
    make: Make, value: float | None, fault: Reason | None, review: float, width: float
) -> None:
    inspection = make.inspection(make.part(1), value, fault)
    verdict = judge(inspection, make.recipe(review=review, reject=review + width))
    proven = fault is None and value is not None and math.isfinite(value) and value <= review
    assert (verdict.outcome is Outcome.GOOD) == proven
    assert (verdict.reason is None) == proven


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_an_error(make: Make, value: float) -> None:
    verdict = judge(make.inspection(make.part(1), value), make.recipe())
    assert (verdict.outcome, verdict.reason) == (Outcome.ERROR, Reason.NOT_FINITE)
    assert str(value) in verdict.detail


def test_a_missing_score_without_a_fault_is_an_engine_fault(make: Make) -> None:
    verdict = judge(make.inspection(make.part(1), None), make.recipe())
    assert (verdict.outcome, verdict.reason) == (Outcome.ERROR, Reason.ENGINE_FAULT)


@pytest.mark.parametrize("fault", list(Reason))
def test_every_fault_is_an_error_with_its_reason_even_beside_a_good_score(make: Make, fault: Reason) -> None:
    verdict = judge(make.inspection(make.part(7), 0.0, fault), make.recipe())
    assert (verdict.sequence, verdict.outcome, verdict.reason) == (7, Outcome.ERROR, fault)


@pytest.mark.parametrize(
    ("value", "outcome", "band"),
    [
        (2.0, Outcome.GOOD, Band.CLEAR),
        (math.nextafter(2.0, 3), Outcome.REJECT, Band.REVIEW),
        (3.0, Outcome.REJECT, Band.REVIEW),
        (math.nextafter(3.0, 4), Outcome.REJECT, Band.CLEAR),
    ],
)
def test_the_band_is_review_between_the_limits(make: Make, value: float, outcome: Outcome, band: Band) -> None:
    verdict = judge(make.inspection(make.part(1), value), make.recipe(review=2.0, reject=3.0))
    assert (verdict.outcome, verdict.band) == (outcome, band)


@pytest.mark.parametrize(
    ("zones", "outcome", "detail"),
    [
        ({"rim": 2.5}, Outcome.GOOD, ""),
        ({"rim": math.nextafter(2.5, 3)}, Outcome.REJECT, "zone:rim 2.5 above 2.5"),
        ({"rim": math.nan}, Outcome.ERROR, "zone:rim is nan"),
        ({"rim": -math.inf}, Outcome.ERROR, "zone:rim is -inf"),
        ({"bore": 0.0}, Outcome.ERROR, "zone:rim is nan"),
    ],
)
def test_a_good_score_needs_every_zone_at_or_below_its_limit(
    make: Make, zones: dict[str, float], outcome: Outcome, detail: str
) -> None:
    recipe = dataclasses.replace(make.recipe(), thresholds=Thresholds(2.0, 3.0, {"zone:rim": 2.5}))
    seen = dataclasses.replace(make.inspection(make.part(1), 0.0), score=Score(0.0, (0.5, 0.5), 0.0, zones))
    verdict = judge(seen, recipe)
    assert verdict.outcome is outcome
    assert verdict.detail.startswith(detail)
    assert verdict.band is (Band.REVIEW if outcome is Outcome.REJECT else Band.CLEAR)


def test_the_area_has_a_limit_of_its_own(make: Make) -> None:
    recipe = dataclasses.replace(make.recipe(), thresholds=Thresholds(2.0, 3.0, {"area": 0.1}))
    verdict = judge(make.inspection(make.part(1), 0.0), recipe)  # an eighth of the region
    assert (verdict.outcome, verdict.detail) == (Outcome.REJECT, "area 0.125 above 0.1")
