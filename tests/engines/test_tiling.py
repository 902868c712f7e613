"""Tiles cover the region, and their maps become one map again."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import EngineError, ImageError
from engines.image import InputSpec, Tiling
from engines.scoring import Map
from engines.tiling import OVERLAP, STEP, Tiles, check_tiling, cost, cut_tiles, layout, plan_tiling, stitch

SIDES = st.sampled_from((64, 128, 256))
REGIONS = st.tuples(st.integers(1, 1500), st.integers(1, 1500))
TILES: st.SearchStrategy[Tiles] = st.just("auto") | st.integers(1, 7)


def spec_of(side: int, region: tuple[int, int], tiles: Tiles) -> InputSpec:
    return InputSpec(side, side, tiling=plan_tiling(region, side, tiles))


@given(SIDES, REGIONS, TILES)
def test_every_pixel_of_the_canvas_lies_in_a_tile_and_neighbours_overlap(
    side: int, region: tuple[int, int], tiles: Tiles
) -> None:
    spec = spec_of(side, region, tiles)
    check_tiling(spec)
    if spec.tiling is None:
        return
    for starts, length in ((spec.tiling.lefts, spec.canvas[0]), (spec.tiling.tops, spec.canvas[1])):
        covered = np.zeros(length, int)
        for start in starts:
            covered[start : start + side] += 1
        assert (covered > 0).all()
        assert all(after - before <= side - max(STEP, OVERLAP * side) for before, after in itertools.pairwise(starts))


@given(st.sampled_from((64, 128)), st.integers(1, 6), st.integers(100, 1000))
def test_a_number_is_that_of_the_tiles_along_the_longer_side(side: int, tiles: int, longer: int) -> None:
    tiling = plan_tiling((longer, longer // 2), side, tiles)
    assert (1 if tiling is None else len(tiling.lefts)) == tiles


def test_auto_keeps_the_frames_resolution() -> None:
    tiling = plan_tiling((1024, 700), 256, "auto")
    assert tiling is not None
    assert tiling.canvas == (1024, 704)
    assert plan_tiling((250, 260), 256, "auto") is None


@given(SIDES, REGIONS, TILES, st.sampled_from((4, 8, 16, 32)), st.integers(0, 2**32 - 1))
def test_stitching_a_map_that_was_cut_gives_the_map_back(
    side: int, region: tuple[int, int], tiles: Tiles, stride: int, seed: int
) -> None:
    spec = spec_of(side, region, tiles)
    width, height = spec.canvas
    whole: Map = np.random.default_rng(seed).normal(size=(height // stride, width // stride)).astype(np.float32)
    places = [(0, 0)] if spec.tiling is None else [(y, x) for y in spec.tiling.tops for x in spec.tiling.lefts]
    count = side // stride
    cut = [[whole[y // stride : y // stride + count, x // stride : x // stride + count]] for y, x in places]
    (stitched,) = stitch(cut, spec)
    np.testing.assert_allclose(stitched, whole, atol=1e-5)


def test_tiles_that_disagree_fade_into_each_other_without_a_seam() -> None:
    spec = InputSpec(64, 64, tiling=Tiling((96, 64), (0, 32), (0,)))
    (stitched,) = stitch([[np.zeros((16, 16), np.float32)], [np.ones((16, 16), np.float32)]], spec)
    assert stitched.shape == (16, 24)
    steps = np.diff(stitched[0])
    assert stitched[0, 0] == 0
    assert stitched[0, -1] == 1
    assert (steps >= 0).all()
    assert steps.max() < 0.2


def test_a_position_that_is_not_finite_stays_so() -> None:
    spec = InputSpec(64, 64, tiling=Tiling((96, 64), (0, 32), (0,)))
    bad = np.zeros((16, 16), np.float32)
    bad[3, 12] = np.nan
    (stitched,) = stitch([[bad], [np.zeros((16, 16), np.float32)]], spec)
    assert np.isnan(stitched[3, 12])


def test_a_tile_is_what_the_canvas_shows_there() -> None:
    canvas = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    spec = InputSpec(64, 64, tiling=Tiling((96, 96), (0, 32), (0, 32)))
    tiles = cut_tiles(canvas, spec)
    assert tiles.shape == (4, 64, 64, 3)
    assert (tiles[1] == canvas[:64, 32:]).all()
    assert (tiles[2] == canvas[32:, :64]).all()
    assert (cut_tiles(canvas, InputSpec(96, 96))[0] == canvas).all()


@pytest.mark.parametrize(
    "tiling",
    [
        Tiling((160, 64), (0, 96), (0,)),  # a gap
        Tiling((128, 64), (0, 32), (0,)),  # short of the border
        Tiling((96, 64), (0, 64), (0,)),  # beyond it
        Tiling((96, 64), (32,), (0,)),  # not from the start
        Tiling((96, 64), (), (0,)),
        Tiling((96, 64), (0, 0, 32), (0, 0)),
        Tiling((96, 64), (-32, 32), (0,)),
    ],
)
def test_tiles_that_do_not_cover_the_canvas_are_refused(tiling: Tiling) -> None:
    with pytest.raises(ImageError, match="don't cover"):
        check_tiling(InputSpec(64, 64, tiling=tiling))


def test_levels_that_do_not_line_up_with_the_tiles_are_refused() -> None:
    spec = InputSpec(64, 64, tiling=Tiling((96, 64), (0, 32), (0,)))
    with pytest.raises(EngineError, match="can't be stitched"):
        stitch([[np.zeros((1, 1), np.float32)]] * 2, spec)


@pytest.mark.parametrize(("side", "tiles"), [(100, "auto"), (64, 0)])
def test_a_plan_that_cannot_be_says_why(side: int, tiles: Tiles) -> None:
    with pytest.raises(ImageError, match=r"multiple of 32|at least 1"):
        plan_tiling((500, 500), side, tiles)


def test_the_layout_says_what_a_tile_and_the_region_are_of_the_map() -> None:
    tiled = InputSpec(64, 64, tiling=Tiling((128, 96), (0, 32, 64), (0, 32)))
    assert layout(tiled).tile == (64 / 96, 0.5)
    assert cost(tiled) == "6 tiles: 6 inferences per part"
    boxed = layout(InputSpec(64, 64, frame_size=(200, 100), fit="letterbox"))
    assert boxed.content == (0.0, 0.25, 1.0, 0.5)
    assert cost(InputSpec(64, 64)) == "1 inference per part"
