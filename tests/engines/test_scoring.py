"""Raw maps to a score."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from engines.errors import EngineError
from engines.scoring import (
    Baseline,
    Layout,
    Map,
    Scoring,
    Statistics,
    _smoother,
    fuse,
    learn_scoring,
    padding,
    score,
    score_fused,
)

SIDES = (32, 16, 8)


def maps_of(rng: np.random.Generator) -> tuple[Map, ...]:
    return tuple(rng.random((side, side), np.float32) for side in SIDES)


def plain(**changes: object) -> Scoring:
    zero, one = np.asarray(0, np.float32), np.asarray(1, np.float32)
    settings: dict[str, object] = {
        "statistics": "level",
        "means": (zero,) * 3,
        "stds": (one,) * 3,
        "pixel_limit": 1e9,
    }
    return Scoring(**{**settings, **changes})  # type: ignore[arg-type]


@given(st.integers(1, 40), st.integers(1, 3))
def test_a_smoother_neither_adds_nor_loses(size: int, factor: int) -> None:
    matrix = _smoother(size, size * factor)
    assert matrix.shape == (size * factor, size)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-5)


@given(st.integers(0, 2**32 - 1), st.floats(-3, 3), st.floats(-3, 3))
def test_fusing_is_linear(seed: int, a: float, b: float) -> None:
    rng = np.random.default_rng(seed)
    first, second = maps_of(rng), maps_of(rng)
    mixed = tuple(np.float32(a) * x + np.float32(b) * y for x, y in zip(first, second))
    expected = np.float32(a) * fuse(first, plain()) + np.float32(b) * fuse(second, plain())
    np.testing.assert_allclose(fuse(mixed, plain()), expected, atol=1e-4)


@given(st.integers(0, 2**32 - 1), st.tuples(*[st.floats(0.1, 5)] * 3))
def test_a_level_counts_by_its_weight(seed: int, weights: tuple[float, ...]) -> None:
    maps = maps_of(np.random.default_rng(seed))
    scaled = tuple(np.float32(weight) * level for weight, level in zip(weights, maps))
    np.testing.assert_allclose(fuse(maps, plain(weights=weights)), fuse(scaled, plain()), rtol=1e-4, atol=1e-5)


@given(st.sampled_from([float("nan"), float("inf")]), st.integers(0, 2), st.integers(0, 63))
def test_a_map_that_is_not_finite_never_gives_a_finite_score(bad: float, level: int, place: int) -> None:
    maps = maps_of(np.random.default_rng(place))
    maps[level].flat[place] = bad
    assert not math.isfinite(score(maps, plain()).value)


def test_a_nan_outside_the_counted_region_is_not_overlooked_inside_it() -> None:
    fused = np.zeros((8, 8), np.float32)
    fused[0, 0] = np.nan
    everything_else = np.zeros((8, 8), bool)
    assert math.isnan(score_fused(fused, plain(ignore=everything_else)).value)


@given(st.integers(0, 31), st.integers(0, 31))
def test_the_peak_lies_where_the_hot_spot_was_planted(row: int, column: int) -> None:
    maps = tuple(np.zeros((side, side), np.float32) for side in SIDES)
    maps[0][row, column] = 100
    x, y = score(maps, plain()).peak
    assert abs(x - (column + 0.5) / 32) <= 1 / 32
    assert abs(y - (row + 0.5) / 32) <= 1 / 32


def test_what_is_ignored_does_not_count() -> None:
    fused = np.zeros((10, 10), np.float32)
    fused[:5] = 50
    ignore = np.zeros((10, 10), bool)
    ignore[:5] = True
    seen = score_fused(fused, plain(ignore=ignore, pixel_limit=1))
    assert seen.value == 0
    assert seen.area == 0
    assert seen.peak[1] > 0.5


def test_each_zone_has_its_own_score() -> None:
    fused = np.zeros((10, 10), np.float32)
    fused[0, 0] = 7
    left, right = np.zeros((10, 10), bool), np.zeros((10, 10), bool)
    left[:, :5], right[:, 5:] = True, True
    assert score_fused(fused, plain(zones={"left": left, "right": right})).zones == {"left": 7.0, "right": 0.0}


def test_the_area_is_the_share_above_the_pixel_limit() -> None:
    fused = np.zeros((10, 10), np.float32)
    fused[:2] = 3
    assert score_fused(fused, plain(pixel_limit=2.0)).area == pytest.approx(0.2)


@given(npst.arrays(np.float32, (20, 40), elements=st.floats(-100, 100, width=32)))
def test_the_score_is_the_mean_of_the_largest_two_hundredth(fused: Map) -> None:
    assert score_fused(fused, plain()).value == pytest.approx(float(np.sort(fused.ravel())[-4:].mean()), abs=1e-3)


def test_maps_of_another_bundle_are_refused() -> None:
    maps = maps_of(np.random.default_rng(0))
    with pytest.raises(EngineError, match="another bundle"):
        fuse(maps[:2], plain())
    with pytest.raises(EngineError, match="another bundle"):
        fuse(maps, plain(means=(np.zeros((3, 3), np.float32),) * 3))


def test_statistics_by_position_take_out_a_pattern_that_all_parts_share() -> None:
    rng = np.random.default_rng(1)
    pattern = maps_of(rng)
    good = [tuple(10 * p + m for p, m in zip(pattern, maps_of(rng))) for _ in range(30)]
    by_level, by_position = learn_scoring(good, "level"), learn_scoring(good, "position")
    assert np.ptp(fuse(good[0], by_position)) < np.ptp(fuse(good[0], by_level))


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from(["level", "position"]))
def test_learnt_deviations_are_always_above_zero(seed: int, count: int, statistics: str) -> None:
    rng = np.random.default_rng(seed)
    maps = maps_of(rng)
    scoring = learn_scoring([maps] * count, statistics)  # type: ignore[arg-type]
    assert all((std > 0).all() for std in scoring.stds)
    assert math.isfinite(score(maps, scoring).value)


def test_the_gaussian_of_a_stitched_map_is_that_of_one_tile() -> None:
    of_tile, of_whole = _smoother(64, 64)[32], _smoother(256, 256, 0.25)[128]
    np.testing.assert_allclose(of_whole[128 - 20 : 128 + 20], of_tile[32 - 20 : 32 + 20], atol=1e-6)


def test_a_small_defect_weighs_in_a_stitched_map_as_in_a_tile() -> None:
    zero, one = np.asarray(0, np.float32), np.asarray(1, np.float32)
    tile: Map = np.zeros((64, 64), np.float32)
    tile[30:34, 30:34] = 9
    whole: Map = np.zeros((128, 192), np.float32)
    whole[:64, :64] = tile
    alone = score([tile], Scoring("level", (zero,), (one,), 1.0))
    within = score([whole], Scoring("level", (zero,), (one,), 1.0, layout=Layout(tile=(64 / 128, 64 / 192))))
    assert within.value == pytest.approx(alone.value, rel=1e-4)
    assert within.area == pytest.approx(alone.area / 6)


BOXED = Layout(content=(0.0, 0.25, 1.0, 0.5))


def test_positions_and_areas_are_fractions_of_the_letterboxed_region() -> None:
    fused: Map = np.zeros((64, 64), np.float32)
    fused[16:32, :32] = 1  # a quarter of the region
    fused[16, 8] = 2
    zero, one = np.asarray(0, np.float32), np.asarray(1, np.float32)
    found = score_fused(fused, Scoring("level", (zero,), (one,), 0.5, padding(BOXED, (64, 64)), layout=BOXED))
    assert found.area == pytest.approx(0.25)
    assert found.peak == (pytest.approx(8.5 / 64), pytest.approx(0.5 / 32))


@pytest.mark.parametrize("statistics", ["level", "position"])
def test_what_lies_in_the_padding_neither_counts_nor_teaches(statistics: Statistics) -> None:
    rng = np.random.default_rng(0)
    good = [[rng.normal(0, 1, (64, 64)).astype(np.float32), rng.normal(0, 1, (16, 16)).astype(np.float32)]]
    wild = [[level.copy() for level in good[0]]]
    for level in wild[0]:
        beside = padding(BOXED, level.shape)
        assert beside is not None
        assert beside.mean() == 0.5
        level[: len(level) // 8] = 1e3
    scoring = learn_scoring(good, statistics, BOXED)
    assert scoring.ignore is not None
    assert score(wild[0], scoring).value == pytest.approx(score(good[0], scoring).value, rel=1e-3)
    if statistics == "level":
        assert learn_scoring(wild, "level", BOXED).means[0] == pytest.approx(scoring.means[0])
    assert padding(Layout(), (64, 64)) is None


@given(st.integers(0, 2**32 - 1), st.floats(-1, 1))
def test_what_lies_over_the_whole_part_is_taken_off_as_far_as_good_parts_had_it(seed: int, lift: float) -> None:
    maps = maps_of(np.random.default_rng(seed))
    lifted = tuple(level + np.float32(lift) for level in maps)
    levelled = plain(baseline=Baseline(-1e9, 1e9, 3))
    np.testing.assert_allclose(fuse(lifted, levelled), fuse(maps, levelled), atol=1e-4)


def test_beyond_that_it_counts_in_full() -> None:
    maps = maps_of(np.random.default_rng(0))
    usual = float(np.median(fuse(maps, plain())))
    levelled = plain(baseline=Baseline(usual - 0.5, usual + 0.5, 3))
    for lift in (2.0, -2.0):  # of each of three maps
        lifted = tuple(level + np.float32(lift) for level in maps)
        expected = fuse(maps, plain()) + 3 * lift - (usual + math.copysign(0.5, lift))
        np.testing.assert_allclose(fuse(lifted, levelled), expected, atol=1e-3)


def test_the_baseline_is_of_the_discrepancies_alone_and_of_what_counts() -> None:
    maps = maps_of(np.random.default_rng(0))
    ignore = np.zeros((32, 32), bool)
    ignore[:, :20] = True
    levelled = plain(ignore=ignore, baseline=Baseline(-1e9, 1e9, 2))
    head = fuse(maps, plain()) - fuse((*maps[:2], np.zeros_like(maps[2])), plain())
    below = fuse((*maps[:2], np.zeros_like(maps[2])), plain())
    np.testing.assert_allclose(fuse(maps, levelled), below - np.median(below[~ignore]) + head, atol=1e-4)


def test_the_baseline_is_learnt_as_the_range_of_the_parts_medians() -> None:
    rng = np.random.default_rng(0)
    parts = [tuple(level + np.float32(lift) for level in maps_of(rng)) for lift in (-1.0, 0.0, 2.0)]
    scoring = learn_scoring(parts, "level", good_maps=2)
    assert scoring.baseline is not None
    assert scoring.baseline.maps == 2
    without = [fuse(part[:2], learn_scoring([p[:2] for p in parts], "level")) for part in parts]
    medians = [float(np.median(fused)) for fused in without]
    np.testing.assert_allclose(medians, 0, atol=1e-4)  # each lies within the range, and is taken off whole
    assert scoring.baseline.high - scoring.baseline.low > 3


@pytest.mark.parametrize("statistics", ["level", "position"])
def test_a_map_that_is_not_finite_makes_no_score_with_a_baseline_either(statistics: Statistics) -> None:
    rng = np.random.default_rng(0)
    scoring = learn_scoring([maps_of(rng) for _ in range(3)], statistics)
    broken = maps_of(rng)
    broken[1][3, 3] = np.nan
    assert math.isnan(score(broken, scoring).value)
