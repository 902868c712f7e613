"""What every inference runtime offers, and the one table of those there are."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Callable
from typing import Protocol

from engines.errors import RuntimeUnavailable
from engines.image import Image
from engines.scoring import Map


class Runtime(Protocol):
    """A loaded model. One thread at a time."""

    def infer(self, picture: Image) -> tuple[Map, ...]:
        """Raw anomaly maps of one picture: (H, W, 3) BGR uint8 at model size -> per level (h, w) float32."""

    def close(self) -> None:
        """Give memory and device back; may be called twice."""


def _open_onnxruntime(model: bytes, threads: int) -> Runtime:
    from engines.runtimes.onnxruntime import OnnxRuntime

    return OnnxRuntime(model, threads)


def _open_openvino(model: bytes, threads: int) -> Runtime:
    from engines.runtimes.openvino import OpenVinoRuntime

    return OpenVinoRuntime(model, threads)


RUNTIMES: dict[str, Callable[[bytes, int], Runtime]] = {
    "onnxruntime": _open_onnxruntime,
    "openvino": _open_openvino,
}


def open_runtime(name: str, model: bytes, threads: int = 0) -> Runtime:
    """Load ONNX bytes into the named runtime.

    Args:
        name: a key of `RUNTIMES`.
        threads: CPU threads of one inference; 0 lets the runtime use every core.

    Raises:
        RuntimeUnavailable: unknown, not installed, or it refuses the model.
    """
    if name not in RUNTIMES:
        raise RuntimeUnavailable(f"unknown runtime {name!r}; choose one of {', '.join(RUNTIMES)}")
    if not is_installed(name):
        raise RuntimeUnavailable(f"runtime {name} is not installed; pip install 'line-inspector[{name}]'")
    return RUNTIMES[name](model, threads)


def is_installed(name: str) -> bool:
    """Whether the runtime's own library can be found."""
    return importlib.util.find_spec(name) is not None


def preferred_runtime() -> str:
    """OpenVINO on x86 where it is installed, ONNX Runtime elsewhere."""
    on_x86 = platform.machine().lower() in ("x86_64", "amd64")
    return "openvino" if on_x86 and is_installed("openvino") else "onnxruntime"
