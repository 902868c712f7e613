"""OpenVINO on the CPU, in the precision that was asked for and no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import openvino

from engines.errors import InferenceFailed, RuntimeUnavailable
from engines.image import Image
from engines.runtimes.base import Precision, Tensor, check_graph, fill, warm_up
from engines.scoring import Map

NAME, DEVICE = "openvino", "CPU"

HINTS: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}  # INT8 is in its graph; the rest is FP32
EXECUTED: dict[str, Precision] = {"f32": "fp32", "bf16": "bf16", "f16": "fp16", "i8": "int8", "u8": "int8"}
HEAVY = frozenset({"Convolution", "Deconvolution", "FullyConnected", "MatMul"})  # where the arithmetic is


class OpenVinoRuntime:
    """One compiled model and one inference request, whose tensors stay where they are."""

    def __init__(self, model: bytes, threads: int = 0, precision: Precision = "fp32") -> None:
        graph = _read(model)
        shape = check_graph(NAME, list(map(_tensor, graph.inputs)), list(map(_tensor, graph.outputs)))
        compiled = compile_model(graph, threads, precision)
        self._request: openvino.InferRequest | None = compiled.create_infer_request()
        self._picture = self._request.get_input_tensor().data[0]
        self._maps = [self._request.get_output_tensor(level).data for level in range(len(compiled.outputs))]
        warm_up(NAME, self, shape)

    def infer(self, picture: Image) -> tuple[Map, ...]:
        if self._request is None:
            raise InferenceFailed(f"{NAME} is closed; open the engine again")
        fill(self._picture, picture)
        try:
            self._request.infer()
        except RuntimeError as error:
            raise InferenceFailed(f"{NAME} failed: {error}; run doctor") from error
        return tuple(np.array(level[0], np.float32) for level in self._maps)

    def close(self) -> None:
        """The request's memory goes with the object."""
        self._request = None


def check_capability(precision: Precision) -> None:
    """Raises: RuntimeUnavailable: this CPU has not the precision; the plug-in would compute in FP32 and say nothing."""
    core = openvino.Core()
    try:
        able = core.get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
    except RuntimeError as error:
        raise RuntimeUnavailable(f"{NAME} can't use the {DEVICE}: {error}; install it again") from error
    if precision.upper() not in able:
        raise RuntimeUnavailable(
            f"{NAME}:{precision}: this CPU ({core.get_property(DEVICE, 'FULL_DEVICE_NAME')}) computes in "
            f"{', '.join(able)}; choose {NAME}:fp32"
        )


def check_precision(asked: Precision, layers: Iterable[tuple[str, str]]) -> None:
    """Hold what the plug-in made of the model against what was asked; its hint is no promise.

    Args:
        layers: kind and precision of every layer that will be executed, in the plug-in's words.

    Raises:
        RuntimeUnavailable: FP32 was asked and a layer computes with less, or most heavy layers compute in another.
    """
    known = [(kind, EXECUTED[precision]) for kind, precision in layers if precision in EXECUTED]
    heavy = Counter(precision for kind, precision in known if kind in HEAVY)
    if asked == "fp32":
        is_kept = "int8" not in heavy and not any(precision in ("bf16", "fp16") for _, precision in known)
    else:
        is_kept = heavy[asked] > heavy.total() / 2
    if not is_kept:
        raise RuntimeUnavailable(f"{NAME}:{asked} would compute in {dict(heavy)}; choose another engine")


def compile_model(model: openvino.Model, threads: int, precision: Precision) -> openvino.CompiledModel:
    """A model for the CPU, for the shortest time of one inference.

    Raises:
        RuntimeUnavailable: the plug-in refuses it, or the CPU has not the precision, or would compute in another.
    """
    check_capability(precision)
    options: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": HINTS[precision]}
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    try:
        compiled = openvino.Core().compile_model(model, DEVICE, options)
    except RuntimeError as error:
        raise RuntimeUnavailable(f"{NAME} refuses the model: {error}; export it again") from error
    check_precision(precision, _layers(compiled))
    return compiled


def _tensor(port: openvino.Output) -> Tensor:
    shape = port.get_partial_shape()
    sizes = [size.get_length() if size.is_static else "?" for size in shape] if shape.rank.is_static else ["?"]
    return port.get_element_type().to_dtype().name, tuple(sizes)


def _read(model: bytes) -> openvino.Model:
    try:
        return openvino.Core().read_model(model, b"")
    except RuntimeError as error:
        raise RuntimeUnavailable(f"{NAME} refuses the model: {error}; export it again") from error


def _layers(compiled: openvino.CompiledModel) -> list[tuple[str, str]]:
    infos = [operation.get_rt_info() for operation in compiled.get_runtime_model().get_ordered_ops()]
    return [(info["layerType"].astype(str), info["runtimePrecision"].astype(str)) for info in infos]
