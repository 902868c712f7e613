"""Time, injected everywhere it matters."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two times: one that only goes forward, for durations, and one of the calendar."""

    def now_ns(self) -> int:
        """Monotonic nanoseconds; meaningless outside this machine."""

    def utc_us(self) -> int:
        """Microseconds since 1970, UTC."""


class SystemClock:
    """The machine's clocks."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def utc_us(self) -> int:
        return time.time_ns() // 1000
