"""Admission: each part gets its number, its window and the job in force, in one step that a change can't split.

A change of product therefore lies between two numbers: parts below are judged by the old job to the end, wherever they
wait, parts from there on by the new one.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Protocol

from inspector.inspection import Capture, Inspection, Part, Verdict
from inspector.job import Job
from inspector.sequence import SequenceFile


class Link(Protocol):
    """Where parts are opened and verdicts go: `RejectLink`, or a test's."""

    def open_part(self, part: Part) -> None:
        """A part was numbered: its window runs from now on."""

    def send(self, part: Part, inspection: Inspection | None, verdict: Verdict) -> None:
        """A part was judged."""


class Admission:
    """Shared by the threads of all cameras, those that look at parts, and the one that changes the product."""

    def __init__(self, numbers: SequenceFile, link: Link, job: Job) -> None:
        self._numbers, self._link, self._job = numbers, link, job
        self._open: Counter[Job] = Counter()
        self._lock = threading.Lock()

    @property
    def job(self) -> Job:
        """The job in force."""
        return self._job

    def admit(self, capture: Capture, window_ns: int) -> Part:
        """Number a part and open its window, which ends so long after the picture."""
        with self._lock:
            part = Part(self._numbers.take(), capture, capture.captured_ns + window_ns, job=self._job)
            self._open[self._job] += 1
            self._link.open_part(part)
        return part

    def finish(self, part: Part) -> None:
        """Nobody will look at this part any more."""
        if part.job is None:
            return
        with self._lock:
            self._open[part.job] -= 1
            if not self._open[part.job]:
                del self._open[part.job]

    def change(self, job: Job) -> int:
        """Put a job in force; the number from which on it judges."""
        with self._lock:
            self._job = job
            return self._numbers.upcoming

    def is_idle(self, job: Job) -> bool:
        """It is not in force, and no part of it is still to be looked at."""
        with self._lock:
            return job is not self._job and job not in self._open
