"""Segmentation head: what in the teacher's features looks like a defect, learnt from painted ones.

The students answer "is this how good parts look here?" position by position, and the interior of a large defect may
look good to both: the weakness that DSKD's authors name. The head sees a position within its surroundings, top-down
from the coarsest level to the finest (Lin et al., "Feature Pyramid Networks", arXiv 1612.03144). Segmentation learnt
from painted defects is DeSTSeg's (Zhang et al., arXiv 2211.11317); unlike there, it does not see the students: two
witnesses who have not spoken with each other (DECISIONS 21).
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.dskd.students import Levels, convolution

WIDTHS = (
    32,
    48,
    64,
    64,
)  # channels per level, fine to coarse; 0.08 GMAC at 256 px on Lite0's levels
PRIOR = 0.01  # share of positions that are defective, so that training starts near the truth


class Segmentation(nn.Module):
    """Teacher features, per level (B, C, h, w) -> one map of logits (B, h, w) at the finest level."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        widths = WIDTHS[: len(channels)]
        self.narrow = nn.ModuleList(convolution(channel, width, 1, 1) for channel, width in zip(channels, widths))
        self.around = nn.Sequential(
            convolution(widths[-1], widths[-1], 3, 2), convolution(widths[-1], widths[-1], 3, 1)
        )
        # A coarser level is narrowed before it is enlarged: 1x1 convolutions and bilinear enlargement commute.
        self.lower = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in itertools.pairwise(widths))
        self.smooth = nn.ModuleList(convolution(width, width, 3, 1) for width in widths)
        self.logit = nn.Conv2d(widths[0], 1, 1)
        nn.init.constant_(self.logit.bias, float(torch.logit(torch.tensor(PRIOR))))  # type: ignore[arg-type]

    def forward(self, teacher: Levels) -> Tensor:
        levels = [narrow(level) for narrow, level in zip(self.narrow, teacher)]
        y = self.smooth[-1](levels[-1] + enlarged(self.around(levels[-1]), levels[-1]))
        for level, lower, smooth in reversed(list(zip(levels, self.lower, self.smooth))):
            y = smooth(level + enlarged(lower(y), level))
        logits: Tensor = self.logit(y)[:, 0]
        return logits


def enlarged(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear, to the height and width of another."""
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)
