"""Gaussian by position: how far features lie from those that good parts show at the same place.

One multivariate Gaussian per position over some of the teacher's channels, as PaDiM has it (Defard et al., arXiv
2011.08785), on the grid of the coarsest level. The students ask whether a position can be foretold from what they
learnt; this asks whether it was ever so here. It says nothing of parts that lie in any orientation: `select` parts
decide whether it counts.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.dskd.students import Levels

CHANNELS = 100  # of those there are, by a fixed lot, as many as PaDiM takes of ResNet18's
NOISE = 0.01  # variance added to each channel, whose own is about 1: PaDiM's; fewer parts than channels are enough


class Gaussian(nn.Module):
    """Teacher features, per level (B, C, h, w) -> one map of Mahalanobis distances (B, h, w) at the coarsest level.

    Until `learn` it is the same everywhere: mean 0, covariance 1.
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        count = min(CHANNELS, sum(channels))
        lot = np.random.default_rng(0).permutation(sum(channels))[:count]
        self.register_buffer("chosen", torch.from_numpy(np.sort(lot)))
        self.register_buffer("mean", torch.zeros(1, 1, count))
        self.register_buffer("root", torch.eye(count)[None])

    def forward(self, teacher: Levels) -> Tensor:
        height, width = teacher[-1].shape[2:]
        whitened = (self.gather(teacher) - self.get_buffer("mean")) @ self.get_buffer("root")
        return whitened.square().sum(2).sqrt().transpose(0, 1).reshape(-1, height, width)

    def gather(self, teacher: Levels) -> Tensor:
        """The chosen channels of all levels (positions, B, K), finer levels averaged over the coarsest one's cells."""
        coarsest = teacher[-1].shape[2]
        same = [functional.avg_pool2d(level, level.shape[2] // coarsest) for level in teacher[:-1]]
        return torch.cat([*same, teacher[-1]], 1).index_select(1, self.get_buffer("chosen")).flatten(2).permute(2, 0, 1)

    def learn(self, means: Tensor, products: Tensor) -> None:
        """Take over what good parts showed, in FP64.

        Args:
            means: (positions, K), of `gather`.
            products: (positions, K, K), mean outer products of it.
        """
        covariance = products - means[:, :, None] * means[:, None, :]
        # numpy: LAPACK's batched triangular solvers of some torch builds fail on several threads.
        lower = np.linalg.cholesky(covariance.cpu().numpy() + NOISE * np.eye(means.shape[1]))
        root = torch.from_numpy(np.linalg.inv(lower).transpose(0, 2, 1).astype(np.float32))
        device = self.get_buffer("mean").device
        self.register_buffer("mean", means[:, None].float().to(device))
        self.register_buffer("root", root.to(device))
