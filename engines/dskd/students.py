"""The students and what stands between them: encoder, embedding, decoder, heads.

Embedding and decoder follow RD4AD (Deng & Li, arXiv 2201.10703): the paper's own hyper-parameters were not available.
Stage k, from 1, has stride 2 ** (k + 1) and width * 2 ** (k - 1) channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.dskd.backbones import StudentShape
from engines.dskd.method import STRIDES
from engines.dskd.resnet import BasicBlock, residual_stage

Levels = tuple[Tensor, ...]  # one (B, C, h, w) per matched level, fine to coarse


def convolution(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def widths_at(width: int, levels: tuple[int, ...]) -> tuple[int, ...]:
    """Student channels at some strides."""
    return tuple(width * level // STRIDES[0] for level in levels)


class Encoder(nn.Module):
    """Encoder student: the teacher's scales, fine to coarse, at its own width."""

    def __init__(self, width: int, shape: StudentShape, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = levels
        self.stem = nn.Sequential(convolution(3, width, shape.stem, 2), nn.MaxPool2d(3, 2, 1))
        inputs = width
        for stage, stride in enumerate(STRIDES, 1):
            if stride <= levels[-1]:
                outputs = width * 2 ** (stage - 1)
                blocks = residual_stage(BasicBlock, inputs, outputs, 1 if stage == 1 else 2, shape.blocks[stage - 1])
                self.add_module(f"stage{stage}", blocks)
                inputs = outputs

    def forward(self, x: Tensor) -> Levels:
        x = self.stem(x)  # (B, w, H/4, W/4)
        levels = []
        for stage, stride in enumerate(STRIDES, 1):
            if stride <= self.levels[-1]:
                x = self.get_submodule(f"stage{stage}")(x)
                if stride in self.levels:
                    levels.append(x)
        return tuple(levels)


class Embedding(nn.Module):
    """Deep feature embedding: all levels fused into one narrow code that an anomaly can't cross.

    Finer levels are brought to the coarsest one's resolution by stride-2 convolutions, joined with it as it is, and
    halved once more by a residual stage.

    Args:
        inputs: channels of the levels that come in.
    """

    def __init__(self, inputs: tuple[int, ...], width: int, shape: StudentShape, levels: tuple[int, ...]) -> None:
        super().__init__()
        coarsest = widths_at(width, levels)[-1]
        self.reductions = nn.ModuleList(
            _reduction(channels, width, level, levels[-1]) for channels, level in zip(inputs[:-1], levels[:-1])
        )
        joined = coarsest * len(self.reductions) + inputs[-1]
        self.fuse = residual_stage(BasicBlock, joined, 2 * coarsest, 2, shape.blocks[-1])

    def forward(self, levels: Levels) -> Tensor:
        reduced = [reduce(level) for reduce, level in zip(self.reductions, levels)]
        code: Tensor = self.fuse(torch.cat([*reduced, levels[-1]], 1))
        return code  # at strides 4, 8, 16: (B, 8w, H/32, W/32)


def _reduction(channels: int, width: int, level: int, coarsest: int) -> nn.Sequential:
    """Stride-2 convolutions from one level down to the coarsest, each to its level's student width."""
    steps = []
    while level < coarsest:
        level *= 2
        outputs = widths_at(width, (level,))[0]
        steps.append(convolution(channels, outputs, 3, 2))
        channels = outputs
    return nn.Sequential(*steps)


class UpBlock(nn.Module):
    """Residual block that doubles the resolution by a 2x2 stride-2 transposed convolution, then plain blocks."""

    def __init__(self, inputs: int, outputs: int, blocks: int) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.ConvTranspose2d(inputs, outputs, 2, 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
        )
        self.conv = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 2, 2, bias=False), nn.BatchNorm2d(outputs))
        self.refine = nn.Sequential(*(BasicBlock(outputs, outputs) for _ in range(blocks - 1)))

    def forward(self, x: Tensor) -> Tensor:
        refined: Tensor = self.refine(functional.relu(self.conv(self.up(x)) + self.shortcut(x)))
        return refined


class Decoder(nn.Module):
    """Decoder student: the encoder's structure inverted, from the code back to the finest matched level, no skips."""

    def __init__(self, width: int, shape: StudentShape, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = levels
        for stage, outputs in self._stages(width):
            self.add_module(f"stage{stage}", UpBlock(2 * outputs, outputs, shape.blocks[stage - 1]))

    def forward(self, code: Tensor) -> Levels:
        x, levels = code, []
        for stage, _ in self._stages(1):
            x = self.get_submodule(f"stage{stage}")(x)
            if STRIDES[stage - 1] in self.levels:
                levels.append(x)
        return tuple(reversed(levels))

    def _stages(self, width: int) -> Sequence[tuple[int, int]]:
        """Numbers and channels of the stages, coarse to fine."""
        stages = range(STRIDES.index(self.levels[-1]), STRIDES.index(self.levels[0]) - 1, -1)
        return [(stage + 1, width * 2**stage) for stage in stages]


class Heads(nn.Module):
    """Student features to the teacher's channels, level by level.

    Args:
        keeps_relu: the target is >= 0 like a student's last ReLU: where channels agree (a ResNet18's at width 64),
            nothing is added. A target that can be negative needs a linear last layer.
    """

    def __init__(self, widths: tuple[int, ...], channels: tuple[int, ...], keeps_relu: bool) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Identity() if keeps_relu and wide == channel else nn.Conv2d(wide, channel, 1)
            for wide, channel in zip(widths, channels)
        )

    def forward(self, levels: Levels) -> Levels:
        return tuple(head(level) for head, level in zip(self.levels, levels))
