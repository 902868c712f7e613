"""What one step shows: practice of the head, painted parts, good parts; masks where they were painted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from engines.dskd.batch import Batch, show
from engines.dskd.features import Pictures, TeacherFeatures
from engines.dskd.method import Method
from engines.dskd.network import Dskd

MakeNetwork = Callable[[str, Method], Dskd]
FIT: Pictures = np.random.default_rng(0).integers(60, 190, (6, 64, 64, 3), np.uint8)
INDEX = np.array([4, 1, 5, 0])


def batch(make_network: MakeNetwork, method: Method, seed: int = 1) -> Batch:
    network = make_network("efficientnet_lite0", method)
    return show(network, FIT, TeacherFeatures(network, FIT), INDEX, (0, seed))


@pytest.mark.parametrize(("share", "painted"), [(0.5, 2), (0.25, 1), (0.75, 3)])
def test_the_first_pictures_are_painted_and_the_rest_as_they_are(
    share: float, painted: int, make_network: MakeNetwork
) -> None:
    shown = batch(make_network, Method(width=8, painted=share, practice=0.0))
    assert shown.painted == painted
    changed = (shown.pictures.numpy() != FIT[INDEX]).any((1, 2, 3))
    assert changed.tolist() == [True] * painted + [False] * (4 - painted)
    assert (shown.masks.sum((1, 2)) > 0).tolist() == changed.tolist()


def test_the_pictures_of_the_product_are_left_alone(make_network: MakeNetwork) -> None:
    before = FIT.copy()
    batch(make_network, Method(width=8, painted=0.75))
    np.testing.assert_array_equal(FIT, before)


def test_the_targets_are_the_good_parts(make_network: MakeNetwork) -> None:
    network = make_network("efficientnet_lite0", Method(width=8))
    shown = show(network, FIT, TeacherFeatures(network, FIT), INDEX, (0, 1))
    good = network.teach(network.normalise(torch.from_numpy(FIT[INDEX])))
    for target, expected in zip(shown.targets, good):
        torch.testing.assert_close(target, expected, atol=2e-2, rtol=2e-2)  # features are kept in FP16


def test_masks_have_the_finest_levels_size_and_lose_no_pinhole(make_network: MakeNetwork) -> None:
    for levels in ((4, 8, 16), (8, 16)):
        shown = batch(make_network, Method(width=8, levels=levels, practice=0.0))
        assert shown.masks.shape == (4, 64 // levels[0], 64 // levels[0])
        changed = torch.from_numpy((shown.pictures.numpy() != FIT[INDEX]).any(3))
        for mask, change in zip(shown.masks[: shown.painted], changed):
            assert mask.any()
            rows, columns = torch.nonzero(mask, as_tuple=True)
            patches = change.unfold(0, levels[0], levels[0]).unfold(1, levels[0], levels[0]).any(-1).any(-1)
            assert bool(patches[rows, columns].all())


def test_the_head_practises_on_painted_pictures_of_its_own_before_those_of_the_students(
    make_network: MakeNetwork,
) -> None:
    shown = batch(make_network, Method(width=8, practice=1.5))
    assert (shown.practice, shown.painted) == (6, 2)
    assert shown.pictures.shape == (10, 64, 64, 3)
    assert (shown.masks.sum((1, 2)) > 0).tolist() == [True] * 8 + [False] * 2
    np.testing.assert_array_equal(shown.pictures[8:].numpy(), FIT[INDEX[2:]])
    assert [len(level) for level in shown.targets] == [4, 4, 4]


def test_practice_may_ask_for_more_pictures_than_there_are(make_network: MakeNetwork) -> None:
    shown = batch(make_network, Method(width=8, practice=3.0))
    assert shown.practice == 12 > len(FIT)
    assert len(np.unique(shown.pictures[:12].numpy().reshape(12, -1), axis=0)) == 12  # the same part, other defects


def test_defects_follow_from_the_seed(make_network: MakeNetwork) -> None:
    first, same, other = (batch(make_network, Method(width=8), seed) for seed in (1, 1, 2))
    assert torch.equal(first.pictures, same.pictures)
    assert torch.equal(first.masks, same.masks)
    assert not torch.equal(first.pictures, other.pictures)


def test_a_method_that_paints_nothing_shows_good_parts(make_network: MakeNetwork) -> None:
    shown = batch(make_network, Method(width=8, painted=0.0, gaussian=False, segmentation=False))
    np.testing.assert_array_equal(shown.pictures.numpy(), FIT[INDEX])
    assert not shown.masks.any()
