"""One row of a peer: pictures to its environment, scores and maps back, judged by our metric code."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from peers.table import PEERS

from engines.datasets.labelled import Labelled
from engines.dskd.train import TrainingConfig
from engines.errors import EvaluationError
from engines.evaluation import Judged
from engines.scoring import Mask
from harness.cases import Case, Pictures, fingerprint, masks_fingerprint, masks_on_grid, prepared, read_case
from harness.final_runs import Guard
from harness.judging import row
from harness.latency import BENCHMARKS
from harness.results import Results, Row, code_digest
from harness.teacher import TIMM_NAMES, SharedTeacher, default_teacher
from inspector.evaluate import GRID

ANOMALIB = "2.7.0"


def configuration(
    name: str,
    case: Case,
    seed: int,
    teacher: SharedTeacher,
    train: Pictures,
    test: Pictures,
    masks: Sequence[Mask | None],
) -> dict[str, Any]:
    """Everything that decides a peer's row: options, teacher, pictures, masks and code."""
    return {
        "name": name,
        "case": dataclasses.asdict(case),
        "seed": seed,
        "options": PEERS[name],
        "anomalib": ANOMALIB,
        "teacher": teacher.name,
        "weights": hashlib.sha256(teacher.weights.read_bytes()).hexdigest(),
        "normalisation": [teacher.mean, teacher.std],
        "train": fingerprint(train),
        "test": fingerprint(test),
        "masks": masks_fingerprint(masks),
        "code": code_digest(BENCHMARKS / "peers" / file for file in ("backbone.py", "coreset.py", "models.py")),
    }


def run(
    name: str,
    case: Case,
    data: Path | None,
    seed: int,
    results: Results,
    guard: Guard,
    peers: Path,
    threads: int = 0,
) -> Row:
    """The peer's row, made unless it is there; it trains on our fit and select pictures together.

    Raises:
        EvaluationError: no such peer, or it failed.
    """
    if name not in PEERS:
        raise EvaluationError(f"no peer {name!r}; choose one of {', '.join(PEERS)}")
    size, teacher = TrainingConfig().size, default_teacher()
    with tempfile.TemporaryDirectory(prefix="peer-") as folder:
        material = read_case(case, data, Path(folder))
        train, test = prepared([*material.fit, *material.select], size), prepared(material.test, size)
        masks = masks_on_grid(material.test, size)
        config = configuration(name, case, seed, teacher, train, test, masks)

        def make() -> Row:
            scores, maps, facts = work(name, seed, teacher, train, test, peers, Path(folder), threads)
            judged = judge(material.test, masks, scores, maps)
            return row(name, config, material, judged, facts)

        return results.get(name, config, lambda: guard.make(material, make))


def work(
    name: str,
    seed: int,
    teacher: SharedTeacher,
    train: Pictures,
    test: Pictures,
    peers: Path,
    folder: Path,
    threads: int,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Scores (N,), maps (N, H, W) and facts from the peer's own process.

    Raises:
        EvaluationError: it failed.
    """
    np.save(folder / "train.npy", train)
    np.save(folder / "test.npy", test)
    job = {
        "seed": seed,
        "options": PEERS[name],
        "backbone": TIMM_NAMES[teacher.name],
        "weights": str(teacher.weights),
        "mean": teacher.mean,
        "std": teacher.std,
        "threads": threads,
        **{key: str(folder / file) for key, file in (("train", "train.npy"), ("test", "test.npy"), ("out", "out.npz"))},
    }
    (folder / "job.json").write_text(json.dumps(job))
    command = [str(peers.absolute() / "bin" / "python"), "-m", "peers.worker", str(folder / "job.json")]
    said = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=False)
    if said.returncode:
        raise EvaluationError(f"peer {name} failed; its environment is made by make peers: {said.stderr[-1000:]}")
    with np.load(folder / "out.npz") as out:
        return out["scores"], out["maps"], json.loads(str(out["facts"]))


def judge(
    entries: Sequence[Labelled], masks: Sequence[Mask | None], scores: np.ndarray, maps: np.ndarray
) -> list[Judged]:
    """Bring a peer's answer to what the metric code takes; its maps are enlarged to the grid as ours are."""
    return [
        Judged(
            float(score), entry.label, entry.part, cv2.resize(level, GRID[::-1], interpolation=cv2.INTER_LINEAR), mask
        )
        for entry, mask, score, level in zip(entries, masks, scores, maps.astype(np.float32))
    ]
