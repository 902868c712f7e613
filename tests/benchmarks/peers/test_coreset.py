"""The coreset that skips measurements picks what the plain greedy loop picks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peers.coreset import greedy_centers, half_distances
from torch import Tensor


def plain_greedy(points: Tensor, count: int, start: int) -> list[int]:
    """Every point measured against every pick, as in the paper."""
    picks = [start]
    distance = torch.linalg.norm(points - points[start], dim=1)
    for _ in range(count - 1):
        picks.append(int(distance.argmax()))
        distance = torch.minimum(distance, torch.linalg.norm(points - points[picks[-1]], dim=1))
        distance[picks[-1]] = 0.0
    return picks


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 60), offset=st.floats(-50, 50))
def test_picks_are_those_of_the_plain_loop(seed: int, count: int, offset: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(200, 4, generator=generator) @ torch.randn(4, 12, generator=generator) + offset
    assert greedy_centers(points, count, seed % 200) == plain_greedy(points, count, seed % 200)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), offset=st.floats(-100, 100))
def test_bound_never_exceeds_half_the_distance(seed: int, offset: float) -> None:
    points = torch.randn(50, 12, generator=torch.Generator().manual_seed(seed)) * 0.1 + offset
    exact = torch.linalg.norm(points.double() - points[0].double(), dim=1)
    bound = half_distances(points, points.square().sum(1), points[0])
    assert bool((2 * bound.double() <= exact + 1e-9).all())


@pytest.mark.parametrize("count", [0, 11])
def test_more_centers_than_points_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match="ask for 1 to 10"):
        greedy_centers(torch.zeros(10, 2), count, 0)
