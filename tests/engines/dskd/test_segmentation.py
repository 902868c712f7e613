"""The segmentation head: its shape, its start, and how far it sees."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engines.dskd.segmentation import PRIOR, Segmentation


def levels(count: int, size: int = 16, pictures: int = 2) -> tuple[Tensor, ...]:
    torch.manual_seed(0)
    return tuple(torch.randn(pictures, 4 + level, size >> level, size >> level) for level in range(count))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_any_number_of_levels_gives_one_map_at_the_finest(count: int) -> None:
    given = levels(count)
    head = Segmentation(tuple(level.shape[1] for level in given)).eval()
    assert head(given).shape == (2, 16, 16)


def test_untrained_it_holds_nearly_every_position_good() -> None:
    head = Segmentation((4, 5, 6)).eval()
    silent = tuple(torch.zeros_like(level) for level in levels(3))
    assert float(torch.sigmoid(head(silent)).mean()) == pytest.approx(PRIOR, rel=0.5)


def test_a_position_is_seen_within_its_surroundings() -> None:
    head = Segmentation((4, 5, 6)).eval()
    given = levels(3, size=64, pictures=1)
    given[2].requires_grad_()
    head(given)[0, 32, 32].backward()
    assert given[2].grad is not None
    seen = (given[2].grad.abs().sum(1)[0] > 0).nonzero()
    assert int(seen.max() - seen.min()) >= 8  # of 16: half the picture
