"""Our graph's time against that of anomalib's STFPM-ResNet18, in turns in one process, so that load hits both alike."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from engines.bundle import Bundle
from engines.errors import EvaluationError
from engines.runtimes.base import Precision, engine_name, graph_of, open_runtime

BENCHMARKS = Path(__file__).resolve().parents[1]
GRAPHS = BENCHMARKS / "results" / "graphs"
STFPM = "stfpm_resnet18"
ROUNDS, WARM_UPS = 60, 5

Inference = Callable[[], object]


def interleaved(inferences: list[Inference], rounds: int = ROUNDS) -> list[float]:
    """Median ms of each, one call of each per round, the order turned around every other round."""
    for _ in range(WARM_UPS):
        for infer in inferences:
            infer()
    taken: list[list[float]] = [[] for _ in inferences]
    for number in range(rounds):
        order = range(len(inferences)) if number % 2 == 0 else reversed(range(len(inferences)))
        for index in order:
            started = time.perf_counter_ns()
            inferences[index]()
            taken[index].append((time.perf_counter_ns() - started) / 1e6)
    return [statistics.median(times) for times in taken]


def measure(bundle: Bundle, engine: str, peers: Path | None, threads: int = 0) -> tuple[float, float | None]:
    """Median ms of our inference, and its ratio to the peer's; None without the peers' environment."""
    spec = bundle.manifest.input
    picture = np.random.default_rng(0).integers(0, 255, (spec.height, spec.width, 3), np.uint8)
    runtime = open_runtime(engine, graph_of(bundle, engine), threads)
    inferences: list[Inference] = [lambda: runtime.infer(picture)]
    if peers is not None and engine_name(engine) == "openvino:fp32":
        inferences.append(peer_inference(peer_graph(peers, STFPM), threads))
    ours, *theirs = interleaved(inferences)
    runtime.close()
    return ours, ours / theirs[0] if theirs else None


def peer_graph(peers: Path, name: str, folder: Path = GRAPHS) -> Path:
    """One of `peers.graphs` at 256 px as OpenVINO IR in FP32, exported once by the peers' environment.

    Raises:
        EvaluationError: the export failed.
    """
    graph = folder / f"{name}.xml"
    if not graph.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        command = [str(peers.absolute() / "bin" / "python"), "-m", "peers.graphs", name, str(graph)]
        said = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=False)
        if said.returncode:
            raise EvaluationError(f"{' '.join(command)} failed; run make peers again: {said.stderr[-500:]}")
    return graph


def peer_inference(graph: Path, threads: int, precision: Precision = "fp32") -> Inference:
    """One inference of a peer's graph, compiled with the options of our own runtime, on a normalised picture.

    Raises:
        RuntimeUnavailable: this CPU has not the precision, or OpenVINO would compute in another.
    """
    import openvino

    from engines.runtimes.openvino import compile_model

    request = compile_model(openvino.Core().read_model(graph), threads, precision).create_infer_request()
    picture = np.random.default_rng(0).standard_normal((1, 3, 256, 256), np.float32)
    return lambda: request.infer([picture], share_inputs=True)
