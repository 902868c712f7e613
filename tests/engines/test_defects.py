"""Painted defects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.defects import ANY_FILL, FILLS, LARGEST, SHAPES, VISIBLE, is_grey, paint_defect
from engines.image import Image


def part(seed: int, side: int = 96, grey: bool = False) -> Image:
    picture = np.random.default_rng(seed).integers(60, 190, (side, side, 3), np.uint8)
    return np.repeat(picture[..., :1], 3, 2) if grey else picture


@pytest.mark.parametrize("shape", [shape for shape, _ in SHAPES])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_every_shape_is_a_weight_between_nothing_and_all(shape, seed: int) -> None:  # type: ignore[no-untyped-def]
    weight = shape(48, 80, np.random.default_rng(seed))
    assert weight.shape == (48, 80)
    assert weight.dtype == np.float32
    assert 0 <= weight.min() <= weight.max() <= 1


@pytest.mark.parametrize("fill", [fill for fill, _ in ANY_FILL])
def test_every_fill_changes_the_picture_and_leaves_its_source_alone(fill) -> None:  # type: ignore[no-untyped-def]
    pixels, other = part(0).astype(np.float32), part(1).astype(np.float32)
    before, before_other = pixels.copy(), other.copy()
    filled = fill(pixels, other, np.random.default_rng(2))
    assert filled.shape == pixels.shape
    assert np.abs(filled - pixels).max() > VISIBLE
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(other, before_other)


def test_shapes_with_fills_of_their_own_are_shapes_that_are_drawn() -> None:
    assert set(FILLS) <= {shape for shape, _ in SHAPES}


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_the_mask_is_where_the_picture_visibly_changed(seed: int) -> None:
    image = part(3)
    before = image.copy()
    painted, mask = paint_defect(image, part(4), np.random.default_rng(seed))
    np.testing.assert_array_equal(image, before)
    change = np.abs(painted.astype(int) - image).max(2)
    assert mask.sum() <= LARGEST * mask.size
    assert (change[mask] >= VISIBLE).all()
    if not mask.any():
        np.testing.assert_array_equal(painted, image)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_the_same_seed_paints_the_same_defect(seed: int) -> None:
    first, second = (paint_defect(part(5), part(6), np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.mask, second.mask)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_a_grey_part_gets_grey_defects(seed: int) -> None:
    painted = paint_defect(part(7, grey=True), part(8, grey=True), np.random.default_rng(seed))
    assert (painted.image == painted.image[..., :1]).all()


def test_nearly_every_painting_shows() -> None:
    rng = np.random.default_rng(9)
    visible = [paint_defect(part(10), part(11), rng).mask.any() for _ in range(100)]
    assert np.mean(visible) > 0.95


def test_what_cannot_be_changed_visibly_comes_back_unchanged() -> None:
    speck = np.full((1, 1, 3), 255, np.uint8)
    painted, mask = paint_defect(speck, speck, np.random.default_rng(0))
    np.testing.assert_array_equal(painted, speck)
    assert not mask.any()


def test_colour_is_told_from_grey() -> None:
    assert is_grey(part(0, grey=True).astype(np.float32))
    assert not is_grey(part(0).astype(np.float32))
