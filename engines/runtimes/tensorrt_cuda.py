"""The CUDA calls that the TensorRT runtime needs, by NVIDIA's cuda-bindings, each with its error by name.

Whatever is allocated goes onto the caller's `ExitStack` and is given back in reverse order.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import EngineError, RuntimeUnavailable


class CudaError(EngineError):
    """A CUDA call that failed."""


class Cuda:
    """The first GPU of the box. One thread at a time.

    Raises:
        RuntimeUnavailable: cuda-bindings is not installed, or there is no GPU that it can use.
    """

    def __init__(self) -> None:
        try:
            self._api = importlib.import_module("cuda.bindings.runtime")
        except ImportError as error:
            raise RuntimeUnavailable(
                f"tensorrt needs cuda-bindings of this box's CUDA version: {error}; see docs/TENSORRT.md"
            ) from error
        try:
            count = self._call("cudaGetDeviceCount")
        except CudaError as error:
            raise RuntimeUnavailable(f"tensorrt finds no usable GPU: {error}; choose another engine") from error
        if count < 1:
            raise RuntimeUnavailable("tensorrt finds no GPU; choose another engine")

    def gpu(self) -> str:
        """What an engine is tied to: the GPU's name, compute capability and number of multiprocessors.

        Raises:
            CudaError: it does not answer.
        """
        found = self._call("cudaGetDeviceProperties", 0)
        name = found.name.decode() if isinstance(found.name, bytes) else str(found.name)
        return f"{name} {found.major}.{found.minor} {found.multiProcessorCount} SM"

    def stream(self, owned: ExitStack) -> Any:
        """A stream of its own, which does not wait for the default one."""
        stream = self._call("cudaStreamCreateWithFlags", self._api.cudaStreamNonBlocking)
        owned.callback(self._call, "cudaStreamDestroy", stream)
        return stream

    def on_device(self, size: int, owned: ExitStack) -> int:
        """Address of so many bytes on the GPU."""
        address = int(self._call("cudaMalloc", size))
        owned.callback(self._call, "cudaFree", address)
        return address

    def pinned(self, shape: tuple[int, ...], dtype: np.dtype[Any], owned: ExitStack) -> NDArray[Any]:
        """An array of zeros in memory that stays where it is, so that the GPU can copy while the CPU goes on."""
        size = int(np.prod(shape)) * dtype.itemsize
        address = int(self._call("cudaHostAlloc", size, self._api.cudaHostAllocDefault))
        owned.callback(self._call, "cudaFreeHost", address)
        memory = (ctypes.c_ubyte * size).from_address(address)
        array: NDArray[Any] = np.ctypeslib.as_array(memory).view(dtype).reshape(shape)
        array[...] = 0
        return array

    def upload(self, device: int, host: NDArray[Any], stream: Any) -> None:
        """Queue a copy to the GPU."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", device, host.ctypes.data, host.nbytes, kind, stream)

    def download(self, host: NDArray[Any], device: int, stream: Any) -> None:
        """Queue a copy from the GPU."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", host.ctypes.data, device, host.nbytes, kind, stream)

    def wait(self, stream: Any) -> None:
        """Until all that was queued is done."""
        self._call("cudaStreamSynchronize", stream)

    def capture(self, work: Callable[[], None], stream: Any, owned: ExitStack) -> Any:
        """What `work` queues on the stream, as one graph that `launch` queues at once; nothing is run.

        Raises:
            CudaError: something in it can't be captured; the stream is as before.
        """
        mode = self._api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", stream, mode)
        with ExitStack() as spent:
            try:
                work()
            finally:
                graph = self._call("cudaStreamEndCapture", stream)
                spent.callback(self._call, "cudaGraphDestroy", graph)
            executable = self._call("cudaGraphInstantiate", graph, 0)
        owned.callback(self._call, "cudaGraphExecDestroy", executable)
        return executable

    def launch(self, executable: Any, stream: Any) -> None:
        """Queue a captured graph."""
        self._call("cudaGraphLaunch", executable, stream)

    def _call(self, name: str, *arguments: Any) -> Any:
        """A call's result; every one returns (error, result) or (error,)."""
        error, *result = getattr(self._api, name)(*arguments)
        if error != self._api.cudaError_t.cudaSuccess:
            _, words = self._api.cudaGetErrorString(error)
            text = words.decode() if isinstance(words, bytes) else str(words)
            raise CudaError(f"{name}: {text} ({int(error)})")
        return result[0] if result else None
