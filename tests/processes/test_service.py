"""The line as systemd sees it: a real process, and a real notify socket that the test listens on."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

WATCHDOG_S = 0.6


class Supervisor:
    """What systemd would have heard."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    @property
    def environment(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self.path), "WATCHDOG_USEC": str(round(WATCHDOG_S * 1e6))}

    def next(self, timeout_s: float) -> str | None:
        """The next message, or None when there was silence."""
        self._socket.settimeout(timeout_s)
        try:
            return self._socket.recv(4096).decode()
        except TimeoutError:
            return None

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 60
        while text not in (self.next(1.0) or ""):
            assert time.monotonic() < deadline, f"never heard {text}"

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path / "notify")
    yield made
    made.close()


@pytest.mark.slow
def test_a_stopped_belt_is_no_stall_for_ten_times_the_watchdog_limit(rig: Any, supervisor: Supervisor) -> None:
    rig.config["camera"] |= {"rate_hz": 0.001, "parts": 0}
    rig.start("ejector")
    rig.start("line", **supervisor.environment)
    supervisor.wait_for("READY=1")
    rig.wait(lambda: rig.passed == 1)
    end = time.monotonic() + 10 * WATCHDOG_S
    while time.monotonic() < end:
        assert supervisor.next(WATCHDOG_S) == "WATCHDOG=1", "systemd would have restarted the line"
    assert rig.passed == 1, "the belt was meant to stand"
    assert rig.processes["line"].poll() is None


@pytest.mark.slow
@pytest.mark.parametrize("thread", ["acquisition", "inference", "recorder"])
def test_one_hung_thread_stops_the_ping(thread: str, rig: Any, supervisor: Supervisor) -> None:
    rig.config["camera"] |= {"rate_hz": 20.0}
    rig.start("ejector")
    rig.start("line", **supervisor.environment, HANG=thread)
    supervisor.wait_for("READY=1")
    supervisor.wait_for("WATCHDOG=1")
    deadline = time.monotonic() + 20
    while supervisor.next(3 * WATCHDOG_S) is not None:
        assert time.monotonic() < deadline, "the ping never stopped"
    assert rig.processes["line"].poll() is None, "a hung line must not look like one that ended"
