"""TensorRT in FP16 on an NVIDIA GPU: built on this box, kept in a cache, run as one captured CUDA graph.

    picture -> pinned buffer -> | upload, layers, downloads: one CUDA graph on its own stream | -> pinned maps -> copies

Not yet run on a GPU: tests run these lines against a fake that has only what TensorRT 10.3, 10.16 and 11.4 share, and
build with TensorRT for RTX. docs/TENSORRT.md says what is shown and what isn't.
"""

from __future__ import annotations

import importlib
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import InferenceFailed, RuntimeUnavailable
from engines.image import Image
from engines.runtimes.base import WARM_UPS, fill
from engines.runtimes.tensorrt_build import Say, build_engine, check_half, make_log
from engines.runtimes.tensorrt_cache import EngineCache, Target, cache_folder, engine_key
from engines.runtimes.tensorrt_cuda import Cuda, CudaError
from engines.scoring import Map


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """How an engine came to be.

    Attributes:
        key: see `engine_key`.
        was_cached: it was built before; otherwise `build_s` is what building took.
        layers: number of its layers by their types.
    """

    key: str
    target: Target
    was_cached: bool
    build_s: float
    layers: dict[str, int]


class TensorRtRuntime:
    """One engine, one execution context, one stream.

    Attributes:
        facts: how the engine came to be.
        is_captured: an inference is one launch of a CUDA graph; otherwise its steps are queued one by one.
    """

    _context: Any
    _stream: Any
    _device: list[int]  # addresses of the picture and the maps

    def __init__(self, model: bytes, folder: Path | None = None, say: Say | None = None) -> None:
        """Build the engine, or take it from the cache, and warm it up.

        Args:
            model: the FP16 graph's ONNX bytes.
            folder: of engines; None: `cache_folder()`.
            say: is told how far a build is, which takes minutes.

        Raises:
            RuntimeUnavailable: TensorRT, cuda-bindings or a GPU lacks, or it refuses or can't run the model.
        """
        trt = _library()
        self._cuda = Cuda()
        self._log = make_log(trt)
        with ExitStack() as owned:
            try:
                engine, self.facts = _open_engine(
                    trt, self._log, self._cuda.gpu(), model, EngineCache(folder or cache_folder()), say
                )
                self._prepare(trt, engine, owned)
            except CudaError as error:
                raise RuntimeUnavailable(f"tensorrt can't run the model: {error}; run nvidia-smi") from error
            self._owned = owned.pop_all()

    def infer(self, picture: Image) -> tuple[Map, ...]:
        """Raw maps of one picture; see `Runtime`.

        Raises:
            InferenceFailed: the picture has another size, the runtime is closed, or CUDA failed.
        """
        if self._context is None:
            raise InferenceFailed("tensorrt is closed; open the engine again")
        fill(self._picture[0], picture)
        try:
            return self._run()
        except CudaError as error:
            raise InferenceFailed(f"tensorrt failed: {error}; run nvidia-smi") from error

    def close(self) -> None:
        """Give memory and device back; may be called twice."""
        self._context = None
        with suppress(CudaError):  # a GPU that is gone has nothing to take back
            self._owned.close()

    def _prepare(self, trt: Any, engine: Any, owned: ExitStack) -> None:
        """Buffers, stream, context, warm-up and capture."""
        self._context = engine.create_execution_context()
        if self._context is None:
            raise RuntimeUnavailable(f"tensorrt can't run the engine: {self._log.told()}; is GPU memory left?")
        self._stream = self._cuda.stream(owned)
        given, told = _tensors(trt, engine)
        self._picture: NDArray[np.uint8] = self._cuda.pinned(given[1], np.dtype(np.uint8), owned)
        self._maps: list[Map] = [self._cuda.pinned(shape, np.dtype(np.float32), owned) for _, shape in told]
        sizes = [self._picture.nbytes, *(level.nbytes for level in self._maps)]
        self._device = [self._cuda.on_device(size, owned) for size in sizes]
        for (name, _), address in zip((given, *told), self._device):
            if not self._context.set_tensor_address(name, address):
                raise RuntimeUnavailable(f"tensorrt refuses the address of {name}: {self._log.told()}; report this")
        self._graph: Any = None
        for _ in range(WARM_UPS):  # what still allocates can't be captured
            self._run()
        try:
            self._graph = self._cuda.capture(self._queue, self._stream, owned)
        except CudaError:  # slower, and right all the same
            self._graph = None
        self.is_captured = self._graph is not None
        self._run()

    def _run(self) -> tuple[Map, ...]:
        """Maps of what lies in the pinned picture."""
        if self._graph is None:
            self._queue()
        else:
            self._cuda.launch(self._graph, self._stream)
        self._cuda.wait(self._stream)
        return tuple(level[0].copy() for level in self._maps)

    def _queue(self) -> None:
        """Queue one inference on the stream."""
        self._cuda.upload(self._device[0], self._picture, self._stream)
        if not self._context.execute_async_v3(int(self._stream)):
            raise CudaError(f"execute_async_v3 refused: {self._log.told()}")
        for host, device in zip(self._maps, self._device[1:]):
            self._cuda.download(host, device, self._stream)


def gpu_facts() -> dict[str, str]:
    """What an engine's figures depend on: TensorRT's version, wherever it was installed from, and the GPU.

    Raises:
        RuntimeUnavailable: TensorRT, cuda-bindings or a GPU lacks.
    """
    version = str(_library().__version__)
    try:
        return {"tensorrt": version, "gpu": Cuda().gpu()}
    except CudaError as error:
        raise RuntimeUnavailable(f"tensorrt: the GPU does not answer: {error}; run nvidia-smi") from error


def _library() -> Any:
    try:
        return importlib.import_module("tensorrt")
    except ImportError as error:
        raise RuntimeUnavailable(
            f"tensorrt is not installed here: {error}; docs/TENSORRT.md says how, on a Jetson and elsewhere"
        ) from error


def _open_engine(
    trt: Any, log: Any, gpu: str, model: bytes, cache: EngineCache, say: Say | None
) -> tuple[Any, EngineFacts]:
    """The engine of a graph, from the cache or built, and checked to be FP16."""
    target = Target(str(trt.__version__), gpu)
    key = engine_key(model, target)
    kept = cache.engine(key)
    engine = None if kept is None else trt.Runtime(log).deserialize_cuda_engine(kept)
    was_cached, started = engine is not None, time.monotonic()
    if engine is None:
        cache.drop_engine(key)
        built = build_engine(trt, model, cache.timing(target), say)
        engine = trt.Runtime(log).deserialize_cuda_engine(built.engine)
        if engine is None:
            raise RuntimeUnavailable(f"tensorrt does not take its own engine: {log.told()}; report this")
    build_s = 0.0 if was_cached else time.monotonic() - started
    information = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    layers = check_half(information)
    if not was_cached:  # only what passed is kept
        cache.keep_engine(key, built.engine)
        cache.keep_timing(target, built.timing)
    return engine, EngineFacts(key, target, was_cached, build_s, layers)


Tensor = tuple[str, tuple[int, ...]]  # name, shape


def _tensors(trt: Any, engine: Any) -> tuple[Tensor, list[Tensor]]:
    """The picture and the maps, in the graph's order: map0, map1 ...

    Raises:
        RuntimeUnavailable: they are not those of a bundle's graph.
    """
    names = sorted((engine.get_tensor_name(index) for index in range(engine.num_io_tensors)), key=lambda n: (len(n), n))
    given = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    told = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT]
    shapes = {name: tuple(int(size) for size in engine.get_tensor_shape(name)) for name in names}
    types = {name: engine.get_tensor_dtype(name) for name in names}
    is_ours = (
        len(given) == 1
        and types[given[0]] == trt.DataType.UINT8
        and shapes[given[0]][:1] + shapes[given[0]][3:] == (1, 3)
        and bool(told)
        and all(types[name] == trt.DataType.FLOAT and len(shapes[name]) == 3 for name in told)
        and all(size > 0 for name in names for size in shapes[name])
    )
    if not is_ours:
        raise RuntimeUnavailable(
            f"tensorrt refuses the model: inputs and outputs are {shapes}, not a uint8 picture (1, H, W, 3) and FP32 "
            "maps (1, h, w); export it again"
        )
    return (given[0], shapes[given[0]]), [(name, shapes[name]) for name in told]
