"""Waiting: parts before inference, in one bounded lane per camera; the lanes are taken from in turns.

A camera that floods fills its own lane and loses its own parts to `overload`; each other camera waits for one part of
it at a time, at most.
"""

from __future__ import annotations

import queue
import threading
from collections import deque

from inspector.inspection import Part


class Lane:
    """The parts of one camera, first in, first out."""

    def __init__(self, capacity: int, changed: threading.Condition) -> None:
        self.capacity, self._changed = capacity, changed
        self.parts: deque[Part] = deque()
        self.has_ended = False

    def offer(self, part: Part) -> bool:
        """Take a part, or say at once that the lane is full."""
        with self._changed:
            if len(self.parts) >= self.capacity:
                return False
            self.parts.append(part)
            self._changed.notify()
            return True

    def end(self) -> None:
        """No part comes any more; those that wait are still looked at."""
        with self._changed:
            self.has_ended = True
            self._changed.notify_all()


class Waiting:
    """Filled by the cameras' threads, emptied by those that look at parts."""

    def __init__(self, capacity: int) -> None:
        """
        Args:
            capacity: parts that may wait in one lane.
        """
        self._capacity = capacity
        self._lanes: list[Lane] = []
        self._next = 0  # the lane whose turn it is
        self._changed = threading.Condition()

    def add_lane(self) -> Lane:
        """A lane for one more camera; before the first part."""
        self._lanes.append(Lane(self._capacity, self._changed))
        return self._lanes[-1]

    def get(self, timeout_s: float) -> Part | None:
        """The next part of the next lane that has one; None for ever: every lane has ended and is empty.

        Raises:
            queue.Empty: none came in time.
        """
        with self._changed:
            if not self._changed.wait_for(
                lambda: any(lane.parts for lane in self._lanes) or self._is_over(), timeout_s
            ):
                raise queue.Empty
            for step in range(len(self._lanes)):
                place = (self._next + step) % len(self._lanes)
                if self._lanes[place].parts:
                    self._next = place + 1
                    return self._lanes[place].parts.popleft()
        return None

    def _is_over(self) -> bool:
        return all(lane.has_ended for lane in self._lanes)
