"""Our engines against anomalib's models through OpenVINO at 256 px, in turns in one process.

    python benchmarks/speed.py --json
    python benchmarks/speed.py --bundle data/products/gasket/bundles/NAME --peers /path/to/peers --rounds 60 --json

Weights don't change the time: without --bundle ours are random too. Ours take uint8, normalisation inside; the
peers' normalisation is left out, in their favour. BF16 rows are there where the CPU has BF16.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from harness.facts import facts
from harness.latency import STFPM, Inference, interleaved, peer_graph, peer_inference
from harness.roofline import Machine, layers_of, matrix_product, memory_copy

from engines.bundle import Bundle, load_bundle
from engines.dskd.seeded import seeded_bundle
from engines.dskd.train import TrainingConfig
from engines.errors import BundleError, RuntimeUnavailable
from engines.runtimes.base import ENGINES, Precision, graph_of, open_runtime

ROOT = Path(__file__).resolve().parents[1]
PEERS = (STFPM, "patchcore_resnet18", "reverse_distillation_resnet18", "efficientad_s")
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
GEMM, MEMORY = "matrix product", "memory copy"  # rows that the roofline needs
FRAME = (256, 256)


def main() -> None:
    """Run the benchmark and print one object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="the default bundle; without it one with random weights")
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-peers", help="made by `make peers` if missing")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=0, help="0: every core; the matrix product takes numpy's own")
    parser.add_argument("--json", action="store_true", help="print JSON (it always does)")
    given = parser.parse_args()
    if not (given.peers / "bin" / "python").exists():
        subprocess.run(["make", "peers", f"PEERS={given.peers}"], cwd=ROOT, check=True, stdout=sys.stderr)
    print(json.dumps(measure(given.bundle, given.peers, given.rounds, given.threads)))


def measure(folder: Path | None, peers: Path, rounds: int, threads: int) -> dict[str, Any]:
    """Every row in turns, one call of each per round."""
    with tempfile.TemporaryDirectory(prefix="speed-") as scratch:
        ours = load_bundle(folder or seeded_bundle(Path(scratch), FRAME))
        resnet = dataclasses.replace(TrainingConfig(), teacher="resnet18")
        bundles = {"dskd": ours, "dskd_resnet18": load_bundle(seeded_bundle(Path(scratch), FRAME, resnet))}
    rows, refused = _rows(bundles, peers, threads)
    product, gflop = matrix_product()
    copy, gbyte = memory_copy()
    calls = {**rows, GEMM: product, MEMORY: copy}
    ms = dict(zip(calls, interleaved(list(calls.values()), rounds)))
    machine = Machine(gflop / ms.pop(GEMM) * 1000, gbyte / ms.pop(MEMORY) * 1000)
    return {
        "ms": {name: round(value, 2) for name, value in ms.items()},
        "refused": refused,
        "ratio_vs_stfpm_fp32": _ratios(ms, STFPM),
        "ratio_vs_efficientad_fp32": _ratios(ms, "efficientad_s"),
        "roofline": {name: _roofline(bundle, ms[f"{name} openvino:fp32"], machine) for name, bundle in bundles.items()},
        "gflop_per_s": round(machine.gflop_per_s, 1),
        "gbyte_per_s": round(machine.gbyte_per_s, 2),
        "bundle": ours.id,
        "is_seeded": folder is None,
        "rounds": rounds,
        "threads": threads,
        **facts(),
    }


def _rows(bundles: dict[str, Bundle], peers: Path, threads: int) -> tuple[dict[str, Inference], dict[str, str]]:
    """What can be run here by "NAME ENGINE", and why the rest can't."""
    makers: dict[str, Callable[[], Inference]] = {}
    for name, bundle in bundles.items():
        for engine in ENGINES:
            makers[f"{name} {engine}"] = lambda bundle=bundle, engine=engine: _ours(bundle, engine, threads)  # type: ignore[misc]
    for name in PEERS:
        for precision in PRECISIONS:
            makers[f"{name} openvino:{precision}"] = lambda name=name, precision=precision: peer_inference(  # type: ignore[misc]
                peer_graph(peers, name), threads, precision
            )
    rows, refused = {}, {}
    for row, make in makers.items():
        try:
            rows[row] = make()
        except (BundleError, RuntimeUnavailable) as error:
            refused[row] = str(error)
    return rows, refused


def _ours(bundle: Bundle, engine: str, threads: int) -> Inference:
    runtime, spec = open_runtime(engine, graph_of(bundle, engine), threads), bundle.manifest.input
    picture = np.random.default_rng(0).integers(0, 256, (spec.height, spec.width, 3), np.uint8)
    return lambda: runtime.infer(picture)


def _ratios(ms: dict[str, float], peer: str) -> dict[str, float]:
    """How many times the peer's throughput in FP32 each of our rows has."""
    base = ms[f"{peer} openvino:fp32"]
    return {name: round(base / value, 3) for name, value in ms.items() if name.startswith("dskd")}


def _roofline(bundle: Bundle, measured_ms: float, machine: Machine) -> dict[str, float]:
    layers = layers_of(bundle.model)
    least_ms = machine.least_ms(layers)
    return {
        "gflop": round(math.fsum(layer.flop for layer in layers) / 1e9, 3),
        "least_ms": round(least_ms, 2),
        "measured_ms": round(measured_ms, 2),
        "reached": round(least_ms / measured_ms, 3),
    }


if __name__ == "__main__":
    main()
