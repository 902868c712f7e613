"""DSKD: frozen teacher, encoder student, deep feature embedding, decoder student.

Yao & Gao, "Dual-Student Knowledge Distillation Networks for Unsupervised Anomaly Detection", arXiv 2402.00448.
The paper's hyper-parameters were not available; embedding and decoder follow RD4AD (Deng & Li, arXiv 2201.10703).

    x --> teacher (frozen) ---------------------> t1 t2 t3
    x --> encoder --> e1 e2 e3 --> embedding --> decoder --> d1 d2 d3
    training: L(t, e) + L(t, d)            inference: D(t, d)
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.dskd.anomaly_map import discrepancy
from engines.dskd.backbones import BasicBlock, TeacherSpec

Levels = tuple[Tensor, ...]  # one (B, C, h, w) per level, fine to coarse: strides 4, 8, 16


class Students(NamedTuple):
    """What the two students say of one batch."""

    encoder: Levels
    decoder: Levels


def convolution(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Encoder(nn.Module):
    """Encoder student: the teacher's scales, fine to coarse, at its own width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(convolution(3, width, 3, 2), nn.MaxPool2d(3, 2, 1))
        self.stage1 = nn.Sequential(BasicBlock(width, width), BasicBlock(width, width))
        self.stage2 = nn.Sequential(BasicBlock(width, 2 * width, 2), BasicBlock(2 * width, 2 * width))
        self.stage3 = nn.Sequential(BasicBlock(2 * width, 4 * width, 2), BasicBlock(4 * width, 4 * width))

    def forward(self, x: Tensor) -> Levels:
        first = self.stage1(self.stem(x))  # (B, w, H/4, W/4)
        second = self.stage2(first)  # (B, 2w, H/8, W/8)
        return first, second, self.stage3(second)  # (B, 4w, H/16, W/16)


class Embedding(nn.Module):
    """Deep feature embedding: all encoder levels fused into one narrow code that an anomaly can't cross."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.from_first = nn.Sequential(convolution(width, 2 * width, 3, 2), convolution(2 * width, 4 * width, 3, 2))
        self.from_second = convolution(2 * width, 4 * width, 3, 2)
        self.fuse = nn.Sequential(BasicBlock(12 * width, 8 * width, 2), BasicBlock(8 * width, 8 * width))

    def forward(self, levels: Levels) -> Tensor:
        first, second, third = levels
        joined = torch.cat([self.from_first(first), self.from_second(second), third], 1)  # (B, 12w, H/16, W/16)
        code: Tensor = self.fuse(joined)
        return code  # (B, 8w, H/32, W/32)


class UpBlock(nn.Module):
    """Residual block that doubles the resolution by a 2x2 stride-2 transposed convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.ConvTranspose2d(inputs, outputs, 2, 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
        )
        self.conv = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 2, 2, bias=False), nn.BatchNorm2d(outputs))
        self.refine = BasicBlock(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        refined: Tensor = self.refine(functional.relu(self.conv(self.up(x)) + self.shortcut(x)))
        return refined


class Decoder(nn.Module):
    """Decoder student: the encoder's structure inverted, from the code back to the teacher's scales, no skips."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stage3 = UpBlock(8 * width, 4 * width)
        self.stage2 = UpBlock(4 * width, 2 * width)
        self.stage1 = UpBlock(2 * width, width)

    def forward(self, code: Tensor) -> Levels:
        third = self.stage3(code)  # (B, 4w, H/16, W/16)
        second = self.stage2(third)  # (B, 2w, H/8, W/8)
        return self.stage1(second), second, third  # (B, w, H/4, W/4) first


class Heads(nn.Module):
    """Student features to the teacher's channels; nothing where they already agree (ResNet18 at width 64)."""

    def __init__(self, width: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(len(channels))]
        # A ResNet student ends in a ReLU like its teacher; a linear teacher needs a linear last layer.
        self.levels = nn.ModuleList(
            nn.Identity() if tuple(widths) == channels else nn.Conv2d(wide, channel, 1)
            for wide, channel in zip(widths, channels)
        )

    def forward(self, levels: Levels) -> Levels:
        return tuple(head(level) for head, level in zip(self.levels, levels))


class FeatureScale(nn.Module):
    """Teacher features standardised per channel by the statistics of the `fit` parts."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        for level, channel in enumerate(channels):
            self.register_buffer(f"mean{level}", torch.zeros(channel))
            self.register_buffer(f"std{level}", torch.ones(channel))

    def forward(self, levels: Levels) -> Levels:
        return tuple(
            (features - self.get_buffer(f"mean{level}")[:, None, None]) / self.get_buffer(f"std{level}")[:, None, None]
            for level, features in enumerate(levels)
        )

    def set_level(self, level: int, mean: Tensor, std: Tensor) -> None:
        """Take over the per-channel statistics (C,) of one level."""
        self.get_buffer(f"mean{level}").copy_(mean)
        self.get_buffer(f"std{level}").copy_(std)


class Dskd(nn.Module):
    """The whole network: uint8 pictures in, raw anomaly maps out."""

    def __init__(self, teacher: nn.Module, spec: TeacherSpec, width: int | None = None) -> None:
        super().__init__()
        width = width or spec.student_width
        self.metric = spec.metric
        self.teacher = teacher
        self.scale = FeatureScale(spec.channels)
        self.encoder = Encoder(width)
        self.encoder_heads = Heads(width, spec.channels)
        self.embedding = Embedding(width)
        self.decoder = Decoder(width)
        self.decoder_heads = Heads(width, spec.channels)
        self.register_buffer("pixel_mean", torch.tensor(spec.mean)[:, None, None])
        self.register_buffer("pixel_std", torch.tensor(spec.std)[:, None, None])

    def train(self, mode: bool = True) -> Dskd:
        """Switch the students; the teacher's batch norms stay frozen."""
        super().train(mode)
        self.teacher.eval()
        return self

    def normalise(self, pictures: Tensor) -> Tensor:
        """(B, H, W, 3) BGR uint8 -> (B, 3, H, W) RGB as the teacher was trained."""
        rgb = pictures.permute(0, 3, 1, 2).float().flip(1)
        return (rgb - self.get_buffer("pixel_mean")) / self.get_buffer("pixel_std")

    def teach(self, x: Tensor) -> Levels:
        """The teacher's standardised features of normalised pictures (B, 3, H, W)."""
        levels: Levels = self.scale(self.teacher(x))
        return levels

    def study(self, x: Tensor) -> Students:
        """Both students' features of normalised pictures (B, 3, H, W)."""
        encoded = self.encoder(x)
        decoded = self.decoder(self.embedding(encoded))
        return Students(self.encoder_heads(encoded), self.decoder_heads(decoded))

    def forward(self, pictures: Tensor) -> Levels:
        """(B, H, W, 3) BGR uint8 -> one raw map (B, h, w) per level, teacher against decoder student."""
        x = self.normalise(pictures)
        return discrepancy(self.teach(x), self.study(x).decoder, self.metric)
