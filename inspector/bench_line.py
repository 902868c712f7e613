"""A whole line that is given parts on demand, with a watch on each stage; see `bench`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import NamedTuple

from calibration.recipe import Recipe
from engines.detector import Detector
from engines.image import Image
from inspector.acquisition import Acquisition
from inspector.admission import Admission, Link
from inspector.assembly import open_books
from inspector.cameras.base import EndOfParts
from inspector.clock import SystemClock
from inspector.config import Config
from inspector.errors import LineStopped
from inspector.inspection import Frame, Inspection, Part, Verdict
from inspector.job import make_job
from inspector.line import Line
from inspector.waiting import Waiting
from inspector.watchdog import Pulses

PLACES = 2  # per detector: one part is looked at, one waits. So inference never waits, and nothing overflows
PATIENCE_S = 60.0


class BenchCamera:
    """Frames from memory, one per place that is free."""

    name = "bench"

    def __init__(self, images: Sequence[Image]) -> None:
        self._images = images
        self._places = threading.Semaphore(0)
        self._is_over = threading.Event()
        self.grab_ms: list[float] = []  # by block id

    def open(self) -> None:
        """Nothing to connect to."""

    def close(self) -> None:
        """See `open`."""

    def make_places(self, count: int) -> None:
        """So many parts more may come. Any thread."""
        self._places.release(count)

    def end(self) -> None:
        """No more parts."""
        self._is_over.set()

    def grab(self, timeout_s: float) -> Frame | None:
        """A copy of the next picture: what a camera's buffer costs at least."""
        if not self._places.acquire(timeout=timeout_s):
            if self._is_over.is_set():
                raise EndOfParts
            return None
        started = time.monotonic_ns()
        block = len(self.grab_ms)
        image = self._images[block % len(self._images)].copy()
        captured = time.monotonic_ns()
        self.grab_ms.append((captured - started) / 1e6)
        return Frame(self.name, block, captured, time.time_ns() // 1000, image)


class Sent(NamedTuple):
    """What was told of a part; the link's call began and ended at these monotonic ns."""

    inspection: Inspection
    begun_ns: int
    ended_ns: int

    @property
    def judge_ms(self) -> float:
        """From the end of looking to the verdict."""
        return (self.begun_ns - self.inspection.finished_ns) / 1e6

    @property
    def send_ms(self) -> float:
        """What the call took; the link's thread may have begun to send within it."""
        return (self.ended_ns - self.begun_ns) / 1e6

    @property
    def told_ms(self) -> float:
        """From the picture to the call."""
        return (self.begun_ns - self.inspection.part.capture.captured_ns) / 1e6


class BenchLink:
    """The line's link, with a watch on what is sent.

    Attributes:
        sent: in the order of verdicts.
    """

    def __init__(self, link: Link, on_sent: Callable[[], None]) -> None:
        self._link, self._on_sent = link, on_sent
        self.sent: list[Sent] = []

    def open_part(self, part: Part) -> None:
        """See `Link`."""
        self._link.open_part(part)

    def send(self, part: Part, inspection: Inspection | None, verdict: Verdict) -> None:
        """See `Link`."""
        started = time.monotonic_ns()
        self._link.send(part, inspection, verdict)
        ended = time.monotonic_ns()
        if inspection is not None:  # else the queue was full, which the books will show as an ERROR
            self.sent.append(Sent(inspection, started, ended))
        self._on_sent()


class BenchLine:
    """The program's own line, opened and closed with `with`."""

    def __init__(self, config: Config, recipe: Recipe, detectors: Sequence[Detector], images: Sequence[Image]) -> None:
        self._config, self._recipe, self._detectors = config, recipe, detectors
        self.places = PLACES * len(detectors)
        self.camera = BenchCamera(images)
        self._to_begin = self._to_judge = 0  # of the round
        self._lock = threading.Lock()
        self._judged = threading.Event()
        self._faults: list[str] = []
        self._workers: list[threading.Thread] = []
        self._stack = ExitStack()

    def __enter__(self) -> BenchLine:
        """Raises: LineStopped: the ejector is not there."""
        clock, engine = SystemClock(), self._detectors[0].engine
        self._books = open_books(self._config, self._recipe, engine, Pulses(clock), self._faults.append, self._stack)
        self._stack.callback(self._books.recorder.close)
        self._stack.callback(self._books.link.close)
        if not self._books.link.wait_ready(PATIENCE_S):
            self._stack.close()
            raise LineStopped("the ejector of the bench did not start; run doctor")
        self._books.catch_up()
        self.link = BenchLink(self._books.link, self._on_sent)
        window_ms, fault = self._config.ejector.window_ms, self._faults.append
        waiting = Waiting(self.places)
        admission = Admission(self._books.numbers, self.link, make_job(self._recipe, self._detectors))
        acquisition = Acquisition(self.camera, waiting.add_lane(), admission, self.link, window_ms, 0, fault, _no_beat)
        self._stack.callback(acquisition.close)
        for place in range(len(self._detectors)):
            line = Line(waiting, place, self.link, clock, _no_beat, admission.finish)
            self._workers.append(threading.Thread(target=line.run, name="inference", daemon=True))
        acquisition.start()
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.camera.end()
        self._stack.close()

    def run(self, parts: int) -> float:
        """Let so many parts through, more than `places`; parts per second from the first verdict to the last.

        Raises:
            LineStopped: a verdict did not come.
        """
        begun = len(self.link.sent)
        self._to_begin, self._to_judge = parts - self.places, parts
        self._judged.clear()
        self.camera.make_places(self.places)
        if not self._judged.wait(PATIENCE_S) or self._faults or len(self.link.sent) != begun + parts:
            raise LineStopped(f"the line of the bench stopped: {self._faults or 'a part was not looked at in time'}")
        first, last = self.link.sent[begun], self.link.sent[-1]
        return (parts - 1) / ((last.ended_ns - first.ended_ns) / 1e9)

    def finish(self) -> None:
        """Every part acknowledged and recorded.

        Raises:
            LineStopped: one is not.
        """
        self.camera.end()
        for worker in self._workers:
            worker.join(PATIENCE_S)
        if not self._books.link.drain(PATIENCE_S) or self._faults:
            raise LineStopped(f"the line of the bench stopped: {self._faults or 'parts were not acknowledged'}")
        self._books.link.close()
        self._books.recorder.close()

    def _on_sent(self) -> None:
        """A verdict makes place for the next part."""
        with self._lock:
            self._to_judge -= 1
            if self._to_begin > 0:
                self._to_begin -= 1
                self.camera.make_places(1)
            if self._to_judge == 0:
                self._judged.set()


def _no_beat() -> None:
    """Nobody watches the bench."""
