"""One row of our own: train with a configuration, judge the test pictures as the line would."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engines.bundle import Bundle
from engines.detector import open_detector
from engines.dskd.teach import teach
from engines.dskd.train import Progress, TrainingConfig
from engines.runtimes.base import preferred_engine
from harness.cases import Case, Material, fingerprint, masks_fingerprint, masks_on_grid, prepared, read_case
from harness.facts import ROOT, versions
from harness.final_runs import Guard
from harness.judging import row
from harness.latency import measure
from harness.results import Results, Row, code_digest
from inspector.evaluate import judge_pictures

OnStep = Callable[[Progress], None]


def configuration(name: str, case: Case, training: TrainingConfig, material: Material) -> dict[str, Any]:
    """Everything that decides a row of ours: settings, pictures, masks, code and libraries."""
    decided = [*sorted((ROOT / "engines" / "dskd").rglob("*.py")), *sorted((ROOT / "engines").glob("*.py"))]
    return {
        "name": name,
        "case": dataclasses.asdict(case),
        "seed": training.seed,
        "training": dataclasses.asdict(training),
        "train": fingerprint(prepared([*material.fit, *material.select], training.size)),
        "test": fingerprint(prepared(material.test, training.size)),
        "masks": masks_fingerprint(masks_on_grid(material.test, training.size)),
        "versions": versions(),
        "code": code_digest(path for path in decided if path.name not in ("evaluation.py", "metrics.py", "errors.py")),
    }


def run(
    name: str,
    case: Case,
    data: Path | None,
    training: TrainingConfig,
    results: Results,
    guard: Guard,
    peers: Path | None = None,
    again: bool = False,
    on_step: OnStep = lambda _: None,
) -> Row:
    """The row of that configuration, made unless it is there.

    Args:
        peers: folder of the peers' environment, for the ratio of times.
        again: make it even if it is there.
    """
    with tempfile.TemporaryDirectory(prefix="row-") as folder:
        material = read_case(case, data, Path(folder))
        config = configuration(name, case, training, material)

        def make() -> Row:
            return guard.make(
                material, lambda: train_and_judge(name, config, material, training, Path(folder), peers, on_step)
            )

        return results.keep(make()) if again else results.get(name, config, make)


def train_and_judge(
    name: str,
    config: dict[str, Any],
    material: Material,
    training: TrainingConfig,
    folder: Path,
    peers: Path | None,
    on_step: OnStep,
) -> Row:
    """Train, judge, time."""
    started = time.monotonic()
    fit, select = ([entry.path for entry in entries] for entries in (material.fit, material.select))
    bundle = teach("benchmark", fit, select, folder / "bundles", training, any_size=True, on_step=on_step)
    train_s = time.monotonic() - started
    engine = preferred_engine()
    detector = open_detector(bundle, engine, any_size=True)
    judged = judge_pictures(detector, bundle.scoring, material.test)
    detector.close()
    infer_ms, ratio = measure(bundle, engine, peers)
    return row(name, config, material, judged, _known(bundle, engine, train_s, infer_ms, ratio))


def _known(bundle: Bundle, engine: str, train_s: float, infer_ms: float, ratio: float | None) -> dict[str, Any]:
    return {
        "train_s": round(train_s, 1),
        "infer_ms": round(infer_ms, 3),
        "infer_ratio_vs_stfpm": None if ratio is None else round(ratio, 4),
        "engine": engine,
        "bundle_sha256": bundle.id,
        "statistics": bundle.scoring.statistics,
        "training": bundle.manifest.training,
    }
