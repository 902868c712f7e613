"""What a person with an NVIDIA GPU runs: pytest -m gpu tests/gpu -s. Nobody has yet; docs/TENSORRT.md.

The default architecture with seeded weights is exported, built, run, and held against ONNX Runtime; its time is printed
beside the bare engine's. Needs `pip install 'line-inspector[train,tensorrt]'`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from engines.dskd.export import Graphs, export_graphs
from engines.dskd.half import LIMIT, relative
from engines.dskd.train import TrainingConfig, build
from engines.errors import InferenceFailed
from engines.runtimes.base import open_runtime
from engines.runtimes.tensorrt import TensorRtRuntime

pytestmark = pytest.mark.gpu

SIDE = 256
PICTURES = np.random.default_rng(0).integers(0, 256, (8, SIDE, SIDE, 3), np.uint8)
BUILD_S = 1800.0  # on a small Jetson
ROUNDS = 500


@pytest.fixture(scope="module")
def graphs() -> Graphs:
    made = export_graphs(build(TrainingConfig(device="cpu")).eval(), PICTURES[:1])
    assert made.fp16 is not None, made.checks["fp16"].refused
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture
def runtime(graphs: Graphs, folder: Path) -> Iterator[TensorRtRuntime]:
    opened = TensorRtRuntime(graphs.fp16 or b"", folder)
    yield opened
    opened.close()


def milliseconds(work: Callable[[], object]) -> dict[str, float]:
    took = []
    for _ in range(ROUNDS):
        started = time.perf_counter_ns()
        work()
        took.append((time.perf_counter_ns() - started) / 1e6)
    return {f"p{share:g}": round(float(np.percentile(took, share)), 4) for share in (50, 99, 99.9)}


@pytest.mark.timeout(BUILD_S)
def test_it_builds_once_in_fp16_and_is_captured(graphs: Graphs, folder: Path) -> None:
    for was_cached in (False, True):
        opened = TensorRtRuntime(graphs.fp16 or b"", folder)
        print("\n" + json.dumps({"facts": str(opened.facts), "cuda_graph": opened.is_captured}))
        assert opened.facts.was_cached is was_cached
        assert opened.facts.layers["fp16"] > 0
        assert opened.is_captured
        opened.close()


@pytest.mark.timeout(BUILD_S)
def test_maps_are_those_of_onnx_runtime(graphs: Graphs, runtime: TensorRtRuntime) -> None:
    reference = open_runtime("onnxruntime", graphs.fp32)
    worst = [
        max(relative(want, got) for want, got in zip(reference.infer(picture), runtime.infer(picture)))
        for picture in PICTURES
    ]
    reference.close()
    print("\n" + json.dumps({"largest_relative_difference": max(worst)}))
    assert max(worst) < LIMIT


@pytest.mark.timeout(BUILD_S)
def test_a_picture_gives_the_same_maps_whatever_came_before(runtime: TensorRtRuntime) -> None:
    first = runtime.infer(PICTURES[0])
    kept = [level.copy() for level in first]
    for picture in PICTURES:
        runtime.infer(picture)
    for level, copy, again in zip(first, kept, runtime.infer(PICTURES[0])):
        np.testing.assert_array_equal(level, copy)
        np.testing.assert_array_equal(level, again)


@pytest.mark.timeout(BUILD_S)
def test_an_inference_costs_little_more_than_the_bare_engine(runtime: TensorRtRuntime) -> None:
    """Bare: the captured graph, launched and waited for, without the copies into and out of pinned memory."""

    def bare() -> None:
        runtime._cuda.launch(runtime._graph, runtime._stream)
        runtime._cuda.wait(runtime._stream)

    for _ in range(50):
        bare()
    told = {"infer_ms": milliseconds(lambda: runtime.infer(PICTURES[0])), "bare_ms": milliseconds(bare)}
    print("\n" + json.dumps({"gpu": runtime.facts.target.gpu, **told}))
    assert told["infer_ms"]["p50"] < 1.2 * told["bare_ms"]["p50"] + 0.1  # 0.1 ms: copies of 0.2 MB in, 0.04 MB out


@pytest.mark.timeout(BUILD_S)
def test_a_hundred_openings_do_not_fill_the_gpu(graphs: Graphs, folder: Path) -> None:
    from cuda.bindings import runtime as api

    free = []
    for _ in range(100):
        opened = TensorRtRuntime(graphs.fp16 or b"", folder)
        opened.close()
        with pytest.raises(InferenceFailed):
            opened.infer(PICTURES[0])
        free.append(api.cudaMemGetInfo()[1])
    assert free[-1] > free[10] - (64 << 20)
