"""The FP16 graph: every tensor of one stated type, the sums that need it in FP32, and the same maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from engines.dskd import half
from engines.dskd.export import trace
from engines.dskd.half import LIMIT, compare, halve, make_half
from engines.dskd.method import METHODS, Method
from engines.dskd.network import Dskd
from engines.runtimes.base import open_runtime

MakeNetwork = Callable[[str, Method], Dskd]
PICTURES = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
IN_SINGLE = {"Sub", "Div", "Mul", "ReduceMean", "ReduceSum", "ReduceL2", "Softplus", "BatchNormalization", "Sqrt"}


@pytest.fixture(scope="module", params=["efficientnet_lite0", "resnet18"])
def single(request: pytest.FixtureRequest, make_network: MakeNetwork) -> bytes:
    return trace(make_network(request.param, replace(METHODS["dskd"], width=8)), PICTURES)


@pytest.fixture(scope="module")
def halved(single: bytes) -> bytes:
    return halve(single)


def types(model: bytes) -> dict[str, int]:
    """Element type of every tensor, as ONNX infers it."""
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(model), strict_mode=True).graph
    values = [*graph.input, *graph.output, *graph.value_info]
    return {value.name: value.type.tensor_type.elem_type for value in values} | {
        tensor.name: tensor.data_type for tensor in graph.initializer
    }


def is_depthwise(node: onnx.NodeProto) -> bool:
    return any(attribute.name == "group" and attribute.i > 1 for attribute in node.attribute)


def test_pictures_come_in_and_maps_go_out_as_before(single: bytes, halved: bytes) -> None:
    before, after = (onnx.load_from_string(model).graph for model in (single, halved))
    assert [value.name for value in (*after.input, *after.output)] == [
        value.name for value in (*before.input, *before.output)
    ]
    assert [value.type.tensor_type.elem_type for value in after.input] == [TensorProto.UINT8]
    assert {value.type.tensor_type.elem_type for value in after.output} == {TensorProto.FLOAT}


def test_convolutions_are_fp16_and_what_needs_it_is_fp32(halved: bytes) -> None:
    found = types(halved)
    nodes = onnx.load_from_string(halved).graph.node
    convolutions = [node for node in nodes if node.op_type in half.WEIGHTED and not is_depthwise(node)]
    assert len(convolutions) > 20
    assert {found[name] for node in convolutions for name in node.input} == {TensorProto.FLOAT16}
    careful = [node for node in nodes if node.op_type in IN_SINGLE or is_depthwise(node)]
    assert {"Sub", "ReduceMean", "Softplus"} & {node.op_type for node in careful} >= {"Sub", "Softplus"}
    real = {found[name] for node in careful for name in node.input if found[name] != TensorProto.INT64}
    assert real == {TensorProto.FLOAT}


def test_nothing_is_rounded_between_two_steps_in_fp32(halved: bytes) -> None:
    found = types(halved)
    nodes = onnx.load_from_string(halved).graph.node
    made_by = {name: node for node in nodes for name in node.output}
    widened = [node.input[0] for node in nodes if node.op_type == "Cast" and found[node.output[0]] == TensorProto.FLOAT]
    assert widened
    assert not [name for name in widened if name in made_by and made_by[name].op_type == "Cast"]


def test_the_picture_is_fp32_before_anything_else(halved: bytes) -> None:
    # TensorRT takes uint8 as an input and nowhere else.
    nodes = onnx.load_from_string(halved).graph.node
    assert [node.op_type for node in nodes if "picture" in node.input] == ["Cast"]


def test_the_graph_is_half_as_large_and_holds_no_shape_arithmetic(single: bytes, halved: bytes) -> None:
    assert len(halved) < 0.6 * len(single)
    assert not {"Shape", "Constant", "ConstantOfShape"} & {
        node.op_type for node in onnx.load_from_string(halved).graph.node
    }


def test_the_maps_are_those_of_the_fp32_graph(single: bytes, halved: bytes) -> None:
    difference, peak = compare(single, halved, PICTURES)
    assert 0 < difference < LIMIT
    assert 0 < peak < 65504
    runtime = open_runtime("onnxruntime", halved, 1)
    assert all(level.dtype == np.float32 and np.isfinite(level).all() for level in runtime.infer(PICTURES[0]))
    runtime.close()


def scaled(model: bytes, largest: float) -> bytes:
    """The graph with its first convolution's weights scaled to such a largest value."""
    proto = onnx.load_from_string(model)
    first = next(node for node in proto.graph.node if node.op_type == "Conv")
    tensor = next(tensor for tensor in proto.graph.initializer if tensor.name == first.input[1])
    values: NDArray[np.float32] = numpy_helper.to_array(tensor)
    values = values * np.float32(largest / np.abs(values).max())
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return bytes(proto.SerializeToString())


@pytest.mark.parametrize(("largest", "why"), [(1e6, "beyond FP16"), (6e4, "between its layers")])
def test_values_that_fp16_can_not_hold_refuse_the_graph(single: bytes, largest: float, why: str) -> None:
    model, check = make_half(scaled(single, largest), PICTURES)
    assert model is None
    assert check.refused is not None
    assert why in check.refused


def test_maps_that_are_no_numbers_refuse_the_graph(single: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(half, "compare", lambda *_: (float("nan"), 1.0))
    model, check = make_half(single, PICTURES)
    assert model is None
    assert "differ from the FP32 graph's by nan" in str(check.refused)


def test_a_map_that_is_no_number_is_a_difference() -> None:
    level = np.ones((4, 4), np.float32)
    broken = level.copy()
    broken[1, 2] = np.nan
    assert half.relative(level, level) == 0
    assert not half.relative(level, broken) <= 1e9
