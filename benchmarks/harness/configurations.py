"""Our named configurations: the default, and those of the ablation table. One row of the table per entry."""

from __future__ import annotations

import dataclasses

from engines.dskd.train import TrainingConfig

DEFAULT = "default"
RD4AD = "rd4ad"  # teacher -> embedding: stands in for Reverse Distillation, which anomalib has for ResNets only

CONFIGURATIONS: dict[str, TrainingConfig] = {
    DEFAULT: TrainingConfig(),
    "without cosine": TrainingConfig(cosine_weight=0.0),
}


def seeded(name: str, seed: int) -> TrainingConfig:
    """A named configuration with a seed."""
    return dataclasses.replace(CONFIGURATIONS[name], seed=seed)
