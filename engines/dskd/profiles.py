"""Named trade-offs of accuracy against time; `benchmarks/compare.py` prints what each was measured to give."""

from __future__ import annotations

from engines.dskd.method import Method
from engines.dskd.train import TrainingConfig
from engines.errors import TrainingError

PROFILES = {
    "default": TrainingConfig(),
    "wide": TrainingConfig(method=Method(width=48)),  # students of twice the width
    "large": TrainingConfig(teacher="efficientnet_lite2", method=Method(width=32)),
    "resnet18": TrainingConfig(teacher="resnet18"),  # the paper's teacher; its weights are downloaded or given
}


def find_profile(name: str) -> TrainingConfig:
    """Look up a profile.

    Raises:
        TrainingError: there is no such profile.
    """
    if name not in PROFILES:
        raise TrainingError(f"unknown profile {name!r}; choose one of {', '.join(PROFILES)}")
    return PROFILES[name]
