"""What one training step shows the network: good parts, some with a painted defect, and the features it should say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engines.defects import paint_defect
from engines.dskd.features import Pictures, TeacherFeatures, device_of
from engines.dskd.method import Method
from engines.dskd.network import Dskd
from engines.dskd.students import Levels

MOST_DEFECTS = 3  # on one painted part: painting is cheap beside looking at it


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's pictures, on the network's device; the first `painted` of them have a defect.

    Attributes:
        pictures: (B, H, W, 3) BGR uint8, as the students see them.
        masks: (B, h, w) FP32 at the finest matched level, 1 where a defect was painted.
        targets: standardised features of the *good* parts, per level (B, C, h, w) FP32: what the students should say.
    """

    pictures: Tensor
    masks: Tensor
    targets: Levels
    painted: int


def count_painted(method: Method, pictures: int) -> int:
    """How many of a step's pictures are shown with a defect."""
    return round(method.painted * pictures)


def show(
    network: Dskd, fit: Pictures, features: TeacherFeatures, index: np.ndarray[tuple[int], np.dtype[np.int64]],
    seed: tuple[int, ...],
) -> Batch:  # fmt: skip
    """The batch of the `fit` pictures at `index` (B,), its defects drawn from `seed`."""
    painted = count_painted(network.method, len(index))
    pictures, masks = fit[index], np.zeros((len(index), *fit.shape[1:3]), np.bool_)
    for place in range(painted):
        rng = np.random.default_rng((*seed, int(index[place])))
        for _ in range(int(rng.integers(1, MOST_DEFECTS + 1))):
            pictures[place], mask = paint_defect(pictures[place], fit[int(rng.integers(len(fit)))], rng)
            masks[place] |= mask
    stride = network.method.levels[0]
    device = device_of(network)
    # A defect that touches a position makes it defective: a pinhole must not vanish between the positions.
    marked = functional.max_pool2d(torch.from_numpy(masks).float()[:, None], stride)[:, 0]
    return Batch(torch.from_numpy(pictures).to(device), marked.to(device), features.at(index), painted)
