"""ONNX Runtime on the CPU in FP32: the reference every other engine is held against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnxruntime

from engines.errors import InferenceFailed, RuntimeUnavailable
from engines.image import Image
from engines.runtimes.base import Tensor, check_graph, fill, warm_up
from engines.scoring import Map

NAME, PROVIDER = "onnxruntime", "CPUExecutionProvider"
TYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}  # those that a bundle's graph has


class OnnxRuntime:
    """One CPU session whose input and outputs stay where they are."""

    def __init__(self, model: bytes, threads: int = 0) -> None:
        self._session = _session(model, threads)
        given = self._session.get_inputs()
        shape = check_graph(NAME, _tensors(given), _tensors(self._session.get_outputs()))
        self._picture = np.zeros((1, *shape), np.uint8)
        self._binding: onnxruntime.IOBinding | None = None
        self._maps = self._bind(given[0].name)
        warm_up(NAME, self, shape)

    def infer(self, picture: Image) -> tuple[Map, ...]:
        if self._binding is None:
            raise InferenceFailed(f"{NAME} is closed; open the engine again")
        fill(self._picture[0], picture)
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as error:  # the library's exceptions share no base but Exception
            raise InferenceFailed(f"{NAME} failed: {error}; run doctor") from error
        return tuple(level[0].copy() for level in self._maps)

    def close(self) -> None:
        """The session's memory goes with the object."""
        self._binding = None

    def _bind(self, given: str) -> list[Map]:
        """Tie input and outputs to arrays of our own; the outputs' shapes are those of a first inference."""
        try:
            first = self._session.run(None, {given: self._picture})
        except Exception as error:  # see above
            raise RuntimeUnavailable(f"{NAME} loads the model but can't run it: {error}; export it again") from error
        maps = [np.zeros_like(level, np.float32) for level in first]
        self._binding = self._session.io_binding()
        self._binding.bind_ortvalue_input(given, onnxruntime.OrtValue.ortvalue_from_numpy(self._picture))
        for output, level in zip(self._session.get_outputs(), maps):
            self._binding.bind_ortvalue_output(output.name, onnxruntime.OrtValue.ortvalue_from_numpy(level))
        return maps


def _tensors(nodes: Sequence[onnxruntime.NodeArg]) -> list[Tensor]:
    return [(TYPES.get(node.type, node.type), tuple(node.shape)) for node in nodes]


def _session(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Workers that spin between parts would starve the threads that send the verdict.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(model, options, providers=[PROVIDER])
    except Exception as error:  # the library's exceptions share no base but Exception
        raise RuntimeUnavailable(f"{NAME} refuses the model: {error}; export it again") from error
    got = session.get_providers()
    if got[:1] != [PROVIDER]:  # asked for another one it would fall back in silence
        raise RuntimeUnavailable(f"{NAME} runs on {got}, {PROVIDER} was asked for; install the plain onnxruntime")
    return session
