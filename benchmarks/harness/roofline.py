"""The least time that a graph's arithmetic and traffic take on this machine, layer by layer.

A layer takes at least max(FLOP / rate of a matrix product, bytes / rate of memory). Convolutions and products are
counted; what lies between them is fused or small. The sum is a lower bound, so the share reached is never flattered.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference

FLOAT = 4  # bytes
HEAVY = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True, slots=True)
class Layer:
    """Floating point operations (two per multiply-accumulate) and bytes of input, weights and output."""

    name: str
    flop: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Machine:
    """Measured: a matrix product of 1024 x 1024 in FP32, and a copy of 256 MB, read and written."""

    gflop_per_s: float
    gbyte_per_s: float

    def least_ms(self, layers: list[Layer]) -> float:
        """Of all layers, one after the other."""
        return sum(max(one.flop / self.gflop_per_s, one.bytes / self.gbyte_per_s) / 1e6 for one in layers)


def layers_of(model: bytes) -> list[Layer]:
    """Every convolution and matrix product of an ONNX graph with static shapes."""
    graph = shape_inference.infer_shapes(onnx.load_from_string(model), data_prop=True).graph
    shapes = {value.name: _shape(value) for value in (*graph.value_info, *graph.input, *graph.output)}
    shapes |= {tensor.name: tuple(numpy_helper.to_array(tensor).shape) for tensor in graph.initializer}
    return [_layer(node, shapes) for node in graph.node if node.op_type in HEAVY]


def _layer(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> Layer:
    given, weight, made = shapes[node.input[0]], shapes[node.input[1]], shapes[node.output[0]]
    if node.op_type in ("Gemm", "MatMul"):
        inner = given[-1]
        macs = math.prod(made) * inner
    else:  # every position uses each weight once: of the output, of a transposed convolution those of its input
        seen = given if node.op_type == "ConvTranspose" else made
        macs = math.prod(weight) * seen[0] * math.prod(seen[2:])
    return Layer(node.name, 2.0 * macs, FLOAT * float(math.prod(given) + math.prod(weight) + math.prod(made)))


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(dimension.dim_value for dimension in value.type.tensor_type.shape.dim)


def matrix_product(side: int = 1024) -> tuple[Callable[[], object], float]:
    """A product of two square matrices, and its GFLOP."""
    first, second = np.random.default_rng(0).standard_normal((2, side, side), np.float32)
    out = np.empty_like(first)
    return lambda: np.matmul(first, second, out=out), 2 * side**3 / 1e9


def memory_copy(megabytes: int = 128) -> tuple[Callable[[], object], float]:
    """A copy beyond every cache, and the GB it moves, read and written."""
    source = np.ones(megabytes * 1_000_000 // FLOAT, np.float32)
    target = np.empty_like(source)
    return lambda: np.copyto(target, source), 2 * megabytes / 1000
