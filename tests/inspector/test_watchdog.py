"""The watchdog is fed while every loop comes round, and systemd's protocol is spoken right."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inspector.watchdog import Notifier, Pulses, watchdog_period_s

if TYPE_CHECKING:
    from tests.inspector.conftest import FakeClock


@pytest.fixture(params=["file", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """What systemd listens on, and its NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.settimeout(20)
        if request.param == "file":
            address = str(tmp_path / "notify")
            server.bind(address)
        else:
            address = f"@test-{uuid.uuid4().hex}"
            server.bind("\0" + address[1:])
        yield server, address


def test_a_loop_over_its_limit_is_named_and_no_other(clock: FakeClock) -> None:
    pulses = Pulses(clock)
    line, _ = pulses.register("line", limit_s=5), pulses.register("link", limit_s=2)
    clock.advance(2001)
    assert pulses.hung() == ["link"]
    clock.advance(3000)
    line()
    assert pulses.hung() == ["link"]


def test_a_loop_exactly_at_its_limit_is_not_hung(clock: FakeClock) -> None:
    pulses = Pulses(clock)
    pulses.register("line", limit_s=5)
    clock.advance(5000)
    assert pulses.hung() == []


def test_a_beat_brings_a_loop_back(clock: FakeClock) -> None:
    pulses = Pulses(clock)
    beat = pulses.register("line", limit_s=1)
    clock.advance(1500)
    assert pulses.hung() == ["line"]
    beat()
    assert pulses.hung() == []


def test_a_retired_loop_is_no_longer_watched(clock: FakeClock) -> None:
    pulses = Pulses(clock)
    beat = pulses.register("acquisition", limit_s=1)
    pulses.retire("acquisition")
    clock.advance(10_000)
    assert pulses.hung() == []
    beat()  # a last beat of its thread must not bring it back
    clock.advance(10_000)
    assert pulses.hung() == []
    pulses.retire("acquisition")


def test_a_loops_age_is_told_and_that_of_an_unknown_one_is_zero(clock: FakeClock) -> None:
    pulses = Pulses(clock)
    pulses.register("line", limit_s=1)
    clock.advance(250)
    assert pulses.age_ms("line") == 250.0
    assert pulses.age_ms("nobody") == 0.0


def test_systemd_hears_every_message(systemd: tuple[socket.socket, str]) -> None:
    server, address = systemd
    notifier = Notifier(address)
    notifier.extend_start(1.5)
    notifier.ready("part 1")
    notifier.alive()
    notifier.status("waiting")
    notifier.stopping()
    heard = [server.recv(4096).decode() for _ in range(5)]
    assert heard == [
        "EXTEND_TIMEOUT_USEC=1500000",
        "READY=1\nSTATUS=part 1",
        "WATCHDOG=1",
        "STATUS=waiting",
        "STOPPING=1",
    ]


def test_the_address_comes_from_the_environment(
    systemd: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, address = systemd
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    Notifier().alive()
    assert server.recv(4096) == b"WATCHDOG=1"


def test_without_systemd_and_with_a_dead_one_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().ready("fine")
    Notifier(str(tmp_path / "gone")).alive()


@pytest.mark.parametrize(("limit_us", "period_s"), [("30000000", 10.0), ("", 1.0), (None, 1.0), ("0", 1.0)])
def test_it_is_fed_three_times_within_the_limit(
    monkeypatch: pytest.MonkeyPatch, limit_us: str | None, period_s: float
) -> None:
    if limit_us is None:
        monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    else:
        monkeypatch.setenv("WATCHDOG_USEC", limit_us)
    assert watchdog_period_s() == period_s
