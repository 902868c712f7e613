"""What every inference runtime offers, and the one table of engines: a runtime at a precision.

An engine's name is `library:precision` ("openvino:bf16"); the reference, ONNX Runtime in FP32, is "onnxruntime".
"""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from engines.bundle import Bundle, Graph
from engines.errors import InferenceFailed, RuntimeUnavailable
from engines.image import Image
from engines.scoring import Map

Precision = Literal["fp32", "bf16", "fp16", "int8"]

REFERENCE = "onnxruntime"  # every other engine is held against it
WARM_UPS = 3  # first inferences allocate and tune; no part should pay for them


class Runtime(Protocol):
    """A loaded model, warmed up. One thread at a time."""

    def infer(self, picture: Image) -> tuple[Map, ...]:
        """Raw anomaly maps of one picture: (H, W, 3) BGR uint8 at model size -> per level (h, w) float32.

        The maps are the caller's own; the runtime's buffers are used again.

        Raises:
            InferenceFailed: the picture has another size, the runtime is closed, or its library failed.
        """

    def close(self) -> None:
        """Give memory and device back; may be called twice."""


@dataclass(frozen=True, slots=True)
class Engine:
    """One way to run a bundle's model.

    Attributes:
        library: what is imported, and the extra that installs it.
        open: loads ONNX bytes with so many CPU threads (0: every core); raises `RuntimeUnavailable`, also when the
            library would compute in another precision than this.
        check: raises `RuntimeUnavailable` where the box has not what the precision needs; the library is installed.
        graph: of the bundle, that it runs.
        facts: of the box that its figures depend on, besides the library's package and the processor.
    """

    library: str
    precision: Precision
    open: Callable[[bytes, int], Runtime]
    check: Callable[[], None] = lambda: None
    graph: Graph = "fp32"
    facts: Callable[[], dict[str, str]] = dict


def _open_onnxruntime(model: bytes, threads: int) -> Runtime:
    from engines.runtimes.onnxruntime import OnnxRuntime

    return OnnxRuntime(model, threads)


def _open_openvino(precision: Precision) -> Callable[[bytes, int], Runtime]:
    def open_at(model: bytes, threads: int) -> Runtime:
        from engines.runtimes.openvino import OpenVinoRuntime

        return OpenVinoRuntime(model, threads, precision)

    return open_at


def _check_openvino(precision: Precision) -> Callable[[], None]:
    def check_at() -> None:
        from engines.runtimes.openvino import check_capability

        check_capability(precision)

    return check_at


def _open_tensorrt(model: bytes, threads: int) -> Runtime:
    from engines.runtimes.tensorrt import TensorRtRuntime

    return TensorRtRuntime(model)  # the GPU's work has no CPU threads


def _tensorrt_facts() -> dict[str, str]:
    from engines.runtimes.tensorrt import gpu_facts

    return gpu_facts()


def _check_tensorrt() -> None:
    _tensorrt_facts()


ENGINES: dict[str, Engine] = {
    "onnxruntime": Engine("onnxruntime", "fp32", _open_onnxruntime),
    "openvino:fp32": Engine("openvino", "fp32", _open_openvino("fp32"), _check_openvino("fp32")),
    "openvino:bf16": Engine("openvino", "bf16", _open_openvino("bf16"), _check_openvino("bf16")),
    "openvino:int8": Engine("openvino", "int8", _open_openvino("int8"), _check_openvino("int8"), "int8"),
    "tensorrt:fp16": Engine("tensorrt", "fp16", _open_tensorrt, _check_tensorrt, "fp16", _tensorrt_facts),
}


def engine_name(text: str) -> str:
    """The name under which `ENGINES` has it; FP32 may be left out.

    Raises:
        RuntimeUnavailable: there is no such engine.
    """
    for name in (text, f"{text}:fp32", text.removesuffix(":fp32")):
        if name in ENGINES:
            return name
    raise RuntimeUnavailable(f"unknown engine {text!r}; choose one of {', '.join(ENGINES)}")


def open_runtime(name: str, model: bytes, threads: int = 0) -> Runtime:
    """Load ONNX bytes into an engine and warm it up.

    Args:
        name: see `engine_name`.
        threads: CPU threads of one inference; 0 lets the runtime use every core.

    Raises:
        RuntimeUnavailable: unknown, not installed, the box has not its precision, or it refuses or can't run the model.
    """
    check_engine(name)
    with _named(name):
        return ENGINES[engine_name(name)].open(model, threads)


def graph_of(bundle: Bundle, name: str) -> bytes:
    """The ONNX bytes of a bundle that an engine runs.

    Raises:
        BundleError: the bundle has no such graph.
        RuntimeUnavailable: there is no such engine.
    """
    return bundle.graph(ENGINES[engine_name(name)].graph)


def check_engine(name: str) -> None:
    """Whether this box can run an engine at all, before a model is at hand.

    Raises:
        RuntimeUnavailable: unknown, not installed, or the box has not its precision.
    """
    engine = ENGINES[engine_name(name)]
    if not is_installed(engine.library):
        raise RuntimeUnavailable(f"engine {name}: {engine.library} is not installed; {install_hint(engine.library)}")
    with _named(name):
        engine.check()


@contextmanager
def _named(name: str) -> Iterator[None]:
    """A library that is there and can't be loaded is one that is not there: another engine may stand in."""
    try:
        yield
    except ImportError as error:
        library = ENGINES[engine_name(name)].library
        raise RuntimeUnavailable(
            f"engine {name}: {library} does not load: {error}; install it again: {install_hint(library)}"
        ) from error


def is_installed(library: str) -> bool:
    """Whether a runtime's own library can be found."""
    return importlib.util.find_spec(library) is not None


def install_hint(library: str) -> str:
    """The command that installs a runtime's library."""
    return "pip install line-inspector" if library == REFERENCE else f"pip install 'line-inspector[{library}]'"


def preferred_engine() -> str:
    """OpenVINO on x86 where it is installed, ONNX Runtime elsewhere; in FP32, which every box has."""
    on_x86 = platform.machine().lower() in ("x86_64", "amd64")
    return "openvino:fp32" if on_x86 and is_installed("openvino") else REFERENCE


# -- what the runtimes share ---------------------------------------------------------------------------------------


Tensor = tuple[str, tuple[object, ...]]  # of a graph: "uint8", "float32" or another type; shape, numbers where fixed


def check_graph(library: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[int, int, int]:
    """(H, W, 3) of the one picture that a graph eats.

    Raises:
        RuntimeUnavailable: it eats something else, or gives anything but FP32 maps of fixed size.
    """
    if not (len(inputs) == 1 and _is_fixed(inputs[0], "uint8", 4) and inputs[0][1][::3] == (1, 3)):
        raise RuntimeUnavailable(
            f"{library} refuses the model: it eats {_told(inputs)}, not one uint8 picture (1, H, W, 3); export it again"
        )
    if not outputs or not all(_is_fixed(level, "float32", 3) and level[1][0] == 1 for level in outputs):
        raise RuntimeUnavailable(
            f"{library} refuses the model: it gives {_told(outputs)}, not float32 maps (1, h, w); export it again"
        )
    height, width = (size for size in inputs[0][1][1:3] if isinstance(size, int))
    return height, width, 3


def _is_fixed(tensor: Tensor, kind: str, rank: int) -> bool:
    return tensor[0] == kind and len(tensor[1]) == rank and all(isinstance(n, int) and n > 0 for n in tensor[1])


def _told(tensors: Sequence[Tensor]) -> str:
    return ", ".join(f"{kind} {shape}" for kind, shape in tensors) or "nothing"


def fill(buffer: Image, picture: Image) -> None:
    """Copy a picture into a runtime's own input buffer; both (H, W, 3).

    Raises:
        InferenceFailed: the shapes differ, which numpy would broadcast.
    """
    if picture.shape != buffer.shape or picture.dtype != np.uint8:
        raise InferenceFailed(f"picture {picture.shape} {picture.dtype}, but the model eats {buffer.shape} uint8")
    np.copyto(buffer, picture)


def warm_up(library: str, runtime: Runtime, shape: tuple[int, int, int]) -> None:
    """Run a few inferences of a black picture.

    Raises:
        RuntimeUnavailable: the model loads but can't run.
    """
    blank = np.zeros(shape, np.uint8)
    try:
        for _ in range(WARM_UPS):
            runtime.infer(blank)
    except InferenceFailed as error:
        raise RuntimeUnavailable(f"{library} loads the model but can't run it: {error}; export it again") from error
