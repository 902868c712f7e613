"""The least time of a graph: counted by hand, and what the machine's rates make of it."""

from __future__ import annotations

import numpy as np
import pytest
from harness.roofline import Layer, Machine, layers_of, matrix_product, memory_copy
from onnx import TensorProto, helper


def graph_of(kind: str, weight: tuple[int, ...], given: tuple[int, ...], **attributes: object) -> bytes:
    node = helper.make_node(kind, ["x", "w"], ["y"], **attributes)
    tensor = helper.make_tensor("w", TensorProto.FLOAT, weight, np.zeros(weight, np.float32).ravel())
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, given)
    relu = helper.make_node("Relu", ["y"], ["z"])
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    graph = helper.make_graph([node, relu], "one", [x], [z], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("kind", "weight", "given", "attributes", "macs", "numbers"),
    [
        # 3 x 3 over 8 x 8 positions, 4 -> 6 channels
        ("Conv", (6, 4, 3, 3), (1, 4, 8, 8), {"pads": [1] * 4}, 6 * 4 * 9 * 64, 256 + 216 + 384),
        # depthwise: each channel sees itself only
        ("Conv", (4, 1, 3, 3), (1, 4, 8, 8), {"pads": [1] * 4, "group": 4}, 4 * 9 * 64, 256 + 36 + 256),
        ("ConvTranspose", (4, 6, 2, 2), (1, 4, 8, 8), {"strides": [2, 2]}, 4 * 6 * 4 * 64, 256 + 96 + 6 * 256),
        ("MatMul", (5, 7), (3, 5), {}, 3 * 5 * 7, 15 + 35 + 21),
    ],
)
def test_every_heavy_layer_is_counted_and_nothing_else(
    kind: str,
    weight: tuple[int, ...],
    given: tuple[int, ...],
    attributes: dict[str, object],
    macs: int,
    numbers: int,
) -> None:
    (layer,) = layers_of(graph_of(kind, weight, given, **attributes))
    assert layer.flop == 2 * macs
    assert layer.bytes == 4 * numbers


def test_each_layer_is_bound_by_the_slower_of_arithmetic_and_memory() -> None:
    machine = Machine(gflop_per_s=10, gbyte_per_s=1)
    assert machine.least_ms([Layer("a", 1e9, 1e6), Layer("b", 1e6, 2e8)]) == pytest.approx(100 + 200)


def test_rates_are_taken_over_what_is_really_done() -> None:
    product, gflop = matrix_product(64)
    assert np.shape(product()) == (64, 64)
    assert gflop == pytest.approx(2 * 64**3 / 1e9)
    copy, gbyte = memory_copy(1)
    copy()
    assert gbyte == 0.002
