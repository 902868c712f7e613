"""Line: takes each part from the queue, looks at it, judges it, sends the verdict. Fails closed.

Several may take from the same waiting parts, each with detectors of its own: then several parts are looked at at the
same time. What judges a part is the job it was numbered under, whatever is in force by now.

acquisition --parts--> Line: detect -> score -> judge --> link --> recorder

The frame is measured when the verdict is out; the recorder waits for that.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from time import perf_counter_ns

import structlog

from engines.errors import ImageError, PartNotFound
from engines.scoring import Score, score
from inspector.admission import Link
from inspector.clock import Clock
from inspector.inspection import CameraFault, Inspection, Part, Reason, Timings, Verdict
from inspector.job import Job
from inspector.judge import judge
from inspector.waiting import Waiting

Hold = Callable[[Verdict, str], Verdict]
WAIT_S = 0.2  # how long one round waits for a part

log = structlog.get_logger("line")


class Line:
    """The loop. Run by one thread; everything it is given is owned and closed elsewhere."""

    def __init__(
        self,
        parts: Waiting,
        place: int,
        link: Link,
        clock: Clock,
        beat: Callable[[], None],
        finish: Callable[[Part], None],
        hold: Hold = lambda verdict, recipe: verdict,
    ) -> None:
        """
        Args:
            place: which of a job's detectors is this thread's.
            beat: called at every round.
            finish: told of each part after its verdict.
            hold: what may be told of a verdict, by its recipe's checksum; default: never held.
        """
        self._parts, self._place, self._link, self._clock = parts, place, link, clock
        self._beat, self._finish, self._hold = beat, finish, hold
        self._stopping = threading.Event()

    def run(self) -> None:
        """Until the parts end or `stop`."""
        while not self._stopping.is_set():
            self._beat()
            try:
                part = self._parts.get(WAIT_S)
            except queue.Empty:
                continue
            if part is None:
                return
            self.inspect(part)

    def stop(self) -> None:
        """Leave `run` after the part in hand. Any thread."""
        self._stopping.set()

    def inspect(self, part: Part) -> None:
        """Look at a part, judge it, and send the verdict, whatever happens."""
        started_ns = self._clock.now_ns()
        queue_ms = (started_ns - part.capture.captured_ns) / 1e6
        job = part.job
        if job is None:  # ends this thread, so the line stops; the link tells ERROR when the window closes
            raise ValueError(f"part {part.sequence} was numbered without a product in force; restart the line")
        inspection = self._inspected(part, job, queue_ms)
        if job.gauge is not None and _is_comparable(inspection):
            inspection = replace(inspection, measuring=Future())
        verdict = self._hold(judge(inspection, job.recipe), job.recipe.checksum)
        self._link.send(part, inspection, verdict)
        _measure(inspection, job)
        self._finish(part)

    def _inspected(self, part: Part, job: Job, queue_ms: float) -> Inspection:
        try:
            seen, timings = self._look(part, job, queue_ms)
            return Inspection(part, seen, None, "", timings, self._clock.now_ns())
        except _Fault as fault:
            return self._failed(part, fault.reason, str(fault), queue_ms)
        except PartNotFound as error:
            return self._failed(part, Reason.PART_NOT_FOUND, str(error), queue_ms)
        except ImageError as error:
            return self._failed(part, Reason.BAD_FRAME, str(error), queue_ms)
        except Exception as error:  # the one broad except: whatever breaks, the part gets its ERROR
            log.exception("inspection failed", sequence=part.sequence)
            return self._failed(part, Reason.ENGINE_FAULT, f"{type(error).__name__}: {error}", queue_ms)

    def _look(self, part: Part, job: Job, queue_ms: float) -> tuple[Score, Timings]:
        capture = part.capture
        if isinstance(capture, CameraFault):
            raise _Fault(capture.reason, capture.detail)
        anomaly = job.detectors[self._place].detect(capture.image)
        before = perf_counter_ns()
        seen = score(anomaly.maps, job.recipe.scoring)
        score_ms = (perf_counter_ns() - before) / 1e6
        return seen, Timings(queue_ms, anomaly.prepare_ms, anomaly.infer_ms, score_ms)

    def _failed(self, part: Part, reason: Reason, detail: str, queue_ms: float) -> Inspection:
        return Inspection(part, None, reason, detail, Timings(queue_ms), self._clock.now_ns())


def _is_comparable(inspection: Inspection) -> bool:
    """Of an ERROR too, but a frame of another size or format is none of this product's."""
    return not isinstance(inspection.part.capture, CameraFault) and inspection.fault is not Reason.BAD_FRAME


def _measure(inspection: Inspection, job: Job) -> None:
    """The frame apart from its score: whatever is odd about it must show as that, not as a defect."""
    measuring, capture, frame = inspection.measuring, inspection.part.capture, None
    if measuring is None or job.gauge is None or isinstance(capture, CameraFault):
        return
    try:
        frame = job.gauge.measure(capture.image)
    except Exception:  # the part has its verdict, and the line goes on
        log.exception("the frame can't be measured", sequence=inspection.part.sequence)
    measuring.set_result(frame)


class _Fault(Exception):
    """The camera gave no picture of this part."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
