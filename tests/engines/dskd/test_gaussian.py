"""The Gaussian by position: what it learns, what it measures, and what it costs a part to lie elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engines.dskd.gaussian import NOISE, Gaussian

CHANNELS = (3, 5)


def features(parts: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two levels, (parts, 3, 8, 8) and (parts, 5, 4, 4)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(parts, 3, 8, 8, generator=generator), torch.randn(parts, 5, 4, 4, generator=generator)


def taught(levels: tuple[torch.Tensor, ...]) -> Gaussian:
    gaussian = Gaussian(CHANNELS)
    seen = gaussian.gather(levels).double()
    gaussian.learn(seen.mean(1), seen.transpose(1, 2) @ seen / seen.shape[1])
    return gaussian


def test_until_it_learns_it_measures_the_length_of_the_features() -> None:
    fine, coarse = features(2)
    length = torch.cat([fine.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5)), coarse], 1).square().sum(1).sqrt()
    torch.testing.assert_close(Gaussian(CHANNELS)((fine, coarse)), length)


def test_it_is_the_mahalanobis_distance_of_each_position() -> None:
    levels = features(40)
    gaussian = taught(levels)
    seen = gaussian.gather(levels).double().numpy()
    covariances = np.stack([np.cov(position.T, bias=True) for position in seen])
    away = seen - seen.mean(1, keepdims=True)
    inverse = np.linalg.inv(covariances + NOISE * np.eye(8))
    squared = np.einsum("pbi,pij,pbj->bp", away, inverse, away).reshape(40, 4, 4)
    np.testing.assert_allclose(gaussian(levels).numpy(), np.sqrt(squared), rtol=1e-4)


def test_what_is_common_at_one_place_is_far_at_another() -> None:
    fine, coarse = features(60)
    coarse[:, :, 0, 0] += 10
    gaussian = taught((fine, coarse))
    moved = coarse.clone()
    moved[:, :, 3, 3] += 10
    assert gaussian((fine, moved))[:, 3, 3].min() > 3 * gaussian((fine, coarse))[:, 0, 0].max()


def test_fewer_parts_than_channels_are_enough() -> None:
    gaussian = taught(features(3))
    assert torch.isfinite(gaussian(features(5, seed=1))).all()


@pytest.mark.parametrize("channels", [(24, 40, 112), (64, 128, 256), (8,)])
def test_it_looks_at_no_more_than_a_hundred_channels_each_once(channels: tuple[int, ...]) -> None:
    chosen = Gaussian(channels).get_buffer("chosen").tolist()
    assert len(set(chosen)) == len(chosen) == min(100, sum(channels))
    assert max(chosen) < sum(channels)


@given(shift=st.floats(-5, 5), seed=st.integers(0, 99))
def test_what_all_parts_have_in_common_changes_no_distance(shift: float, seed: int) -> None:
    levels = features(20, seed)
    other = tuple(level + shift for level in levels)
    torch.testing.assert_close(taught(other)(other), taught(levels)(levels), rtol=1e-3, atol=1e-3)
