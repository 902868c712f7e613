"""Painted defects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.defects import PAINTERS, Painter, paint_defect


@pytest.mark.parametrize("painter", PAINTERS)
def test_each_painter_changes_a_small_part_of_a_copy(painter: Painter) -> None:
    image = np.random.default_rng(0).integers(60, 190, (128, 128, 3), np.uint8)
    before = image.copy()
    painted = painter(image, np.random.default_rng(1))
    np.testing.assert_array_equal(image, before)
    changed = (painted != image).any(2).mean()
    assert 0 < changed < 0.3


@given(st.integers(0, 2**32 - 1))
def test_the_same_seed_paints_the_same_defect(seed: int) -> None:
    image = np.full((64, 64, 3), 120, np.uint8)
    first, second = (paint_defect(image, np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
