"""ResNet up to the coarsest matched stage: He et al., arXiv 1512.03385. Parameter names as in torchvision.

Wide ResNet: Zagoruyko & Komodakis, arXiv 1605.07146: the 3x3 convolutions of the bottlenecks are twice as wide.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from engines.dskd.method import STRIDES


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module | None:
    """1x1 projection where a block's input can't be added to its output as it is."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class WideBottleneck(nn.Module):
    """Residual block 1x1, 3x3, 1x1 of a Wide ResNet; the 3x3 has half the outputs' channels and the stride (v1.5)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        middle = outputs // 2  # width_per_group=128 in torchvision's words; a ResNet50 has a quarter
        self.conv1 = nn.Conv2d(inputs, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


def residual_stage(
    block: type[BasicBlock] | type[WideBottleneck], inputs: int, outputs: int, stride: int, count: int
) -> nn.Sequential:
    """`count` blocks, of which the first has the stride."""
    return nn.Sequential(block(inputs, outputs, stride), *(block(outputs, outputs) for _ in range(count - 1)))


class ResNet(nn.Module):
    """Normalised RGB (B, 3, H, W) -> one (B, C, H/s, W/s) per stride s of `levels`.

    Args:
        block: what the stages are made of.
        counts: blocks of layer1..4.
        channels: outputs of layer1..4.
        levels: strides to give; nothing is built beyond the last.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[WideBottleneck],
        counts: tuple[int, int, int, int],
        channels: tuple[int, int, int, int],
        levels: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.levels = levels
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for layer, stride in enumerate(STRIDES, 1):
            if stride <= levels[-1]:
                outputs = channels[layer - 1]
                stage = residual_stage(block, inputs, outputs, 1 if layer == 1 else 2, counts[layer - 1])
                self.add_module(f"layer{layer}", stage)
                inputs = outputs

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool2d(x, 3, 2, 1)  # (B, 64, H/4, W/4)
        taps = []
        for layer, stride in enumerate(STRIDES, 1):
            if stride <= self.levels[-1]:
                x = self.get_submodule(f"layer{layer}")(x)
                if stride in self.levels:
                    taps.append(x)
        return tuple(taps)
