"""Our named configurations: the profiles, and those of the ablation table. One row of the table per entry."""

from __future__ import annotations

import dataclasses

from engines.dskd.method import METHODS, LossWeights
from engines.dskd.profiles import PROFILES
from engines.dskd.train import TrainingConfig

DEFAULT = "default"
RD4AD = "rd4ad"  # teacher -> embedding: stands in for Reverse Distillation, which anomalib has for ResNets only


def _with(**switches: object) -> TrainingConfig:
    """The default with some switches of its method set otherwise."""
    return TrainingConfig(method=dataclasses.replace(METHODS["dskd"], **switches))  # type: ignore[arg-type]


CONFIGURATIONS: dict[str, TrainingConfig] = {
    **PROFILES,
    "plain": TrainingConfig(method=METHODS["plain"]),
    RD4AD: TrainingConfig(method=METHODS["rd4ad"]),
    "stfpm-like": TrainingConfig(method=METHODS["stfpm"]),
    "without Gaussian": _with(gaussian=False),
    "without head": _with(segmentation=False),
    "without cosine": _with(loss=LossWeights(cosine=0.0)),
    "without L2": _with(loss=LossWeights(l2=0.0)),
    "cosine by position": _with(loss=LossWeights(cosine_over="position")),
    "both students scored": _with(scored="both"),
    "teacher into embedding": _with(embedding_input="teacher"),
    "encoder detached": _with(detach=True),
    "mining": _with(mining=0.5),
    "stride 32 too": _with(levels=(4, 8, 16, 32)),
    "strides 8 and 16": _with(levels=(8, 16)),
    "width 32": _with(width=32),
    "three quarters painted": _with(painted=0.75),
    "no practice": _with(practice=0.0),
    "twice the practice": _with(practice=2.0),
}


def seeded(name: str, seed: int) -> TrainingConfig:
    """A named configuration with a seed."""
    return dataclasses.replace(CONFIGURATIONS[name], seed=seed)
