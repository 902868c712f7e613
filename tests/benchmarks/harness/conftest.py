"""Rows made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from harness.results import Row

MakeRow = Callable[..., Row]


@pytest.fixture
def make_row() -> MakeRow:
    """A row of 30 good and 30 defective pictures, three pictures to a part; `lift` raises the defective scores."""

    def make(name: str = "default", seed: int = 0, lift: float = 1.0, date: str = "2026-01-31", **config: Any) -> Row:
        scores = np.random.default_rng(seed).normal(size=60)
        scores[30:] += lift
        pictures = {
            "name": [f"{number}.png" for number in range(60)],
            "label": ["good"] * 30 + ["crack"] * 30,
            "part": [str(number // 3) for number in range(60)],
            "score": scores.tolist(),
        }
        case = {"dataset": "tiles", "category": "", "split": "", "role": "dev", "mode": "", "limit": 0}
        figures = {
            "image_auroc": 0.9 + seed / 100,
            "image_ap": 0.9,
            "pixel_auroc": None,
            "aupro": None,
            "missed_at_1pct_false_rejects": 0.2,
            "n_good": 30,
            "n_defective": 30,
            "n_parts": 20,
        }
        facts = {
            "date": f"{date}T06:00:00+00:00",
            "machine": "press, 2 cores",
            "versions": {"python": "3.11", "torch": "2.13"},
            "commit": "a" * 40,
            "dirty": False,
            "train_s": 60.0,
        }
        return Row(name, {"name": name, "case": case, "seed": seed, **config}, figures, pictures, facts)

    return make
