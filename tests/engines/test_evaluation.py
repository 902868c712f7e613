"""Figures of a test set, against an independent and slow way to compute each."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from engines.errors import EvaluationError
from engines.evaluation import FALSE_REJECTS, Interval, Judged, evaluate, paired_difference, region_weights
from engines.metrics import auroc


def make_test_set(seed: int, levels: int = 0, pictures: int = 8, side: int = 10) -> list[Judged]:
    """Random maps and masks, brighter on the defects; `levels` > 0 rounds the maps so that there are ties."""
    rng = np.random.default_rng(seed)
    judged = []
    for number in range(pictures):
        mask = np.zeros((side, side), np.bool_)
        for _ in range(number % 3):
            top, left = rng.integers(0, side - 3, 2)
            mask[top : top + rng.integers(1, 4), left : left + rng.integers(1, 4)] = True
        level = (rng.random((side, side)) + 0.4 * mask).astype(np.float32)
        if levels:
            level = np.round(level * levels) / np.float32(levels)
        label = "spot" if mask.any() else "good"
        judged.append(Judged(float(level.max()), label, f"part{number // 2}", level, mask))
    return judged


def aupro_slowly(judged: list[Judged], limit: float = 0.3) -> float:
    """Per-region overlap at every threshold, picture by picture, region by region; trapezoids cut off at the limit."""
    points = [(0.0, 0.0)]
    labelled = [ndimage.label(entry.mask, structure=np.ones((3, 3))) for entry in judged]
    good_total = sum(int((~entry.mask).sum()) for entry in judged)
    for threshold in sorted({value for entry in judged for value in entry.map.ravel()}, reverse=True):
        overlaps, false = [], 0
        for entry, (regions, count) in zip(judged, labelled):
            flagged = entry.map >= threshold
            false += int((flagged & ~entry.mask).sum())
            overlaps += [flagged[regions == region].mean() for region in range(1, count + 1)]
        points.append((false / good_total, float(np.mean(overlaps))))
    rates, overlap = np.array(points).T
    inside = rates <= limit
    last = np.interp(limit, rates, overlap)  # the highest overlap at a rate comes last, as interp wants it
    return float(np.trapezoid(np.append(overlap[inside], last), np.append(rates[inside], limit)) / limit)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([0, 4, 20]))
def test_aupro_agrees_with_a_sweep_over_all_thresholds(seed: int, levels: int) -> None:
    judged = make_test_set(seed, levels)
    found = evaluate(judged, resamples=2).aupro
    assert found is not None
    assert found.value == pytest.approx(aupro_slowly(judged), abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([0, 4]))
def test_pixel_auroc_is_the_share_of_pairs_of_positions_in_the_right_order(seed: int, levels: int) -> None:
    judged = make_test_set(seed, levels)
    good = np.concatenate([entry.map[~entry.mask] for entry in judged])
    bad = np.concatenate([entry.map[entry.mask] for entry in judged])
    pairs = (bad[:, None] > good[None, :]) + 0.5 * (bad[:, None] == good[None, :])
    found = evaluate(judged, resamples=2).pixel_auroc
    assert found is not None
    assert found.value == pytest.approx(pairs.mean(), abs=1e-9)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000))
def test_figures_depend_on_the_order_of_scores_alone(seed: int) -> None:
    judged = make_test_set(seed)
    bent = [dataclasses.replace(e, score=np.exp(e.score), map=np.exp(3 * e.map) - 7) for e in judged]
    before, after = evaluate(judged, resamples=20), evaluate(bent, resamples=20)
    assert before.image_auroc == after.image_auroc
    assert before.missed == after.missed
    assert before.aupro is not None
    assert after.aupro is not None
    assert before.aupro.value == pytest.approx(after.aupro.value)
    assert before.aupro.low == pytest.approx(after.aupro.low)


def test_perfect_maps_have_every_figure_perfect() -> None:
    judged = [
        dataclasses.replace(entry, map=entry.mask.astype(np.float32), score=float(entry.mask.any()))
        for entry in make_test_set(3)
    ]
    found = evaluate(judged, resamples=50)
    for figure in (found.image_auroc, found.image_ap, found.f1_max, found.pixel_auroc, found.aupro):
        assert figure is not None
        assert dataclasses.astuple(figure) == pytest.approx((1.0, 1.0, 1.0))
    assert all(found.missed[share] == Interval(0.0, 0.0, 0.0) for share in FALSE_REJECTS)


def test_constant_maps_are_worth_a_guess() -> None:
    judged = [dataclasses.replace(entry, map=np.full_like(entry.map, 2.0), score=2.0) for entry in make_test_set(3)]
    found = evaluate(judged, resamples=50)
    assert found.image_auroc.value == 0.5
    assert found.pixel_auroc == Interval(0.5, 0.5, 0.5)
    assert found.aupro is not None
    assert found.aupro.value == pytest.approx(0.15)  # the diagonal up to 0.3
    assert found.missed[0.01].value == 1.0


def test_a_region_weighs_as_much_as_any_other_and_corners_join_it() -> None:
    mask = np.zeros((5, 5), np.bool_)
    mask[0, 0] = mask[1, 1] = mask[4, 2] = True
    assert region_weights(mask).tolist() == [0.5, 0.5, 1.0]


def test_a_picture_without_a_known_mask_counts_for_pictures_only() -> None:
    judged = make_test_set(5)
    unknown = Judged(-1.0, "uneven", "other", np.full((10, 10), -1, np.float32), None)
    without, added = evaluate(judged, resamples=2), evaluate([*judged, unknown], resamples=2)
    assert added.n_defective == without.n_defective + 1
    assert added.image_auroc.value < without.image_auroc.value
    assert without.pixel_auroc is not None
    assert added.pixel_auroc is not None
    assert added.aupro is not None
    assert added.pixel_auroc.value == without.pixel_auroc.value


def test_without_any_defect_mask_there_are_no_position_figures() -> None:
    judged = [dataclasses.replace(e, mask=e.mask if e.is_good else None) for e in make_test_set(5)]
    found = evaluate(judged, resamples=2)
    assert found.pixel_auroc is None
    assert found.aupro is None


def test_kinds_are_held_against_all_good_pictures() -> None:
    good = [Judged(float(value), "good", str(value), None, None) for value in range(200)]
    cracks = [Judged(value, "crack", f"c{value}", None, None) for value in (150.0, 197.0, 198.0, 500.0)]
    breaks = [Judged(1000.0, "break", "b", None, None)]
    found = evaluate([*good, *cracks, *breaks], resamples=20)
    assert list(found.kinds) == ["break", "crack"]
    assert found.thresholds == {0.005: 198.0, 0.01: 197.0, 0.02: 195.0}
    assert found.kinds["crack"].n == 4
    assert found.kinds["crack"].missed == 0.5
    assert found.kinds["crack"].auroc == pytest.approx(auroc(list(range(200)), [150.0, 197.0, 198.0, 500.0]))
    assert found.missed[0.01].value == pytest.approx(0.4)
    assert (found.n_good, found.n_defective, found.n_parts) == (200, 5, 205)


def test_a_part_that_is_not_found_is_ejected_at_any_threshold() -> None:
    good = [Judged(float(value), "good", str(value), None, None) for value in range(100)]
    missing = [Judged(np.inf, "crack", f"m{number}", None, None) for number in range(2)]
    cracks = [Judged(value, "crack", f"c{value}", None, None) for value in (50.0, 200.0)]
    found = evaluate([*good, *missing, *cracks], resamples=20)
    as_high = evaluate([*good, *(dataclasses.replace(e, score=1e9) for e in missing), *cracks], resamples=20)
    assert found == as_high
    assert found.missed[0.01].value == 0.25


def test_where_more_good_parts_are_not_found_than_may_be_rejected_every_found_defect_counts_as_missed() -> None:
    good = [Judged(float(value), "good", str(value), None, None) for value in range(98)]
    missing = [Judged(np.inf, label, label, None, None) for label in ("good", "crack")]
    cracks = [Judged(1000.0, "crack", f"c{number}", None, None) for number in range(3)]
    found = evaluate([*good, *missing, *cracks], resamples=20)
    assert found.thresholds[0.005] == np.inf
    assert found.missed[0.005].value == 0.75
    assert found.thresholds[0.02] == 97.0
    assert found.missed[0.02].value == 0.0
    assert found.image_auroc.value == pytest.approx((4 * 98 + 0.5) / (99 * 4))
    tied = evaluate([*good, *(dataclasses.replace(e, score=1e9) for e in missing), *cracks], resamples=20)
    assert (found.image_auroc, found.image_ap, found.f1_max) == (tied.image_auroc, tied.image_ap, tied.f1_max)


def test_intervals_are_wider_when_pictures_share_parts() -> None:
    rng = np.random.default_rng(0)
    good, bad = np.repeat(rng.normal(0, 1, 20), 10), np.repeat(rng.normal(1, 1, 20), 10)

    def judged(per_part: int) -> list[Judged]:
        labelled = [(score, "good") for score in good] + [(score, "crack") for score in bad]
        return [Judged(float(s), label, str(i // per_part), None, None) for i, (s, label) in enumerate(labelled)]

    alone, shared = evaluate(judged(1)).image_auroc, evaluate(judged(10)).image_auroc
    assert alone.value == shared.value
    assert shared.high - shared.low > 2 * (alone.high - alone.low)
    assert shared.low < shared.value < shared.high


def test_position_intervals_hold_the_exact_value_and_narrow_with_more_pictures() -> None:
    few, many = (evaluate(make_test_set(1, pictures=count), resamples=300).aupro for count in (12, 120))
    assert few is not None
    assert many is not None
    assert few.low < few.value < few.high
    assert many.high - many.low < 0.6 * (few.high - few.low)


def test_the_same_seed_gives_the_same_intervals() -> None:
    judged = make_test_set(2)
    assert evaluate(judged, seed=4, resamples=50) == evaluate(judged, seed=4, resamples=50)


def test_a_method_beats_itself_plus_noise_and_not_itself() -> None:
    rng = np.random.default_rng(0)
    labels = ["good"] * 100 + ["crack"] * 60
    sharp = [Judged(float(rng.normal(2.0 * (k != "good"), 1)), k, str(i), None, None) for i, k in enumerate(labels)]
    noisy = [dataclasses.replace(entry, score=entry.score + float(rng.normal(0, 3))) for entry in sharp]
    difference = paired_difference(sharp, noisy)
    assert difference.low > 0
    assert difference.value == pytest.approx(
        evaluate(sharp, resamples=2).image_auroc.value - evaluate(noisy, resamples=2).image_auroc.value
    )
    assert paired_difference(sharp, sharp) == Interval(0.0, 0.0, 0.0)


def test_pairs_of_different_pictures_are_refused() -> None:
    judged = make_test_set(2)
    with pytest.raises(EvaluationError, match="same order"):
        paired_difference(judged, judged[::-1])


def test_what_can_not_be_evaluated_is_named() -> None:
    judged = make_test_set(2)
    with pytest.raises(EvaluationError, match="needs both"):
        evaluate([entry for entry in judged if entry.is_good])
    with pytest.raises(EvaluationError, match=r"picture 0 .* has score nan"):
        evaluate([dataclasses.replace(judged[0], score=float("nan")), *judged[1:]])
    for score in (np.nan, -np.inf, np.inf):  # this one has a map, so that its part was found
        with pytest.raises(EvaluationError, match=f"has score {score}"):
            evaluate([dataclasses.replace(judged[0], score=score), *judged[1:]])
    with pytest.raises(EvaluationError, match="not finite"):
        evaluate([dataclasses.replace(judged[0], map=judged[0].map + np.float32(np.inf)), *judged[1:]])
    with pytest.raises(EvaluationError, match="resize the mask"):
        evaluate([dataclasses.replace(judged[0], mask=np.zeros((3, 3), np.bool_)), *judged[1:]])


def test_six_hundred_pictures_take_seconds() -> None:
    rng = np.random.default_rng(0)
    judged = []
    for number in range(600):
        mask = np.zeros((256, 256), np.bool_)
        if number % 3 == 0:
            mask[100:140, 80:120] = True
        level = rng.random((256, 256), np.float32) + mask * np.float32(0.2)
        judged.append(Judged(float(level.max()), "spot" if mask.any() else "good", str(number), level, mask))
    started = time.process_time()
    evaluate(judged)
    assert time.process_time() - started < 15  # 3 s on two slow cores; the slow sweep of above would take hours
