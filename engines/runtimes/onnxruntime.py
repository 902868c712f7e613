"""ONNX Runtime on the CPU: the reference every other runtime is held against."""

from __future__ import annotations

import numpy as np
import onnxruntime

from engines.errors import RuntimeUnavailable
from engines.image import Image
from engines.scoring import Map


class OnnxRuntime:
    """One CPU session."""

    def __init__(self, model: bytes, threads: int = 0) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Workers that spin between parts would starve the threads that send the verdict.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library's exceptions share no base but Exception
            raise RuntimeUnavailable(f"onnxruntime refuses the model: {error}; export it again") from error
        self._input = self._session.get_inputs()[0].name

    def infer(self, picture: Image) -> tuple[Map, ...]:
        maps = self._session.run(None, {self._input: picture[None]})
        return tuple(np.asarray(level[0], np.float32) for level in maps)

    def close(self) -> None:
        """Nothing to give back: the session's memory goes with the object."""
