"""Judged pictures -> a row: the same metric code for our detector and for its peers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engines.evaluation import Evaluation, Interval, Judged, evaluate
from harness.cases import Material
from harness.facts import facts
from harness.results import Row

FALSE_REJECTS = 0.01


def row(name: str, config: dict[str, Any], material: Material, judged: Sequence[Judged], known: dict[str, Any]) -> Row:
    """Evaluate and keep what a later comparison needs.

    Args:
        known: facts of this run, such as its times.
    """
    pictures = {
        "name": material.names,
        "label": [entry.label for entry in judged],
        "part": [entry.part for entry in judged],
        "score": [float(entry.score) for entry in judged],
    }
    return Row(name, config, figures(evaluate(judged)), pictures, {**facts(), **known})


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """Figures by name, the headline ones as plain values, and every interval; None where there are no masks."""
    intervals = {
        "image_auroc": evaluation.image_auroc,
        "image_ap": evaluation.image_ap,
        "f1_max": evaluation.f1_max,
        "pixel_auroc": evaluation.pixel_auroc,
        "aupro": evaluation.aupro,
        "missed_at_1pct_false_rejects": evaluation.missed[FALSE_REJECTS],
    }
    return {
        **{name: _rounded(interval) for name, interval in intervals.items()},
        "intervals": {name: [round(i.low, 4), round(i.high, 4)] for name, i in intervals.items() if i is not None},
        "missed_at_false_rejects": {str(share): round(i.value, 4) for share, i in evaluation.missed.items()},
        "auroc_by_kind": {kind: round(found.auroc, 4) for kind, found in evaluation.kinds.items()},
        "n_good": evaluation.n_good,
        "n_defective": evaluation.n_defective,
        "n_parts": evaluation.n_parts,
    }


def _rounded(interval: Interval | None) -> float | None:
    return None if interval is None else round(interval.value, 4)
