"""The INT8 graph: convolutions in eight bits, what needs precision in FP32, and nearly the same maps."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.dskd import quantise as quantising
from engines.dskd.quantise import MIN_PICTURES, make_int8, quantise
from engines.errors import RuntimeUnavailable, TrainingError
from engines.runtimes.base import open_runtime

PICTURES = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), np.uint8)
WIDTH = 16


@pytest.fixture(scope="module")
def single() -> bytes:
    """Like an exported network and small: two levels to compare, and a head."""
    make = helper.make_node
    draw = np.random.default_rng(1)
    kernels = {
        "stem": (WIDTH, 3, 3, 3),
        "own": (WIDTH, 1, 3, 3),
        "deep": (WIDTH, WIDTH, 3, 3),
        "deeper": (WIDTH, WIDTH, 3, 3),
        "logit": (1, WIDTH, 1, 1),
    }
    constants = [
        numpy_helper.from_array((draw.normal(size=shape) / np.prod(shape[1:]) ** 0.5).astype(np.float32), name)
        for name, shape in kernels.items()
    ]
    constants += [numpy_helper.from_array(np.array(value, np.float32), f"{value:.0f}") for value in (0.0, 6.0, 128.0)]
    nodes = [
        make("Cast", ["picture"], ["real"], "cast", to=TensorProto.FLOAT),
        make("Transpose", ["real"], ["planes"], "planes", perm=[0, 3, 1, 2]),
        make("Div", ["planes", "128"], ["x"], "normalise"),
        make("Conv", ["x", "stem"], ["a"], "stem", strides=[2, 2], pads=[1] * 4),
        make("Relu", ["a"], ["b"], "relu"),
        make("Conv", ["b", "own"], ["c"], "depthwise", group=WIDTH, pads=[1] * 4),
        make("Clip", ["c", "0", "6"], ["d"], "clip"),
        make("Conv", ["d", "deep"], ["j"], "deep", pads=[1] * 4),
        make("Relu", ["j"], ["k"], "rectify"),
        make("Conv", ["k", "deeper"], ["e"], "deeper", pads=[1] * 4),
        make("Sub", ["d", "e"], ["f"], "difference"),
        make("Mul", ["f", "f"], ["g"], "square"),
        make("ReduceMean", ["g"], ["map0"], "mean", axes=[1], keepdims=0),
        make("Conv", ["e", "logit"], ["h"], "logit"),
        make("ReduceMean", ["h"], ["i"], "squeeze", axes=[1], keepdims=0),
        make("Softplus", ["i"], ["map1"], "softplus"),
    ]
    picture = helper.make_tensor_value_info("picture", TensorProto.UINT8, [1, *PICTURES.shape[1:]])
    maps = [helper.make_tensor_value_info(f"map{level}", TensorProto.FLOAT, [1, 32, 32]) for level in range(2)]
    graph = helper.make_graph(nodes, "small", [picture], maps, constants)
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    )


@pytest.fixture(scope="module")
def quantised(single: bytes) -> bytes:
    with redirect_stdout(io.StringIO()) as said:
        made = quantise(single, PICTURES[:MIN_PICTURES])
    assert said.getvalue() == "", "standard output is for --json"
    return made


def test_convolutions_eat_eight_bits_and_what_needs_precision_does_not(quantised: bytes) -> None:
    nodes = onnx.load_from_string(quantised).graph.node
    made_by = {name: node.op_type for node in nodes for name in node.output}
    weights = {node.name: made_by.get(node.input[1]) for node in nodes if node.op_type == "Conv"}
    in_eight_bits = {name for name, maker in weights.items() if maker == "DequantizeLinear"}
    assert len(weights) == 5
    assert in_eight_bits == {"deep", "deeper", "logit"}  # not the one over the picture, nor the depthwise one
    careful = [made_by.get(name) for node in nodes if node.op_type in ("Softplus", "ReduceMean") for name in node.input]
    assert careful
    assert "DequantizeLinear" not in careful
    assert {node.domain for node in nodes} == {""}


def test_openvino_really_computes_it_in_int8_and_an_fp32_graph_is_refused(single: bytes, quantised: bytes) -> None:
    runtime, reference = open_runtime("openvino:int8", quantised, 1), open_runtime("onnxruntime", single, 1)
    for got, want in zip(runtime.infer(PICTURES[-1]), reference.infer(PICTURES[-1])):
        assert got.shape == want.shape
        assert np.isfinite(got).all()
    runtime.close()
    reference.close()
    with pytest.raises(RuntimeUnavailable, match="openvino:int8 would compute in"):
        open_runtime("openvino:int8", single, 1)
    with pytest.raises(RuntimeUnavailable, match="openvino:fp32 would compute in"):
        open_runtime("openvino:fp32", quantised, 1)


@pytest.mark.parametrize("difference", [0.6, float("nan")])
def test_a_graph_that_computes_something_else_is_left_out(
    single: bytes, quantised: bytes, monkeypatch: pytest.MonkeyPatch, difference: float
) -> None:
    monkeypatch.setattr(quantising, "quantise", lambda model, ranges: quantised)
    monkeypatch.setattr(quantising, "compare", lambda *_: (difference, 0.0))
    graph, check = make_int8(single, PICTURES, PICTURES)
    assert graph is None
    assert check.refused is not None
    assert "differ from the FP32 graph's" in check.refused


def test_without_nncf_or_with_few_pictures_the_error_says_what_to_do(
    single: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TrainingError, match="7 pictures show too little"):
        quantise(single, PICTURES[:7])
    monkeypatch.setattr(quantising.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TrainingError, match=r"line-inspector\[int8\]"):
        quantise(single, PICTURES)
