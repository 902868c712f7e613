"""OpenVINO on the CPU, in FP32."""

from __future__ import annotations

import numpy as np
import openvino

from engines.errors import RuntimeUnavailable
from engines.image import Image
from engines.scoring import Map


class OpenVinoRuntime:
    """One compiled model and one inference request."""

    def __init__(self, model: bytes, threads: int = 0) -> None:
        # Left to itself the plug-in computes in BF16 where the CPU has it: other scores than calibration's.
        options: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        try:
            compiled = openvino.Core().compile_model(openvino.Core().read_model(model, b""), "CPU", options)
        except RuntimeError as error:
            raise RuntimeUnavailable(f"openvino refuses the model: {error}; export it again") from error
        self._levels = len(compiled.outputs)
        self._request = compiled.create_infer_request()

    def infer(self, picture: Image) -> tuple[Map, ...]:
        self._request.infer([np.ascontiguousarray(picture[None])], share_inputs=True)
        return tuple(self._request.get_output_tensor(level).data[0].copy() for level in range(self._levels))

    def close(self) -> None:
        """Nothing to give back: the request's memory goes with the object."""
