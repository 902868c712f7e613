"""Acquisition: the thread that turns what one camera gives into numbered parts with open windows, waiting in its lane.

A part that finds the lane full is an ERROR `overload` at once: it never waits for a place, and it is never dropped
without a verdict. At the very end the lane is told so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from inspector.admission import Admission, Link
from inspector.cameras.base import Camera, EndOfParts
from inspector.errors import CameraError, InspectorError
from inspector.inspection import Band, Capture, Outcome, Reason, Verdict
from inspector.waiting import Lane

GRAB_S = 0.2  # how long one round waits for a part
BACK_OFF_S = (0.5, 1.0, 2.0, 5.0)  # between attempts to reopen a lost camera

log = structlog.get_logger("acquisition")


class Acquisition:
    """Owns the camera; one thread."""

    def __init__(
        self,
        camera: Camera,
        lane: Lane,
        admission: Admission,
        link: Link,
        window_ms: float,
        stop_after: int,
        on_fault: Callable[[str], None],
        beat: Callable[[], None],
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            window_ms: from the picture to the part's deadline.
            stop_after: end after so many parts of this camera; 0: never.
            on_fault: the line must stop.
            beat: called at every round.
            on_end: called when the thread ends.
        """
        self._camera, self._lane, self._admission, self._link = camera, lane, admission, link
        self._window_ns = round(window_ms * 1e6)
        self._stop_after = stop_after
        self._on_fault, self._beat, self._on_end = on_fault, beat, on_end
        self._count = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"acquisition {camera.name}", daemon=True)

    def start(self) -> None:
        """Begin to grab; the camera must be open."""
        self._thread.start()

    def stop(self) -> None:
        """End after the part in hand."""
        self._stopping.set()

    def close(self, timeout_s: float = 5.0) -> None:
        """End the thread and close the camera; may be called twice."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        self._camera.close()

    def _run(self) -> None:
        fault = "acquisition failed; the log has the traceback"  # unless it ends in a way that is foreseen
        try:
            while not self._stopping.is_set() and not self._is_done():
                self._beat()
                self.turn()
            fault = ""
        except EndOfParts:
            fault = ""
            log.info("the source is at its end", parts=self._count)
        except InspectorError as error:
            fault = str(error)
        finally:
            if fault:
                self._on_fault(fault)
            # Also after an error: without it the line would wait for ever.
            self._lane.end()
            self._on_end()

    def _is_done(self) -> bool:
        return 0 < self._stop_after <= self._count

    def turn(self) -> None:
        """One round: what the camera gives within `GRAB_S`."""
        try:
            capture = self._camera.grab(GRAB_S)
        except CameraError as error:
            log.error("camera lost", error=str(error))
            self._reopen()
            return
        if capture is not None:
            self._admit(capture)

    def _admit(self, capture: Capture) -> None:
        self._count += 1
        part = self._admission.admit(capture, self._window_ns)
        if not self._lane.offer(part):
            waiting = self._lane.capacity
            detail = f"{waiting} parts wait for inference already; slow the belt or choose a faster engine"
            log.warning("overload", sequence=part.sequence, camera=self._camera.name)
            self._link.send(part, None, Verdict(part.sequence, Outcome.ERROR, Band.CLEAR, Reason.OVERLOAD, detail))
            self._admission.finish(part)

    def _reopen(self) -> None:
        """Until it works or the line stops. Parts that pass meanwhile have no GOOD, so the ejector takes them out."""
        attempt = 0
        while not self._stopping.is_set():
            self._beat()
            self._camera.close()
            try:
                self._camera.open()
            except CameraError as error:
                log.error("camera does not come back", error=str(error), attempt=attempt + 1)
                self._stopping.wait(BACK_OFF_S[min(attempt, len(BACK_OFF_S) - 1)])
                attempt += 1
            else:
                log.info("camera is back", attempts=attempt + 1)
                return
