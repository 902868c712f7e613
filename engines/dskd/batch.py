"""What one training step shows the network: good parts, some with a painted defect, and the features it should say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engines.defects import Painted, paint_defect
from engines.dskd.features import Pictures, TeacherFeatures, device_of
from engines.dskd.method import Method
from engines.dskd.network import Dskd
from engines.dskd.students import Levels
from engines.image import Image

MOST_DEFECTS = 3  # on one painted part: painting is cheap beside looking at it


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's pictures, on the network's device: `practice` painted ones, `painted` more, then good ones.

    Attributes:
        pictures: (P + B, H, W, 3) BGR uint8; the first P are for the head alone, the students see the rest.
        masks: (P + B, h, w) FP32 at the finest matched level, 1 where a defect was painted.
        targets: standardised features of the *good* parts of the last B, per level (B, C, h, w) FP32: what the students
            should say.
    """

    pictures: Tensor
    masks: Tensor
    targets: Levels
    practice: int
    painted: int


def count_painted(method: Method, pictures: int) -> int:
    """How many of a step's pictures are shown to the students with a defect."""
    return round(method.painted * pictures)


def show(
    network: Dskd, fit: Pictures, features: TeacherFeatures, index: np.ndarray[tuple[int], np.dtype[np.int64]],
    seed: tuple[int, ...],
) -> Batch:  # fmt: skip
    """The batch whose students see the `fit` pictures at `index` (B,); its defects and practice follow from `seed`."""
    painted = count_painted(network.method, len(index))
    practice = round(network.method.practice * len(index)) if network.method.segmentation else 0
    shown = np.concatenate([draw_practice(len(fit), practice, (*seed, *map(int, index))), index])
    pictures, masks = fit[shown], np.zeros((len(shown), *fit.shape[1:3]), np.bool_)
    for place in range(practice + painted):
        rng = np.random.default_rng((*seed, int(shown[place]), place))
        pictures[place], masks[place] = paint(pictures[place], fit, rng)
    stride = network.method.levels[0]
    device = device_of(network)
    # A defect that touches a position makes it defective: a pinhole must not vanish between the positions.
    marked = functional.max_pool2d(torch.from_numpy(masks).float()[:, None], stride)[:, 0]
    return Batch(torch.from_numpy(pictures).to(device), marked.to(device), features.at(index), practice, painted)


def draw_practice(count: int, pictures: int, seed: tuple[int, ...]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Indices (P,) of pictures to paint for the head alone."""
    return np.random.default_rng(seed).choice(count, pictures, replace=pictures > count)


def paint(picture: Image, fit: Pictures, rng: np.random.Generator) -> Painted:
    """A copy of a picture (H, W, 3) with one to `MOST_DEFECTS` defects, foreign texture taken from `fit` pictures."""
    image, mask = picture, np.zeros(picture.shape[:2], np.bool_)
    for _ in range(int(rng.integers(1, MOST_DEFECTS + 1))):
        painted = paint_defect(image, fit[int(rng.integers(len(fit)))], rng)
        image, mask = painted.image, mask | painted.mask
    return Painted(image, mask)
