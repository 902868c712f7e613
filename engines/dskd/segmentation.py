"""Segmentation head: where the teacher and the decoder student disagree as they do over a defect.

After Zhang et al., "DeSTSeg: Segmentation Guided Denoising Student-Teacher", arXiv 2211.11317: a distance weighs every
channel alike; the head learns from painted defects which disagreements matter. It also sees the teacher's own features,
since the interior of a large defect may look good to both students: the weakness that DSKD's authors name.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.dskd.students import Levels, convolution

WIDTH = 32  # channels; about 0.09 GMAC at 64 x 64 on EfficientNet-Lite0's levels
PRIOR = 0.01  # share of positions that are defective, so that training starts near the truth


class Segmentation(nn.Module):
    """Teacher and student features, per level (B, C, h, w) -> one map of logits (B, h, w) at the finest level."""

    def __init__(self, channels: tuple[int, ...], width: int = WIDTH) -> None:
        super().__init__()
        # Each level is narrowed before it is enlarged: 1x1 convolutions and bilinear enlargement commute.
        self.narrow = nn.ModuleList(nn.Conv2d(2 * channel, width, 1, bias=False) for channel in channels)
        self.body = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(), convolution(width, width, 3, 1), convolution(width, width, 3, 1)
        )
        self.logit = nn.Conv2d(width, 1, 1)
        nn.init.constant_(self.logit.bias, float(torch.logit(torch.tensor(PRIOR))))  # type: ignore[arg-type]

    def forward(self, teacher: Levels, student: Levels) -> Tensor:
        size = teacher[0].shape[2:]
        joined = teacher[0].new_zeros(())
        for narrow, t, s in zip(self.narrow, teacher, student):
            level = narrow(torch.cat([t - s, t], 1))
            if level.shape[2:] != size:
                level = functional.interpolate(level, size=size, mode="bilinear", align_corners=False)
            joined = joined + level
        logits: Tensor = self.logit(self.body(joined))[:, 0]
        return logits
