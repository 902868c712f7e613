"""Figures from scores, against definitions written out the slow way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.metrics import (
    area_to,
    auroc,
    weighted_auroc,
    weighted_average_precision,
    weighted_f1_max,
    weighted_missed,
)

scores = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=12)
counts = st.integers(0, 3)
counted = st.lists(st.tuples(st.integers(0, 6).map(float), counts), min_size=1, max_size=10).filter(
    lambda pairs: any(count for _, count in pairs)
)


def repeated(pairs: list[tuple[float, int]]) -> list[float]:
    return [value for value, count in pairs for _ in range(count)]


def weighted(pairs: list[tuple[float, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([value for value, _ in pairs]), np.array([[count for _, count in pairs]], float)


@settings(deadline=None)
@given(scores, scores)
def test_auroc_is_the_share_of_pairs_in_the_right_order(good: list[float], bad: list[float]) -> None:
    pairs = [(b > g) + 0.5 * (b == g) for g in good for b in bad]
    assert math.isclose(auroc(good, bad), sum(pairs) / len(pairs), abs_tol=1e-12)


def test_auroc_of_nothing_is_no_number() -> None:
    assert math.isnan(auroc([], [1.0]))


@settings(deadline=None)
@given(counted, counted)
def test_a_weight_counts_a_picture_that_often(good: list[tuple[float, int]], bad: list[tuple[float, int]]) -> None:
    (good_scores, good_weights), (bad_scores, bad_weights) = weighted(good), weighted(bad)
    plain = [np.array(repeated(good)), np.array(repeated(bad))]
    ones = [np.ones((1, values.size)) for values in plain]
    assert weighted_auroc(good_scores, bad_scores, good_weights, bad_weights)[0] == pytest.approx(
        auroc(repeated(good), repeated(bad))
    )
    for figure in (weighted_average_precision, weighted_f1_max):
        assert figure(good_scores, bad_scores, good_weights, bad_weights)[0] == pytest.approx(figure(*plain, *ones)[0])
    for share in (0.0, 0.1, 0.5):
        assert np.allclose(
            weighted_missed(good_scores, bad_scores, good_weights, bad_weights, share),
            weighted_missed(plain[0], plain[1], ones[0], ones[1], share),
        )


@settings(deadline=None)
@given(scores, scores)
def test_average_precision_and_f1_max_agree_with_a_walk_over_thresholds(good: list[float], bad: list[float]) -> None:
    precision_area, best_f1, recall_before = 0.0, 0.0, 0.0
    for threshold in sorted({*good, *bad}, reverse=True):
        hits, false = sum(b >= threshold for b in bad), sum(g >= threshold for g in good)
        precision, recall = hits / (hits + false), hits / len(bad)
        precision_area += (recall - recall_before) * precision
        recall_before = recall
        if hits:
            best_f1 = max(best_f1, 2 * precision * recall / (precision + recall))
    split = (np.array(good), np.array(bad), np.ones((1, len(good))), np.ones((1, len(bad))))
    assert weighted_average_precision(*split)[0] == pytest.approx(precision_area)
    assert weighted_f1_max(*split)[0] == pytest.approx(best_f1)


@settings(deadline=None)
@given(scores, scores, st.sampled_from([0.0, 0.005, 0.1, 0.25, 0.5]))
def test_the_threshold_is_the_smallest_that_rejects_no_more_good_pictures_than_allowed(
    good: list[float], bad: list[float], share: float
) -> None:
    fitting = [limit for limit in good if sum(g > limit for g in good) <= share * len(good)]
    split = (np.array(good), np.array(bad), np.ones((1, len(good))), np.ones((1, len(bad))))
    thresholds, missed = weighted_missed(*split, share)
    assert thresholds[0] == min(fitting)
    assert missed[0] == pytest.approx(sum(b <= min(fitting) for b in bad) / len(bad))


def test_a_share_that_floating_point_makes_too_small_still_allows_its_whole_number() -> None:
    good = np.arange(100.0)
    thresholds, _ = weighted_missed(good, good, np.ones((1, 100)), np.ones((1, 100)), 0.29)  # 28.999999999999996
    assert thresholds[0] == 70.0


@settings(deadline=None)
@given(scores, scores, st.sampled_from([0.1, 0.3, 1.0]))
def test_the_partial_area_is_that_below_the_curve_of_all_thresholds(
    good: list[float], bad: list[float], limit: float
) -> None:
    points = [(0.0, 0.0)]
    for threshold in sorted({*good, *bad}, reverse=True):
        points.append((np.mean([g >= threshold for g in good]), np.mean([b >= threshold for b in bad])))
    rates, hits = np.array(points).T
    inside = rates <= limit
    ends = np.interp(limit, rates, hits)
    area = np.trapezoid(np.append(hits[inside], ends), np.append(rates[inside], limit))
    exact = area_to(limit, np.sort(np.float32(good)), np.float32(bad), np.ones(len(bad)))
    assert exact == pytest.approx(area / limit, abs=1e-12)
