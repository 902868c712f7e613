"""One contract for every engine, and what each asserts about itself."""

from __future__ import annotations

import dataclasses
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from engines.bundle import Bundle
from engines.errors import BundleError, InferenceFailed, RuntimeUnavailable
from engines.image import Image
from engines.runtimes import base, box
from engines.runtimes.base import ENGINES, Engine, Runtime, engine_name, open_runtime
from engines.runtimes.openvino import check_precision
from engines.scoring import Map

HERE = ("onnxruntime", "openvino:fp32")  # engines that every CPU has


@pytest.fixture(params=(*HERE, "tensorrt:fp16"))
def runtime(
    request: pytest.FixtureRequest, tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Runtime]:
    if request.param == "tensorrt:fp16":  # on a GPU that is none
        request.getfixturevalue("tensorrt")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    opened = open_runtime(request.param, tiny_bundle.model, 1)
    yield opened
    opened.close()


def picture(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)


def reference(image: Image) -> list[Map]:
    """What the tiny graph computes, in numpy."""
    distance = np.abs(image.astype(np.float32).mean(2) - 150)
    return [distance.reshape(64 // s, s, 64 // s, s).mean((1, 3)) for s in (4, 8, 16)]


def test_maps_are_those_of_the_graph(runtime: Runtime) -> None:
    for seed in range(5):
        for got, want in zip(runtime.infer(picture(seed)), reference(picture(seed))):
            assert got.dtype == np.float32
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-3)


def test_earlier_maps_are_not_overwritten_by_later_ones(runtime: Runtime) -> None:
    first = runtime.infer(picture(1))
    kept = [level.copy() for level in first]
    runtime.infer(picture(2))
    for level, copy in zip(first, kept):
        np.testing.assert_array_equal(level, copy)


def test_a_picture_with_strides_is_read_rightly(runtime: Runtime) -> None:
    turned = picture(3)[::-1]
    np.testing.assert_allclose(runtime.infer(turned)[0], reference(np.ascontiguousarray(turned))[0], atol=1e-3)


def test_closing_twice_is_harmless_and_a_closed_runtime_says_so(runtime: Runtime) -> None:
    assert runtime.infer(picture(0))
    runtime.close()
    runtime.close()
    with pytest.raises(InferenceFailed, match="is closed"):
        runtime.infer(picture(0))


@pytest.mark.parametrize("shape", [(64, 63, 3), (1, 1, 3), (64, 64)])
def test_a_picture_of_another_shape_is_refused_and_the_next_one_is_not(
    runtime: Runtime, shape: tuple[int, ...]
) -> None:
    with pytest.raises(InferenceFailed, match=r"eats \(64, 64, 3\)"):
        runtime.infer(np.zeros(shape, np.uint8))
    np.testing.assert_allclose(runtime.infer(picture(4))[0], reference(picture(4))[0], rtol=1e-4, atol=1e-3)


def test_memory_stays_flat_over_many_inferences(runtime: Runtime) -> None:
    image = picture(5)

    def look(times: int) -> int:
        for _ in range(times):
            runtime.infer(image)
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    before = look(500)
    assert look(4000) - before < 4_000_000  # one input that was kept each time would be 49 MB


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("model", [b"", b"no model at all"])
def test_garbage_is_refused_by_name(name: str, model: bytes) -> None:
    with pytest.raises(RuntimeUnavailable, match=ENGINES[name].library):
        open_runtime(name, model)


@pytest.mark.parametrize("name", HERE)
def test_a_graph_with_another_input_is_refused_by_name(name: str) -> None:
    with pytest.raises(RuntimeUnavailable, match=f"{ENGINES[name].library}.*uint8"):
        open_runtime(name, one_node("Identity", TensorProto.FLOAT, [1, 8, 8, 3]))


def test_a_graph_that_loads_but_cannot_run_is_never_called_ready() -> None:
    with pytest.raises(RuntimeUnavailable, match="onnxruntime loads the model but can't run it"):
        open_runtime("onnxruntime", one_node("Gather", TensorProto.UINT8, [1, 8, 8, 3], index=99))


LIBRARY_CALLS = {
    "onnxruntime": "onnxruntime.InferenceSession.run_with_iobinding",
    "openvino:fp32": "openvino.InferRequest.infer",
}


def broken(*_: object) -> None:
    raise RuntimeError("out of memory")


@pytest.mark.parametrize("name", HERE)
def test_an_engine_that_fails_while_warming_up_is_never_called_ready(
    monkeypatch: pytest.MonkeyPatch, tiny_bundle: Bundle, name: str
) -> None:
    monkeypatch.setattr(LIBRARY_CALLS[name], broken)
    with pytest.raises(RuntimeUnavailable, match=f"{ENGINES[name].library}.*can't run it.*out of memory"):
        open_runtime(name, tiny_bundle.model, 1)


@pytest.mark.parametrize("name", HERE)
def test_a_failed_inference_is_named_and_the_next_one_may_succeed(tiny_bundle: Bundle, name: str) -> None:
    runtime = open_runtime(name, tiny_bundle.model, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LIBRARY_CALLS[name], broken)
        with pytest.raises(InferenceFailed, match=f"{ENGINES[name].library} failed: out of memory"):
            runtime.infer(picture(6))
    np.testing.assert_allclose(runtime.infer(picture(6))[0], reference(picture(6))[0], rtol=1e-4, atol=1e-3)


def test_an_unknown_engine_names_those_there_are() -> None:
    with pytest.raises(RuntimeUnavailable, match=r"onnxruntime, openvino:fp32"):
        open_runtime("abacus", b"")


@pytest.mark.parametrize(
    ("text", "name"),
    [("openvino", "openvino:fp32"), ("onnxruntime:fp32", "onnxruntime"), ("openvino:bf16", "openvino:bf16")],
)
def test_fp32_may_be_left_out_of_a_name(text: str, name: str) -> None:
    assert engine_name(text) == name


def test_a_library_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "is_installed", lambda name: False)
    with pytest.raises(RuntimeUnavailable, match=r"line-inspector\[openvino\]"):
        open_runtime("openvino", b"")
    assert base.preferred_engine() == "onnxruntime"


def test_a_library_that_does_not_load_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "engines.runtimes.openvino", None)  # as where one of its own libraries lacks
    with pytest.raises(RuntimeUnavailable, match=r"openvino:fp32: openvino does not load.*line-inspector\[openvino\]"):
        open_runtime("openvino:fp32", b"")


class Core:
    """An OpenVINO of a CPU without BF16, whatever this one has."""

    def get_property(self, device: str, name: str) -> object:
        return {"OPTIMIZATION_CAPABILITIES": ["FP32", "INT8"], "FULL_DEVICE_NAME": "Old CPU"}[name]


def test_bf16_is_refused_by_name_where_the_cpu_has_none(monkeypatch: pytest.MonkeyPatch, tiny_bundle: Bundle) -> None:
    monkeypatch.setattr("openvino.Core", Core)
    with pytest.raises(RuntimeUnavailable, match=r"openvino:bf16: this CPU \(Old CPU\) computes in FP32, INT8"):
        open_runtime("openvino:bf16", tiny_bundle.model, 1)


@pytest.mark.parametrize(
    ("asked", "layers"),
    [
        ("fp32", [("Input", "u8"), ("Convolution", "f32"), ("Subgraph", "u8"), ("Const", "i32")]),
        ("bf16", [("Input", "u8"), ("Convolution", "bf16"), ("FullyConnected", "bf16"), ("Subgraph", "f32")]),
        ("int8", [("Convolution", "f32"), ("Convolution", "i8"), ("MatMul", "u8")]),
    ],
)
def test_the_precision_that_is_executed_is_accepted(asked: base.Precision, layers: list[tuple[str, str]]) -> None:
    check_precision(asked, layers)


@pytest.mark.parametrize(
    ("asked", "layers"),
    [
        ("fp32", [("Convolution", "bf16")]),
        ("fp32", [("Convolution", "f32"), ("Subgraph", "f16")]),
        ("fp32", [("Convolution", "i8")]),
        ("bf16", [("Convolution", "f32"), ("Convolution", "f32"), ("MatMul", "bf16")]),
        ("int8", [("Convolution", "f32")]),
        ("bf16", []),
    ],
)
def test_another_precision_than_asked_is_refused(asked: base.Precision, layers: list[tuple[str, str]]) -> None:
    with pytest.raises(RuntimeUnavailable, match=f"openvino:{asked} would compute in"):
        check_precision(asked, layers)


def test_every_engine_is_of_the_library_and_precision_in_its_name() -> None:
    for name, engine in ENGINES.items():
        assert isinstance(engine, Engine)
        assert engine_name(f"{engine.library}:{engine.precision}") == name


def test_tensorrt_runs_the_bundles_fp16_graph_and_is_tied_to_the_gpu(
    tensorrt: object, tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the fake GPU: not yet run on a real one."""
    monkeypatch.setattr(base, "is_installed", lambda name: True)
    base.check_engine("tensorrt:fp16")
    assert box.box("tensorrt:fp16")["gpu"].startswith("Fake GPU")
    with pytest.raises(BundleError, match=r"has no model\.fp16\.onnx"):
        base.graph_of(tiny_bundle, "tensorrt:fp16")
    halved = dataclasses.replace(tiny_bundle, files={**tiny_bundle.files, "model.fp16.onnx": b"half"})
    assert base.graph_of(halved, "tensorrt:fp16") == b"half"
    assert base.graph_of(halved, "openvino:bf16") == tiny_bundle.model


PICTURE = helper.make_tensor_value_info("picture", TensorProto.UINT8, [1, 8, 8, 3])
AS_FP32 = helper.make_node("Cast", ["picture"], ["real"], to=TensorProto.FLOAT)
GREY = [AS_FP32, helper.make_node("ReduceMean", ["real"], ["grey"], keepdims=0, axes=[3])]


def graph_of_nodes(inputs: list[Any], nodes: list[Any], element: int = TensorProto.FLOAT) -> bytes:
    """A model that gives `map0`, of a shape that follows from its nodes."""
    out = helper.make_tensor_value_info("map0", element, None)
    graph = helper.make_graph(nodes, "strange", inputs, [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def to_map(name: str, element: int = TensorProto.FLOAT) -> Any:
    return helper.make_node("Cast", [name], ["map0"], to=element)


STRANGE = {  # none of these is a bundle's graph; each would fail without a name, or give what is no map
    "nothing goes in": graph_of_nodes([], [helper.make_node("Constant", [], ["map0"], value_floats=[1.0])]),
    "two go in": graph_of_nodes(
        [PICTURE, helper.make_tensor_value_info("more", TensorProto.FLOAT, [1, 8, 8])],
        [*GREY, helper.make_node("Add", ["grey", "more"], ["map0"])],
    ),
    "any size": graph_of_nodes(
        [helper.make_tensor_value_info("picture", TensorProto.UINT8, [1, "h", "w", 3])], [*GREY, to_map("grey")]
    ),
    "a number comes out": graph_of_nodes(
        [PICTURE], [AS_FP32, helper.make_node("ReduceMean", ["real"], ["map0"], keepdims=0)]
    ),
    "as many as there are come out": graph_of_nodes(
        [PICTURE], [AS_FP32, helper.make_node("NonZero", ["real"], ["found"]), to_map("found")]
    ),
    "whole numbers come out": graph_of_nodes([PICTURE], [*GREY, to_map("grey", TensorProto.INT64)], TensorProto.INT64),
    "fp64 comes out": graph_of_nodes([PICTURE], [*GREY, to_map("grey", TensorProto.DOUBLE)], TensorProto.DOUBLE),
    "fp16 comes out": graph_of_nodes([PICTURE], [*GREY, to_map("grey", TensorProto.FLOAT16)], TensorProto.FLOAT16),
}


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("kind", STRANGE)
def test_a_graph_that_is_no_bundles_is_refused_by_name(name: str, kind: str) -> None:
    with pytest.raises(RuntimeUnavailable, match=f"{ENGINES[name].library} refuses the model: it (eats|gives) "):
        open_runtime(name, STRANGE[kind], 1)


def one_node(kind: str, element: int, shape: list[int], index: int | None = None) -> bytes:
    """A model of one node over its input; with `index` of one that lies outside what it gathers from."""
    constants = [] if index is None else [helper.make_tensor("index", TensorProto.INT64, [], [index])]
    inputs = ["picture"] if index is None else ["picture", "index"]
    attributes = {} if index is None else {"axis": 1}
    cast = helper.make_node("Cast", ["taken"], ["map0"], to=TensorProto.FLOAT)
    nodes = [helper.make_node(kind, inputs, ["taken"], **attributes), cast]
    given = helper.make_tensor_value_info("picture", element, shape)
    out = helper.make_tensor_value_info("map0", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "one", [given], [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())
