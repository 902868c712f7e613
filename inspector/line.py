"""Line: takes each part from the queue, looks at it, judges it, sends the verdict. Fails closed.

Several may take from the same waiting parts, each with detectors of its own: then several parts are looked at at the
same time. What judges a part is the job it was numbered under, whatever is in force by now.

acquisition --parts--> Line: detect -> score -> judge --> link --> recorder
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from time import perf_counter_ns

import structlog

from calibration.frames import FrameFacts
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
        try:
            seen, timings = self._look(part, job, queue_ms)
            frame = _measure(part, job)
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
        verdict = self._hold(judge(inspection, job.recipe), job.recipe.checksum)
        self._link.send(part, inspection, verdict)
        self._finish(part)

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


def _measure(part: Part, job: Job) -> FrameFacts | None:
    """The frame apart from its score: whatever is odd about it must show as that, not as a defect."""
    capture = part.capture
    return None if job.gauge is None or isinstance(capture, CameraFault) else job.gauge.measure(capture.image)


class _Fault(Exception):
    """The camera gave no picture of this part."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
