"""Detector: a frame in, raw anomaly maps out. The only thing the rest of the program uses of an engine."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from engines.bundle import Bundle
from engines.errors import EngineError, ImageError
from engines.image import Image, InputSpec, Pose, frame_size, prepare
from engines.runtimes.base import Runtime, engine_name, graph_of, open_runtime
from engines.scoring import Map
from engines.tiling import cut_tiles, stitch
from engines.view import open_locator


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Raw maps of one frame, per level (h, w) float32, fine to coarse, and what they took."""

    maps: tuple[Map, ...]
    prepare_ms: float
    infer_ms: float


class Detector:
    """A bundle on a runtime. One thread at a time.

    Attributes:
        engine: name of the engine, as `ENGINES` has it.
    """

    def __init__(self, bundle: Bundle, runtime: Runtime, engine: str, any_size: bool = False) -> None:
        self.bundle = bundle
        self.engine = engine
        self._runtime = runtime
        self._spec = bundle.manifest.input
        self._locator = open_locator(self._spec, bundle.template)
        self._any_size = any_size

    def detect(self, image: Image) -> Anomaly:
        """Raw maps of one frame (H, W, 3) BGR uint8.

        Raises:
            ImageError: the frame is of another size than taught, or no picture.
            PartNotFound: the product's parts are located, and this frame shows none.
            InferenceFailed: the runtime failed.
            EngineError: it gave maps of another shape than the manifest's.
        """
        self._check_size(image)
        started = time.perf_counter_ns()
        canvas = prepare(image, self._spec, self._locator)
        prepared = time.perf_counter_ns()
        maps = infer(self._runtime, canvas, self._spec)
        inferred = time.perf_counter_ns()
        shapes = [level.shape for level in maps]
        if shapes != [tuple(level) for level in self.bundle.manifest.levels]:
            raise EngineError(f"the model gave maps {shapes}, the manifest says {self.bundle.manifest.levels}")
        return Anomaly(maps, (prepared - started) / 1e6, (inferred - prepared) / 1e6)

    def find(self, image: Image) -> Pose | None:
        """Where the part lies that `detect` looks at, to bring to the canvas what belongs to the frame.

        None: the product's parts are not located.

        Raises:
            PartNotFound: see `detect`.
        """
        return None if self._locator is None else self._locator.find(image)

    def warm_up(self) -> None:
        """Look at a black canvas, so that the first part does not wait for what tiles need; the runtime is warm."""
        blank = np.zeros((self._spec.canvas[1], self._spec.canvas[0], 3), np.uint8)
        infer(self._runtime, blank, self._spec)

    def close(self) -> None:
        """Release the runtime; may be called twice."""
        self._runtime.close()

    def _check_size(self, image: Image) -> None:
        taught = self._spec.frame_size
        if self._any_size or taught is None or frame_size(image) == tuple(taught):
            return
        raise ImageError(
            f"frame of {frame_size(image)} px, but the product was taught with {tuple(taught)}; "
            'correct the camera, or allow it with frame_size = "any"'
        )


def infer(runtime: Runtime, canvas: Image, spec: InputSpec) -> tuple[Map, ...]:
    """Raw maps of a prepared picture, tile by tile, stitched: the same code in training and line."""
    return stitch([runtime.infer(tile) for tile in cut_tiles(canvas, spec)], spec)


def open_detector(bundle: Bundle, engine: str, threads: int = 0, any_size: bool = False) -> Detector:
    """Load a bundle into a runtime and warm it up.

    Raises:
        RuntimeUnavailable: the engine is not installed, can't run on this box, or refuses the model.
        BundleError: the bundle has not the graph that the engine runs.
        ImageError: the bundle's template shows nothing to locate.
        InferenceFailed: it can't look at tiles as the bundle has them.
    """
    with ExitStack() as opened:
        runtime = open_runtime(engine, graph_of(bundle, engine), threads)
        opened.callback(runtime.close)
        detector = Detector(bundle, runtime, engine_name(engine), any_size)
        detector.warm_up()
        opened.pop_all()
    return detector
