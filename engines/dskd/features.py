"""The frozen teacher's features of a set of pictures: computed once, or anew for each batch where memory ends."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.dskd.device import fast_precision
from engines.dskd.gaussian import Gaussian
from engines.dskd.network import Dskd
from engines.dskd.students import Levels

Pictures = NDArray[np.uint8]  # (N, H, W, 3) BGR

# A picture's features are 336 kB (Lite0 at 256 px) to 3.7 MB (WideResNet50). Above this limit they are computed for
# each batch: a run of 1,000 steps looks at 8,000 pictures, and 9,500 of Lite0 fit, so that a larger set is not even
# seen once. It also leaves no file to clean up, and is what pictures that change from step to step need anyway.
CACHE_LIMIT_BYTES = 3 * 2**30
CHUNK = 16  # pictures at a time
MOST_ANEW = 1_000  # pictures whose features are computed once more: half a minute


class TeacherFeatures:
    """Standardised teacher features of `pictures`, by index.

    Attributes:
        mean: per level (C,), the mean standardised feature of these pictures: what a student that learnt nothing says.
    """

    def __init__(
        self, network: Dskd, pictures: Pictures, learn_scale: bool = False, limit_bytes: int = CACHE_LIMIT_BYTES
    ) -> None:
        """Compute what fits.

        Args:
            learn_scale: make these pictures' per-channel statistics the network's feature scale.
            limit_bytes: most memory that the features may take.
        """
        self._network = network
        self._pictures = pictures
        picture_bytes = sum(level[0].numel() * 2 for level in raw_features(network, pictures[:1]))
        self.is_cached = picture_bytes * len(pictures) <= limit_bytes
        sample = pictures if self.is_cached else pictures[spread(len(pictures), max(1, limit_bytes // picture_bytes))]
        raw = _all_features(network, sample)
        moments = [channel_moments(level) for level in raw]
        if learn_scale and network.metric == "l2":
            for level, (mean, std) in enumerate(moments):
                network.scale.set_level(level, mean, std)
        means: Levels = network.scale(tuple(mean[None, :, None, None].to(device_of(network)) for mean, _ in moments))
        self.mean = tuple(mean[0, :, 0, 0] for mean in means)
        self._cache: Levels | None = raw if self.is_cached else None

    def __len__(self) -> int:
        return len(self._pictures)

    def at(self, index: NDArray[np.int64]) -> Levels:
        """Standardised features of the pictures at `index` (B,): per level (B, C, h, w) FP32, where the network is."""
        if self._cache is None:
            raw = raw_features(self._network, self._pictures[index])
        else:
            chosen = torch.from_numpy(index)
            raw = tuple(level[chosen].permute(0, 3, 1, 2) for level in self._cache)
        with torch.no_grad():
            standardised: Levels = self._network.scale(
                tuple(level.to(device_of(self._network)).float() for level in raw)
            )
        return standardised


def spread(count: int, most: int) -> NDArray[np.int64]:
    """At most so many indices of `count` pictures, ascending, by a fixed lot.

    Every k-th would meet the order they come in: with k tiles to a part, the first tile of each and no other.
    """
    return np.sort(np.random.default_rng(0).permutation(count)[:most])


def learn_gaussian(gaussian: Gaussian, features: TeacherFeatures) -> None:
    """Let a Gaussian learn from these pictures; from a lot of them where features are computed anew."""
    index = spread(len(features), len(features) if features.is_cached else MOST_ANEW)
    sums = products = torch.zeros(())
    for start in range(0, len(index), CHUNK):
        seen = gaussian.gather(features.at(index[start : start + CHUNK])).double()
        sums, products = sums + seen.sum(1), products + seen.transpose(1, 2) @ seen
    gaussian.learn(sums / len(index), products / len(index))


def raw_features(network: Dskd, pictures: Pictures) -> Levels:
    """The teacher's own features of (B, H, W, 3) pictures: per level (B, C, h, w) FP16, on the network's device."""
    with torch.no_grad(), fast_precision(device_of(network)):
        x = network.normalise(torch.from_numpy(pictures).to(device_of(network)))
        return tuple(level.half() for level in network.teacher(x))


def channel_moments(level: Tensor) -> tuple[Tensor, Tensor]:
    """Per-channel mean and deviation (C,) of (N, h, w, C), in FP32, picture by picture to bound the memory."""
    means = torch.stack([picture.float().mean((0, 1)) for picture in level])
    squares = torch.stack([picture.float().square().mean((0, 1)) for picture in level])
    mean = means.mean(0)
    return mean, (squares.mean(0) - mean.square()).clamp_min(1e-8).sqrt()


def _all_features(network: Dskd, pictures: Pictures) -> Levels:
    """Per level (N, h, w, C) FP16 in main memory: channels last, so that a batch is gathered in whole rows."""
    stores: list[Tensor] = []
    for start in range(0, len(pictures), CHUNK):
        for number, level in enumerate(raw_features(network, pictures[start : start + CHUNK])):
            rows = level.permute(0, 2, 3, 1)
            if start == 0:
                stores.append(torch.empty((len(pictures), *rows.shape[1:]), dtype=torch.float16))
            stores[number][start : start + CHUNK] = rows
    return tuple(stores)


def device_of(network: Dskd) -> torch.device:
    """Where the network is computed."""
    return network.get_buffer("pixel_mean").device
