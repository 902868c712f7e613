"""The teacher's features, cached or not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engines.dskd.features import TeacherFeatures, spread
from engines.dskd.network import Dskd
from engines.dskd.train import TrainingConfig, build

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)
SOME = np.array([3, 1])


@pytest.fixture
def network() -> Dskd:
    return build(TrainingConfig(size=64, device="cpu")).eval()


def test_features_of_all_pictures_are_standardised(network: Dskd) -> None:
    for level in TeacherFeatures(network, PICTURES, learn_scale=True).at(np.arange(5)):
        assert level.dtype == torch.float32
        torch.testing.assert_close(level.mean((0, 2, 3)), torch.zeros(level.shape[1]), atol=1e-3, rtol=0)
        torch.testing.assert_close(level.std((0, 2, 3)), torch.ones(level.shape[1]), atol=0.05, rtol=0)


def test_features_are_what_the_teacher_says_of_those_pictures(network: Dskd) -> None:
    features = TeacherFeatures(network, PICTURES, learn_scale=True)
    with torch.no_grad():
        said = network.teach(network.normalise(torch.from_numpy(PICTURES[SOME])))
    for cached, fresh in zip(features.at(SOME), said):
        torch.testing.assert_close(cached, fresh, atol=2e-2, rtol=2e-3)  # the cache is FP16


@pytest.mark.parametrize("index", [SOME, np.arange(5)])
def test_what_does_not_fit_into_memory_is_computed_anew_with_the_same_result(
    index: NDArray[np.int64], network: Dskd
) -> None:
    cached = TeacherFeatures(network, PICTURES, learn_scale=True)
    fresh = TeacherFeatures(network, PICTURES, learn_scale=True, limit_bytes=1000)
    assert cached.is_cached
    assert not fresh.is_cached
    for a, b in zip(cached.at(index), fresh.at(index)):
        torch.testing.assert_close(a, b, atol=2e-2, rtol=2e-3)


def test_a_second_set_is_standardised_by_the_first(network: Dskd) -> None:
    TeacherFeatures(network, PICTURES, learn_scale=True)
    before = network.get_buffer("scale.mean0").clone()
    other = TeacherFeatures(network, PICTURES // 4)
    assert torch.equal(network.get_buffer("scale.mean0"), before)
    assert float(other.mean[0].abs().max()) > 0.1


def test_a_sample_does_not_follow_the_order_of_the_tiles() -> None:
    tiles_of_a_part = 12
    chosen = spread(120 * tiles_of_a_part, 128)
    assert len(set(chosen)) == 128
    assert (np.diff(chosen) > 0).all()
    assert set(chosen % tiles_of_a_part) == set(range(tiles_of_a_part))
    assert spread(5, 128).tolist() == [0, 1, 2, 3, 4]
