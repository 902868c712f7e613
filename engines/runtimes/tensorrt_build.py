"""ONNX graph -> TensorRT engine: strongly typed, so that precision is the graph's and no option's.

One code path for TensorRT 10.3 (JetPack 6.1) to 11.4: only what all of them have. The module is handed in, so that
TensorRT for RTX, which builds without a GPU, runs the same lines in the tests.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engines.errors import RuntimeUnavailable

Say = Callable[[str, int, int], None]  # phase of the build, step, steps

MESSAGES = 5  # of TensorRT's own that an error repeats; the first name the cause


LEVEL = 3  # of the builder's optimisation, 0 to 5: TensorRT's default
TF32 = False  # it rounds to 10 bits, as many as FP16 has: what stays FP32 for its precision would lose it
OPTIONS = {"level": LEVEL, "tf32": TF32}  # what changes the engine besides graph, version and GPU


@dataclass(frozen=True, slots=True)
class Built:
    """A serialized engine, and the timing cache with what was measured on the way."""

    engine: bytes
    timing: bytes


def build_engine(trt: Any, model: bytes, timing: bytes = b"", say: Say | None = None) -> Built:
    """Build an engine for the GPU of this box; takes minutes.

    Args:
        trt: the module `tensorrt`.
        model: ONNX bytes with a type on every tensor.
        timing: of an earlier build, or empty.

    Raises:
        RuntimeUnavailable: the graph can't be parsed or built, in TensorRT's own words.
    """
    log = make_log(trt)
    try:
        builder = trt.Builder(log)
    except TypeError as error:  # what its constructor raises where no GPU answers
        raise RuntimeUnavailable(f"tensorrt can't start on this box: {log.told() or error}; run nvidia-smi") from error
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(model):
        errors = [str(parser.get_error(index)) for index in range(min(parser.num_errors, MESSAGES))]
        raise RuntimeUnavailable(f"tensorrt refuses the model: {'; '.join(errors) or log.told()}; export it again")
    config = builder.create_builder_config()
    config.builder_optimization_level = LEVEL
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # else the engine can't be asked for its types
    if not TF32:
        config.clear_flag(trt.BuilderFlag.TF32)
    if say is not None:
        config.progress_monitor = make_monitor(trt, say)
    cache = _attach_timing(config, timing)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise RuntimeUnavailable(f"tensorrt can't build the model: {log.told() or 'it says nothing'}; export it again")
    return Built(bytes(engine), bytes(cache.serialize()))


def check_half(information: str) -> dict[str, int]:
    """Hold the engine's layers against FP16: number of layers by the types that go in and out of them.

    Args:
        information: JSON of TensorRT's engine inspector. Its keys differ between 10 and 11, so types are read from
            the values; both say FP16 or Half, FP32 or Float.

    Raises:
        RuntimeUnavailable: it tells no types, or most layers that compute in floats compute without FP16.
    """
    try:
        layers = json.loads(information).get("Layers", [])
        seen = Counter(_types(layer) for layer in layers if isinstance(layer, dict))
    except (ValueError, AttributeError, TypeError) as error:
        raise RuntimeUnavailable(
            f"tensorrt's engine inspector tells nothing readable ({error}); report this"
        ) from error
    halves, singles = seen["fp16"] + seen["fp16 and fp32"], seen["fp32"]
    if halves == 0 or halves < singles:
        raise RuntimeUnavailable(
            f"tensorrt built an engine that is not FP16: {halves} layers with FP16, {singles} with FP32 only, of "
            f"{len(layers)}; report this, and choose another engine"
        )
    return {kind: count for kind, count in seen.items() if kind}


def _types(layer: dict[str, Any]) -> str:
    text = json.dumps([layer.get("Inputs"), layer.get("Outputs")])
    half, single = re.search(r"\b(FP16|Half)\b", text), re.search(r"\b(FP32|Float)\b", text)
    return " and ".join(kind for kind, found in (("fp16", half), ("fp32", single)) if found)


def make_log(trt: Any) -> Any:
    """TensorRT's logger that keeps what went wrong for the error's message; the rest is dropped."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.errors.append(msg)

        def told(self) -> str:
            return "; ".join(self.errors[:MESSAGES])

    return Log()


def make_monitor(trt: Any, say: Say) -> Any:
    """TensorRT's progress monitor that passes each step on."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.steps[phase_name] = int(num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            say(phase_name, int(step) + 1, self.steps.get(phase_name, 0))
            return True

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

    return Monitor()


def _attach_timing(config: Any, timing: bytes) -> Any:
    """The earlier measurements, or new ones where they are another GPU's, another version's, or damaged."""
    for content in (timing, b"") if timing else (b"",):
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, False):
            return cache
    raise RuntimeUnavailable("tensorrt takes no timing cache, not even an empty one; report this")
