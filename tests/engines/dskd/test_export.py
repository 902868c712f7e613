"""Every teacher and method becomes a graph that agrees with torch and holds nothing it does not need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest

from engines.dskd.backbones import TEACHERS
from engines.dskd.export import export
from engines.dskd.method import METHODS, Method
from engines.dskd.network import Dskd
from engines.runtimes.base import open_runtime

MakeNetwork = Callable[[str, Method], Dskd]
PICTURES = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
SLIM = Method(width=8, painted=0.0, gaussian=False, segmentation=False)


@pytest.mark.parametrize("name", sorted(TEACHERS))
@pytest.mark.parametrize("preset", sorted(METHODS))
def test_the_graph_agrees_with_torch(name: str, preset: str, make_network: MakeNetwork) -> None:
    model = export(make_network(name, replace(METHODS[preset], width=8)), PICTURES)  # raises where they differ
    graph = onnx.load_from_string(model).graph
    assert [given.type.tensor_type.elem_type for given in graph.input] == [onnx.TensorProto.UINT8]
    assert [out.name for out in graph.output] == [f"map{place}" for place in range(len(METHODS[preset].weights))]
    assert {out.type.tensor_type.elem_type for out in graph.output} == {onnx.TensorProto.FLOAT}


@pytest.mark.parametrize(
    "method",
    [
        replace(SLIM, levels=(4, 8, 16, 32), scored="both"),
        replace(SLIM, levels=(8, 16), scored_levels=(16,), detach=True),
        replace(SLIM, embedding_input="teacher", scored="both", metric="cosine"),
    ],
)
def test_so_does_a_graph_of_unusual_switches(method: Method, make_network: MakeNetwork) -> None:
    network = make_network("efficientnet_lite0", method)
    model = export(network, PICTURES[:1])
    runtime = open_runtime("openvino", model)
    maps = runtime.infer(PICTURES[0])
    runtime.close()
    assert [level.shape for level in maps] == [(64 // stride, 64 // stride) for stride in method.maps]


def blocks(model: bytes) -> set[str]:
    """First parts of the names of the graph's convolutions."""
    graph = onnx.load_from_string(model).graph
    return {node.name.split("/")[1] for node in graph.node if node.op_type in ("Conv", "ConvTranspose")}


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (METHODS["dskd"], {"teacher", "encoder", "embedding", "decoder", "decoder_heads", "segmentation"}),
        (METHODS["plain"], {"teacher", "encoder", "embedding", "decoder", "decoder_heads"}),
        (METHODS["rd4ad"], {"teacher", "embedding", "decoder", "decoder_heads"}),
        (METHODS["stfpm"], {"teacher", "encoder", "encoder_heads"}),
    ],
)
def test_the_graph_holds_only_what_is_scored(method: Method, expected: set[str], make_network: MakeNetwork) -> None:
    assert blocks(export(make_network("efficientnet_lite0", replace(method, width=8)), PICTURES[:1])) == expected


def test_a_decoder_scored_at_its_coarsest_level_is_exported_no_further(make_network: MakeNetwork) -> None:
    whole = export(make_network("efficientnet_lite0", SLIM), PICTURES[:1])
    coarse = export(make_network("efficientnet_lite0", replace(SLIM, scored_levels=(16,))), PICTURES[:1])
    names = {node.name for node in onnx.load_from_string(coarse).graph.node}
    assert any("decoder/stage3" in name for name in names)
    assert not any("decoder/stage2" in name for name in names)
    assert len(coarse) < len(whole)
