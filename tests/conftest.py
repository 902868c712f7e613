"""Fixtures for all tests, and the rule that under INSPECTOR_TESTS=all nothing is skipped in silence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from calibration.evidence import Evidence
from calibration.recipe import Recipe, save_recipe
from calibration.thresholds import Thresholds
from engines.bundle import FORMAT, Bundle, Manifest, load_bundle, newest_bundle, save_bundle
from engines.image import InputSpec, prepare
from engines.runtimes.base import open_runtime
from engines.scoring import Scoring, learn_scoring, score
from inspector.cameras.synthetic import draw_part

pytest_plugins = ["pytester"]

TINY = 64  # px; side of the tiny model's input
STRIDES = (4, 8, 16)
NEEDS_HARDWARE = ("gpu", "camera")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of hardware run when asked for by -m, and are skipped by name otherwise."""
    for item in items:
        for name in NEEDS_HARDWARE:
            if item.get_closest_marker(name) and name not in str(config.getoption("-m")):
                item.add_marker(pytest.mark.skip(reason=f"needs a real {name}: run with -m {name}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None]:  # the wrapper's own protocol: it yields once and returns the report
    """INSPECTOR_TESTS=all: a skipped test fails, unless it needs a GPU or a real camera."""
    report = yield
    assert isinstance(report, pytest.TestReport)
    forbidden = os.environ.get("INSPECTOR_TESTS") == "all" and not any(map(item.get_closest_marker, NEEDS_HARDWARE))
    if forbidden and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped under INSPECTOR_TESTS=all: {report.longrepr}"
    return report


def tiny_model() -> bytes:
    """A graph like an exported one, without weights: how far the grey value is from the metal's, averaged."""
    nodes = [
        helper.make_node("Cast", ["picture"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["real"], ["grey"], keepdims=0, axes=[3]),
        helper.make_node("Unsqueeze", ["grey", "channel"], ["planes"]),
        helper.make_node("Sub", ["planes", "metal"], ["difference"]),
        helper.make_node("Abs", ["difference"], ["distance"]),
    ]
    outputs = []
    for level, stride in enumerate(STRIDES):
        pooled = f"pooled{level}"
        window = [stride, stride]
        nodes.append(helper.make_node("AveragePool", ["distance"], [pooled], kernel_shape=window, strides=window))
        nodes.append(helper.make_node("Squeeze", [pooled, "channel"], [f"map{level}"]))
        side = TINY // stride
        outputs.append(helper.make_tensor_value_info(f"map{level}", TensorProto.FLOAT, [1, side, side]))
    constants = [
        helper.make_tensor("channel", TensorProto.INT64, [1], [1]),
        helper.make_tensor("metal", TensorProto.FLOAT, [], [150.0]),
    ]
    picture = helper.make_tensor_value_info("picture", TensorProto.UINT8, [1, TINY, TINY, 3])
    graph = helper.make_graph(nodes, "tiny", [picture], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def tiny_scoring(model: bytes) -> Scoring:
    """Statistics by position of a few good synthetic parts."""
    runtime = open_runtime("onnxruntime", model, 1)
    spec = InputSpec(TINY, TINY)
    maps = [runtime.infer(prepare(draw_part(11, number, False, TINY), spec)) for number in range(24)]
    runtime.close()
    return learn_scoring(maps, "position")


@pytest.fixture(scope="session")
def tiny_bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small, real bundle that takes a tenth of a millisecond."""
    model = tiny_model()
    manifest = Manifest(
        format=FORMAT,
        product="ring",
        created="2026-01-31T06:00:00+00:00",
        teacher="none",
        weights_licence="none",
        input=InputSpec(TINY, TINY, (TINY, TINY)),
        levels=[(TINY // stride, TINY // stride) for stride in STRIDES],
        fit=["f" * 64],
        select=["e" * 64],
        training={"steps": 0},
        versions={"onnx": onnx.__version__},
        files={},
    )
    parent = tmp_path_factory.mktemp("bundles")
    save_bundle(parent, manifest, model, tiny_scoring(model))
    return parent


@pytest.fixture(scope="session")
def tiny_bundle(tiny_bundle_dir: Path) -> Bundle:
    return load_bundle(newest_bundle(tiny_bundle_dir))


@pytest.fixture(scope="session")
def tiny_recipe(tiny_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """A saved recipe for the tiny bundle whose limit lies above a hundred good synthetic parts."""
    runtime = open_runtime("onnxruntime", tiny_bundle.model, 1)
    spec = tiny_bundle.manifest.input
    parts = (prepare(draw_part(12, number, False, TINY), spec) for number in range(100))
    scores = sorted(score(runtime.infer(part), tiny_bundle.scoring).value for part in parts)
    runtime.close()
    recipe = Recipe(
        product="ring",
        bundle=tiny_bundle.id,
        engine="onnxruntime",
        created="2026-01-31T06:10:00+00:00",
        scoring=tiny_bundle.scoring,
        thresholds=Thresholds(review=scores[-3], reject=scores[-1]),
        evidence=Evidence(100, 100, 2, 0.0616, 0.95, 0.07),
        calibrate=tuple(f"{number:064x}" for number in range(len(scores))),
        scores=tuple(float(value) for value in np.asarray(scores)),
    )
    return save_recipe(tmp_path_factory.mktemp("recipes"), recipe)
