"""Named trade-offs."""

from __future__ import annotations

import pytest

from engines.dskd.backbones import teacher_spec
from engines.dskd.cost import measure_cost
from engines.dskd.network import Dskd
from engines.dskd.profiles import PROFILES, find_profile
from engines.dskd.train import TrainingConfig
from engines.errors import TrainingError


def macs(name: str) -> int:
    config = PROFILES[name]
    spec = teacher_spec(config.teacher)
    return sum(block.macs for block in measure_cost(Dskd(spec.build(config.method.levels), spec, config.method), 64))


def test_the_default_is_the_default_and_the_cheapest() -> None:
    assert find_profile("default") == TrainingConfig()
    assert all(macs("default") < macs(name) for name in PROFILES if name != "default")


def test_an_unknown_profile_is_told_with_those_there_are() -> None:
    with pytest.raises(TrainingError, match="'huge'; choose one of default, wide"):
        find_profile("huge")
