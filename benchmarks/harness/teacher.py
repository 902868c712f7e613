"""The teacher that every row shares, as the default configuration names it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engines.dskd.backbones import teacher_spec
from engines.dskd.train import TrainingConfig
from engines.dskd.weights import packaged_file
from engines.errors import TrainingError

TIMM_NAMES = {f"efficientnet_lite{size}": f"tf_efficientnet_lite{size}" for size in (0, 1, 2)}


@dataclass(frozen=True, slots=True)
class SharedTeacher:
    """A teacher with packaged weights that timm knows too.

    Attributes:
        mean, std: of RGB 0..255, per channel.
    """

    name: str
    weights: Path
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def default_teacher() -> SharedTeacher:
    """The default configuration's teacher.

    Raises:
        TrainingError: timm has no such network, or its weights are not installed.
    """
    name = TrainingConfig().teacher
    spec = teacher_spec(name)
    if name not in TIMM_NAMES or spec.package is None:
        raise TrainingError(f"peers can't share the teacher {name!r}: they need one of {', '.join(TIMM_NAMES)}")
    return SharedTeacher(name, packaged_file(spec.package), spec.normalisation.mean, spec.normalisation.std)
