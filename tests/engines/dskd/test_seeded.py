"""The default architecture with random weights: a real bundle, the same one for the same seed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from engines.bundle import load_bundle
from engines.detector import open_detector
from engines.dskd.seeded import seeded_bundle
from engines.dskd.train import TrainingConfig


@pytest.mark.slow
def test_a_seeded_bundle_runs_and_is_the_same_again(tmp_path: Path) -> None:
    config = dataclasses.replace(TrainingConfig(), size=64)
    first, again = (load_bundle(seeded_bundle(tmp_path / name, (80, 60), config)) for name in "ab")
    assert first.id == again.id
    other = load_bundle(seeded_bundle(tmp_path / "c", (80, 60), dataclasses.replace(config, seed=1)))
    assert first.id != other.id
    detector = open_detector(first, "onnxruntime", 1)
    maps = detector.detect(np.zeros((60, 80, 3), np.uint8)).maps
    detector.close()
    assert [level.shape for level in maps] == [tuple(level) for level in first.manifest.levels]
    assert all(np.isfinite(level).all() for level in maps)
