"""A GPU and a TensorRT that are none: only what 10.3, 10.16 and 11.4 share, with memory, streams and graphs that are
as late as a GPU's. `test_tensorrt.py` holds both against the real ones' names and parameters.
"""

from __future__ import annotations

import ctypes
import enum
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

SIDE, STRIDES = 64, (4, 8, 16)  # of the tiny bundle
SHAPES = {"picture": (1, SIDE, SIDE, 3), **{f"map{n}": (1, SIDE // s, SIDE // s) for n, s in enumerate(STRIDES)}}

Work = Callable[[], None]


class Error(enum.IntEnum):
    """Some of `cudaError_t`."""

    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorStreamCaptureUnsupported = 900


class Stream:
    """Work that waits; `capturing` is the graph that it goes to instead."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.queue: list[Work] = []
        self.capturing: list[Work] | None = None

    def __int__(self) -> int:
        return self.handle

    def add(self, work: Work) -> None:
        (self.queue if self.capturing is None else self.capturing).append(work)


@dataclass
class FakeCuda:
    """The module `cuda.bindings.runtime` over ordinary memory.

    Attributes:
        name: of the GPU; None: there is none.
        fails: calls that fail, and with what.
        fail_at: the number of the call that fails, whichever it is; counted in `calls`.
        owned: what was allocated or created and not given back.
    """

    name: str | None = "Fake GPU"
    fails: dict[str, Error] = field(default_factory=dict)
    fail_at: int | None = None
    calls: list[str] = field(default_factory=list)
    owned: dict[int, Any] = field(default_factory=dict)

    cudaError_t = Error
    cudaStreamNonBlocking = 1
    cudaHostAllocDefault = 0
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def _error(self, call: str) -> Error:
        self.calls.append(call)
        if len(self.calls) - 1 == self.fail_at:
            return Error.cudaErrorMemoryAllocation
        return self.fails.get(call, Error.cudaSuccess)

    def cudaGetErrorString(self, error: int) -> tuple[Error, bytes]:
        return Error.cudaSuccess, Error(error).name.encode()

    def cudaGetDeviceCount(self) -> tuple[Error, int | None]:
        error = self._error("cudaGetDeviceCount")
        return (error, 1) if self.name and not error else (error or Error.cudaErrorInsufficientDriver, None)

    def cudaGetDeviceProperties(self, device: int) -> tuple[Error, Any]:
        told = SimpleNamespace(name=str(self.name).encode(), major=8, minor=7, multiProcessorCount=16)
        return self._error("cudaGetDeviceProperties"), told

    def _allocate(self, call: str, size: int) -> tuple[Error, int | None]:
        if error := self._error(call):
            return error, None
        buffer = (ctypes.c_ubyte * size)(*[0xAB] * size)
        self.owned[ctypes.addressof(buffer)] = buffer
        return Error.cudaSuccess, ctypes.addressof(buffer)

    def cudaMalloc(self, size: int) -> tuple[Error, int | None]:
        return self._allocate("cudaMalloc", size)

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[Error, int | None]:
        return self._allocate("cudaHostAlloc", size)

    def cudaFree(self, devPtr: int) -> tuple[Error]:
        del self.owned[devPtr]
        return (Error.cudaSuccess,)

    def cudaFreeHost(self, ptr: int) -> tuple[Error]:
        del self.owned[ptr]
        return (Error.cudaSuccess,)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Error, Stream | None]:
        if error := self._error("cudaStreamCreateWithFlags"):
            return error, None
        stream = Stream(7000 + len(self.owned))
        self.owned[int(stream)] = stream
        return Error.cudaSuccess, stream

    def cudaStreamDestroy(self, stream: Stream) -> tuple[Error]:
        del self.owned[int(stream)]
        return (Error.cudaSuccess,)

    def cudaMemcpyAsync(self, dst: int, src: int, count: int, kind: int, stream: Stream) -> tuple[Error]:
        error = self._error("cudaMemcpyAsync")
        if not error:
            stream.add(lambda: ctypes.memmove(dst, src, count) and None)
        return (error,)

    def cudaStreamSynchronize(self, stream: Stream) -> tuple[Error]:
        error = self._error("cudaStreamSynchronize")
        work, stream.queue = stream.queue, []
        for step in work:
            step()
        return (error,)

    def cudaStreamBeginCapture(self, stream: Stream, mode: int) -> tuple[Error]:
        if error := self._error("cudaStreamBeginCapture"):
            return (error,)
        stream.capturing = []
        return (error,)

    def cudaStreamEndCapture(self, stream: Stream) -> tuple[Error, Any]:
        graph, stream.capturing = stream.capturing, None
        if error := self._error("cudaStreamEndCapture"):
            return error, None
        self.owned[id(graph)] = graph
        return Error.cudaSuccess, graph

    def cudaGraphInstantiate(self, graph: list[Work], flags: int) -> tuple[Error, Any]:
        if error := self._error("cudaGraphInstantiate"):
            return error, None
        executable = list(graph)
        self.owned[id(executable)] = executable
        return Error.cudaSuccess, executable

    def cudaGraphLaunch(self, graphExec: list[Work], stream: Stream) -> tuple[Error]:
        error = self._error("cudaGraphLaunch")
        for step in graphExec if not error else ():
            stream.add(step)
        return (error,)

    def cudaGraphDestroy(self, graph: list[Work]) -> tuple[Error]:
        del self.owned[id(graph)]
        return (Error.cudaSuccess,)

    def cudaGraphExecDestroy(self, graphExec: list[Work]) -> tuple[Error]:
        del self.owned[id(graphExec)]
        return (Error.cudaSuccess,)


class FakeTensorRt:
    """The module `tensorrt`, whose engines compute the tiny graph in numpy.

    Attributes:
        layer: what the engine inspector says of each layer.
        refuses: "parse", "build", "deserialize", "context", "address", "execute" or "timing": what fails.
        builds: timing caches with which engines were built.
    """

    __spec__ = ModuleSpec("tensorrt", None)  # so that it counts as installed

    def __init__(self, cuda: FakeCuda, version: str = "10.3.0") -> None:
        self.__version__ = version
        self.cuda = cuda
        self.refuses: set[str] = set()
        self.layer = "Channel major FP16 format where channel % 8 == 0"
        self.shapes = dict(SHAPES)
        self.builds: list[bytes] = []
        bind = {"fake": self}
        for kind in (Builder, EngineInspector, IBuilderConfig, ICudaEngine, IExecutionContext, OnnxParser, Runtime):
            setattr(self, kind.__name__, type(kind.__name__, (kind,), bind))
        for plain in (BuilderFlag, DataType, ILogger, IProgressMonitor, ITimingCache, LayerInformationFormat):
            setattr(self, plain.__name__, plain)
        for plain in (NetworkDefinitionCreationFlag, ProfilingVerbosity, TensorIOMode):
            setattr(self, plain.__name__, plain)


class BuilderFlag(enum.Enum):
    TF32 = 0


class DataType(enum.Enum):
    FLOAT = 0
    UINT8 = 1


class LayerInformationFormat(enum.Enum):
    JSON = 0


class NetworkDefinitionCreationFlag(enum.IntEnum):
    STRONGLY_TYPED = 1


class ProfilingVerbosity(enum.Enum):
    DETAILED = 0


class TensorIOMode(enum.Enum):
    INPUT = 0
    OUTPUT = 1


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING = range(3)

    def __init__(self) -> None:
        pass

    def log(self, severity: int, msg: str) -> None:
        raise NotImplementedError


class IProgressMonitor:
    def __init__(self) -> None:
        pass

    def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None:
        raise NotImplementedError

    def step_complete(self, phase_name: str, step: int) -> bool:
        raise NotImplementedError

    def phase_finish(self, phase_name: str) -> None:
        raise NotImplementedError


class ITimingCache:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def serialize(self) -> bytes:
        return self._content or b"measured"


class IBuilderConfig:
    fake: FakeTensorRt
    builder_optimization_level = 3
    profiling_verbosity: ProfilingVerbosity | None = None
    progress_monitor: IProgressMonitor | None = None
    _timing: ITimingCache | None = None
    _flags: set[BuilderFlag]

    def __init__(self) -> None:
        self._flags = {BuilderFlag.TF32}

    def clear_flag(self, flag: BuilderFlag) -> None:
        self._flags.discard(flag)

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache:
        return ITimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        self._timing = cache
        return cache._content in (b"", b"measured") and "timing" not in self.fake.refuses


class Builder:
    fake: FakeTensorRt

    def __init__(self, logger: ILogger) -> None:
        if self.fake.cuda.name is None:
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._log = logger

    def create_network(self, flags: int = 0) -> dict[str, bytes]:
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return {}

    def create_builder_config(self) -> IBuilderConfig:
        return self.fake.IBuilderConfig()  # type: ignore[attr-defined,no-any-return]

    def build_serialized_network(self, network: dict[str, bytes], config: IBuilderConfig) -> bytes | None:
        assert config.profiling_verbosity is ProfilingVerbosity.DETAILED
        assert not config._flags
        assert config._timing is not None
        self.fake.builds.append(config._timing._content)
        if config.progress_monitor is not None:
            config.progress_monitor.phase_start("Tactics", "", 2)
            assert config.progress_monitor.step_complete("Tactics", 0)
            config.progress_monitor.phase_finish("Tactics")
        if "build" in self.fake.refuses:
            self._log.log(ILogger.ERROR, "no tactic for /encoder/Conv")
            return None
        return msgspec.json.encode([self.fake.__version__, self.fake.cuda.name])


class OnnxParser:
    fake: FakeTensorRt

    def __init__(self, network: dict[str, bytes], logger: ILogger) -> None:
        self.num_errors = 0

    def parse(self, model: bytes, path: str | None = None) -> bool:
        self.num_errors = int("parse" in self.fake.refuses)
        return not self.num_errors

    def get_error(self, index: int) -> str:
        return "In node 3: no importer for Frobnicate"


class Runtime:
    fake: FakeTensorRt

    def __init__(self, logger: ILogger) -> None:
        self._log = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        made_for = msgspec.json.encode([self.fake.__version__, self.fake.cuda.name])
        if serialized_engine != made_for or "deserialize" in self.fake.refuses:
            self._log.log(ILogger.ERROR, "engine of another version")
            return None
        return self.fake.ICudaEngine()  # type: ignore[attr-defined,no-any-return]


class ICudaEngine:
    fake: FakeTensorRt

    @property
    def num_io_tensors(self) -> int:
        return len(self.fake.shapes)

    def get_tensor_name(self, index: int) -> str:
        return list(self.fake.shapes)[::-1][index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name == "picture" else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.fake.shapes[name]

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType.UINT8 if name == "picture" else DataType.FLOAT

    def create_engine_inspector(self) -> EngineInspector:
        return self.fake.EngineInspector()  # type: ignore[attr-defined,no-any-return]

    def create_execution_context(self) -> IExecutionContext | None:
        return None if "context" in self.fake.refuses else self.fake.IExecutionContext()  # type: ignore[attr-defined]


class EngineInspector:
    fake: FakeTensorRt

    def get_engine_information(self, format: LayerInformationFormat) -> str:
        tensor = {"Name": "x", "Dimensions": [1, 8, 16, 16], "Format/Datatype": self.fake.layer}
        layer = {"Name": "/encoder/Conv", "LayerType": "CaskConvolution", "Inputs": [tensor], "Outputs": [tensor]}
        return msgspec.json.encode({"Layers": [layer] * 3}).decode()


class IExecutionContext:
    fake: FakeTensorRt

    def __init__(self) -> None:
        self._addresses: dict[str, int] = {}

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return "address" not in self.fake.refuses

    def execute_async_v3(self, stream_handle: int) -> bool:
        self.fake.cuda.owned[stream_handle].add(self._compute)
        return "execute" not in self.fake.refuses

    def _compute(self) -> None:
        def at(name: str, kind: type[Any]) -> Any:
            shape = self.fake.shapes[name]
            size = int(np.prod(shape)) * np.dtype(kind).itemsize
            return np.frombuffer((ctypes.c_ubyte * size).from_address(self._addresses[name]), kind).reshape(shape)

        distance = np.abs(at("picture", np.uint8)[0].astype(np.float32).mean(2) - 150)
        for level, stride in enumerate(STRIDES):
            side = SIDE // stride
            at(f"map{level}", np.float32)[0] = distance.reshape(side, stride, side, stride).mean((1, 3))


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """A fake GPU in place of cuda-bindings."""
    fake = FakeCuda()
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", fake)  # type: ignore[arg-type]
    return fake


@pytest.fixture
def tensorrt(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTensorRt]:
    """A fake TensorRT on the fake GPU; whatever was allocated there has been given back in the end."""
    fake = FakeTensorRt(cuda)
    monkeypatch.setitem(sys.modules, "tensorrt", fake)  # type: ignore[arg-type]
    yield fake
    assert not cuda.owned
