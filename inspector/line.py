"""Line: takes each part from the queue, looks at it, judges it, sends the verdict. Fails closed.

Several may take from one queue, each with a detector of its own: then several parts are looked at at the same time.

acquisition --parts--> Line: detect -> score -> judge --> link --> recorder
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from time import perf_counter_ns
from typing import Protocol

import structlog

from calibration.frames import FrameFacts, FrameGauge
from calibration.recipe import Recipe
from engines.detector import Anomaly
from engines.errors import ImageError, PartNotFound
from engines.image import Image
from engines.scoring import Score, score
from inspector.acquisition import Link
from inspector.clock import Clock
from inspector.inspection import CameraFault, Inspection, Part, Reason, Timings
from inspector.judge import judge

WAIT_S = 0.2  # how long one round waits for a part

log = structlog.get_logger("line")


class Detects(Protocol):
    """What the line needs of a detector."""

    def detect(self, image: Image) -> Anomaly:
        """Raw maps of one frame (H, W, 3) BGR uint8."""


class Line:
    """The loop. Run by one thread; everything it is given is owned and closed elsewhere."""

    def __init__(
        self,
        parts: queue.Queue[Part | None],
        detector: Detects,
        recipe: Recipe,
        link: Link,
        clock: Clock,
        beat: Callable[[], None],
    ) -> None:
        self._parts, self._detector, self._recipe = parts, detector, recipe
        self._link, self._clock, self._beat = link, clock, beat
        self._gauge = None if recipe.frames is None else FrameGauge(recipe.frames.reference)
        self._stopping = threading.Event()

    def run(self) -> None:
        """Until the parts end or `stop`."""
        while not self._stopping.is_set():
            self._beat()
            try:
                part = self._parts.get(timeout=WAIT_S)
            except queue.Empty:
                continue
            if part is None:
                self._parts.put(None)  # for the others that take from this queue
                return
            self.inspect(part)

    def stop(self) -> None:
        """Leave `run` after the part in hand. Any thread."""
        self._stopping.set()

    def inspect(self, part: Part) -> None:
        """Look at a part, judge it, and send the verdict, whatever happens."""
        started_ns = self._clock.now_ns()
        queue_ms = (started_ns - part.capture.captured_ns) / 1e6
        try:
            seen, timings = self._look(part, queue_ms)
            frame = self._measure(part)
            inspection = Inspection(part, seen, None, "", timings, self._clock.now_ns(), frame)
        except _Fault as fault:
            inspection = self._failed(part, fault.reason, str(fault), queue_ms)
        except PartNotFound as error:
            inspection = self._failed(part, Reason.PART_NOT_FOUND, str(error), queue_ms)
        except ImageError as error:
            inspection = self._failed(part, Reason.BAD_FRAME, str(error), queue_ms)
        except Exception as error:  # the one broad except: whatever breaks, the part gets its ERROR
            log.exception("inspection failed", sequence=part.sequence)
            inspection = self._failed(part, Reason.ENGINE_FAULT, f"{type(error).__name__}: {error}", queue_ms)
        self._link.send(part, inspection, judge(inspection, self._recipe))

    def _look(self, part: Part, queue_ms: float) -> tuple[Score, Timings]:
        capture = part.capture
        if isinstance(capture, CameraFault):
            raise _Fault(capture.reason, capture.detail)
        anomaly = self._detector.detect(capture.image)
        before = perf_counter_ns()
        seen = score(anomaly.maps, self._recipe.scoring)
        score_ms = (perf_counter_ns() - before) / 1e6
        return seen, Timings(queue_ms, anomaly.prepare_ms, anomaly.infer_ms, score_ms)

    def _measure(self, part: Part) -> FrameFacts | None:
        """The frame apart from its score: whatever is odd about it must show as that, not as a defect."""
        capture = part.capture
        return None if self._gauge is None or isinstance(capture, CameraFault) else self._gauge.measure(capture.image)

    def _failed(self, part: Part, reason: Reason, detail: str, queue_ms: float) -> Inspection:
        return Inspection(part, None, reason, detail, Timings(queue_ms), self._clock.now_ns())


class _Fault(Exception):
    """The camera gave no picture of this part."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
