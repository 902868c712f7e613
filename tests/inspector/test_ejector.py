"""The ejector's end over real ZeroMQ: what is not proven moves nothing, and silence drops every output."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zmq

from inspector.assembly import run_ejector
from inspector.clock import SystemClock
from inspector.config import parse_config
from inspector.drivers import SimulatedDriver
from inspector.ejector import Ejector
from inspector.errors import JournalError, LinkError
from inspector.inspection import Outcome, Reason
from inspector.journal import Journal
from inspector.messages import Ack, Entry, Heartbeat, Hello, Tell, Welcome, decode_from_ejector, encode
from inspector.watchdog import Notifier

if TYPE_CHECKING:
    from tests.inspector.conftest import Make, Plant, Until

LONG_MS, SHORT_MS = 60_000.0, 30.0  # a window that a busy machine keeps, and one that is to close


def test_a_busy_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", 0))
        occupant.listen()
        endpoint = f"tcp://127.0.0.1:{occupant.getsockname()[1]}"
        journal = Journal(tmp_path / "journal")
        ejector = Ejector(endpoint, "line1", journal, SimulatedDriver(), SystemClock())
        with pytest.raises(LinkError, match=f"{endpoint}.*another ejector"):
            ejector.run()
        journal.close()


def test_malformed_and_forged_messages_are_counted_and_move_nothing(plant: Plant) -> None:
    ejector = plant.start_ejector()
    good = plant.make.entry(1)
    bad: list[list[bytes]] = [
        [b"not json"],
        [b""],
        [b"", b"", b"three frames"],
        [encode(Tell("anyone", good, 1))],  # no hello before it
        [encode(Hello(1, "line2", "boot1", 1))],
        [b'{"type":"hello","version":1,"line":"\xff","boot":"b","sent_ns":1}'],
        [b'{"a":' + b"[" * 100_000],
    ]
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(plant.endpoint)
        for frames in bad:
            dealer.send_multipart(frames)
        plant.until(lambda: ejector.counts["refused"] == len(bad), "all are refused")
        dealer.send(encode(Hello(1, "line1", "boot1", 1)))
        for forged in (
            Tell("anyone", good, 2**62),
            Tell("anyone", plant.make.entry(1, boot="boot0"), plant.clock.now_ns() + 10**9),
            Heartbeat("boot0", 1, 0.0, 10**6),
        ):
            dealer.send(encode(forged))
        plant.until(lambda: ejector.counts["refused"] == len(bad) + 3, "the forged ones too")
    assert plant.driver.counts == {}
    assert plant.journal is not None
    assert plant.journal.span() == (0, 0)
    assert plant.start_line().wait_ready(20)
    plant.judge(plant.part(1, LONG_MS))
    assert plant.settle(1).outcome is Outcome.GOOD


def test_a_message_over_the_limit_costs_its_sender_the_connection_and_nobody_else(running: Plant) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(running.endpoint)
        dealer.send(b"x" * 10_000_000)
        running.judge(running.part(1, LONG_MS))
        assert running.settle(1).outcome is Outcome.GOOD


def test_a_silent_line_makes_the_ejector_fail_safe_and_a_new_one_ends_that(running: Plant) -> None:
    assert not running.driver.is_safe
    running.stop_line()
    running.until(lambda: running.driver.is_safe, "fail-safe")
    assert running.start_line("boot2").wait_ready(20)
    assert not running.driver.is_safe


def test_a_stopped_ejector_drops_its_outputs(running: Plant) -> None:
    running.stop_ejector()
    assert running.driver.is_safe


def test_what_the_journal_refuses_is_neither_acknowledged_nor_let_pass(
    running: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Entry) -> None:
        raise JournalError("disk full")

    assert running.journal is not None
    monkeypatch.setattr(running.journal, "append", refuse)
    running.judge(running.part(1, SHORT_MS))
    running.until(lambda: bool(running.errors), "the ejector ends")
    running.until(lambda: running.last(1) is not None, "the part expires")
    record = running.records[0]
    assert (record.outcome, record.acknowledged) == (Outcome.ERROR, False)
    assert running.driver.counts == {}
    assert running.driver.is_safe


def test_an_ejector_that_tracks_by_time_lets_a_part_pass_when_it_is_at_the_gate(
    tmp_path: Path, endpoint: str, make: Make, until: Until
) -> None:
    section = {"endpoint": endpoint, "data_dir": tmp_path, "window_ms": 150, "gate_ms": 300, "gate_reach_ms": 100}
    camera = {"kind": "synthetic"}
    config = parse_config({"line": {"product": "ring"}, "camera": camera, "ejector": section}, "test")
    stopping, fates = threading.Event(), tmp_path / "fates.jsonl"
    thread = threading.Thread(target=run_ejector, args=(config, stopping, Notifier()))
    thread.start()
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(endpoint)
        dealer.send(encode(Hello(1, "line1", "boot1", 1)))
        welcome = decode_from_ejector(dealer.recv())
        assert isinstance(welcome, Welcome)
        now = SystemClock().now_ns()  # the same machine's
        dealer.send(encode(Tell(welcome.ejector, make.entry(1), now + 10**10, now)))
        dealer.send(encode(Tell(welcome.ejector, make.entry(2), now + 10**10, now - 10**10)))  # long through
        assert isinstance(first := decode_from_ejector(dealer.recv()), Ack)
        assert isinstance(second := decode_from_ejector(dealer.recv()), Ack)
        assert [first.entry.outcome, second.entry.reason] == [Outcome.GOOD, Reason.LATE]

        def is_through() -> bool:
            dealer.send(encode(Heartbeat("boot1", 1, 0.0, 0)))
            return b'"sequence":1,"passed":true' in fates.read_bytes()

        until(is_through, "the part is let through")
        assert SystemClock().now_ns() - now >= 200_000_000
    stopping.set()
    thread.join(10)
