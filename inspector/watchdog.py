"""systemd's watchdog, fed only while the loop of every thread comes round within its limit.

sd_notify(3) is ten lines; from the repository root `import systemd` would find our folder of units.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable

from inspector.clock import Clock


class Pulses:
    """When each thread's loop last came round. Waiting for parts that don't come counts as a round."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limits_ns: dict[str, int] = {}
        self._beats_ns: dict[str, int] = {}
        self._lock = threading.Lock()

    def register(self, name: str, limit_s: float) -> Callable[[], None]:
        """A loop's beat, to be called once per round; its first round begins now."""
        with self._lock:
            self._limits_ns[name] = int(limit_s * 1e9)
            self._beats_ns[name] = self._clock.now_ns()

        def beat() -> None:
            self._beats_ns[name] = self._clock.now_ns()

        return beat

    def retire(self, name: str) -> None:
        """The loop ended as it should; it is no longer watched."""
        with self._lock:
            self._limits_ns.pop(name, None)

    def age_ms(self, name: str) -> float:
        """Since that loop last came round; 0 for one that is not known."""
        beat = self._beats_ns.get(name)
        return 0.0 if beat is None else (self._clock.now_ns() - beat) / 1e6

    def hung(self) -> list[str]:
        """Loops that have not come round within their limit."""
        now = self._clock.now_ns()
        with self._lock:
            return [name for name, limit in self._limits_ns.items() if now - self._beats_ns[name] > limit]


class Notifier:
    """Tells systemd how the service is; silent when it was not started by systemd."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address if address is not None else os.environ.get("NOTIFY_SOCKET", "")

    def ready(self, status: str) -> None:
        """The service does its work."""
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={status}")

    def extend_start(self, seconds: float) -> None:
        """Starting takes longer, for a reason that `status` told: don't give up on it yet."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """The service is on its way out."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        path = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            try:
                notify.sendto(message.encode(), path)
            except OSError:
                pass  # systemd is gone or the socket is full: the line does not stop for that


def watchdog_period_s() -> float:
    """How often to feed the watchdog: a third of WatchdogSec, 1 s when there is none."""
    limit_us = int(os.environ.get("WATCHDOG_USEC", "0") or 0)
    return limit_us / 3e6 if limit_us else 1.0
