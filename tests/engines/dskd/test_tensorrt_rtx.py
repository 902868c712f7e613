"""Exported graphs build as strongly typed networks, by the product's own lines, with TensorRT for RTX.

It is another product than TensorRT, for other GPUs, with the same kind of parser and builder, and it builds without a
GPU. What it builds can't be run here, and its timing cache does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
import tensorrt_rtx
from onnx import helper

from engines.dskd.export import trace
from engines.dskd.half import halve
from engines.dskd.method import METHODS, Method
from engines.dskd.network import Dskd
from engines.errors import RuntimeUnavailable
from engines.runtimes.tensorrt_build import build_engine

MakeNetwork = Callable[[str, Method], Dskd]
PICTURES = np.zeros((1, 64, 64, 3), np.uint8)

pytestmark = pytest.mark.filterwarnings("ignore:.*Timing cache operations are no-ops:DeprecationWarning")


@pytest.fixture(scope="module", params=["efficientnet_lite0", "resnet18"])
def single(request: pytest.FixtureRequest, make_network: MakeNetwork) -> bytes:
    return trace(make_network(request.param, replace(METHODS["dskd"], width=8)), PICTURES)


def test_both_graphs_build(single: bytes) -> None:
    told: list[tuple[str, int, int]] = []
    built = build_engine(tensorrt_rtx, halve(single), say=lambda *progress: told.append(progress))
    assert len(built.engine) > 1 << 20
    assert told
    assert all(1 <= step <= steps for _, step, steps in told)
    assert len(build_engine(tensorrt_rtx, single, built.timing).engine) > len(built.engine)


def with_node(model: bytes, kind: str) -> bytes:
    """The graph with one more node between its last value and its last output."""
    proto = onnx.load_from_string(model)
    proto.graph.node.append(helper.make_node(kind, [proto.graph.output[0].name], ["more"], "the_odd_one"))
    proto.graph.output.append(helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, None))
    return bytes(proto.SerializeToString())


def test_a_graph_that_it_can_not_read_is_refused_in_its_own_words(single: bytes) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"refuses the model: .*the_odd_one.*Frobnicate"):
        build_engine(tensorrt_rtx, with_node(single, "Frobnicate"))
    with pytest.raises(RuntimeUnavailable, match=r"refuses the model: .*parse the ONNX model"):
        build_engine(tensorrt_rtx, b"no graph")
    with pytest.raises(RuntimeUnavailable, match=r"can't build the model: .*at least one output"):
        build_engine(tensorrt_rtx, b"")


def test_a_graph_that_mixes_types_is_refused(single: bytes) -> None:
    """Strong typing: a Cast that lacks is an error, not something to guess."""
    proto = onnx.load_from_string(halve(single))
    cast = next(node for node in proto.graph.node if node.op_type == "Cast" and node.output[0].endswith("_half"))
    for node in proto.graph.node:
        for place, name in enumerate(node.input):
            if name == cast.output[0]:
                node.input[place] = cast.input[0]
    with pytest.raises(RuntimeUnavailable, match="tensorrt"):
        build_engine(tensorrt_rtx, bytes(proto.SerializeToString()))
