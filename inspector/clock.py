"""Time, injected everywhere it matters, and moments as people write them."""

from __future__ import annotations

import datetime
import time
from typing import Protocol

from inspector.errors import ConfigError


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


def utc_text(moment_us: int) -> str:
    """A moment, microseconds since 1970, as people read it: UTC, to the second."""
    return f"{datetime.datetime.fromtimestamp(moment_us / 1e6, datetime.timezone.utc):%Y-%m-%d %H:%M:%S}"


def utc_us(text: str | None) -> int | None:
    """Microseconds since 1970 of what a user wrote.

    Raises:
        ConfigError: it is no time.
    """
    if text is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is not a time; write 2026-01-31 or 2026-01-31T06:00 (UTC)") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return round(moment.timestamp() * 1e6)
