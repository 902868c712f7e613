"""The ejector: receives verdicts, writes them to its journal, then acknowledges and actuates. Its own process."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog
import zmq

from inspector.clock import Clock
from inspector.drivers import Driver
from inspector.errors import LinkError
from inspector.gate import Gate
from inspector.inspection import Outcome
from inspector.journal import Journal
from inspector.messages import MAX_BYTES, decode_from_line, encode
from inspector.protocol import (
    Actuate,
    EjectorEffect,
    EjectorEnd,
    FailSafe,
    Prune,
    Refused,
    Reply,
    Write,
)

POLL_MS = 50  # how often silence is looked for; a tenth of the silence itself
TRACK_MS = 2  # how often the belt is looked at; 1 mm at 0.5 m/s

log = structlog.get_logger("ejector")


class Socket(Protocol):
    """What a round needs of a ZeroMQ ROUTER socket."""

    def recv_multipart(self) -> list[bytes]: ...

    def send_multipart(self, msg_parts: Sequence[bytes]) -> object: ...


class Ejector:
    """Carries out what `EjectorEnd` decides, over a ROUTER socket. Run by one thread."""

    def __init__(
        self, endpoint: str, line: str, journal: Journal, driver: Driver, clock: Clock, gate: Gate | None = None
    ) -> None:
        """`gate`: tracks parts to the gate; None: the driver, or what is behind it, does."""
        self.counts: Counter[str] = Counter()
        self._endpoint = endpoint
        self._journal, self._driver, self._clock = journal, driver, clock
        self._gate = gate
        self._end = EjectorEnd(uuid.uuid4().hex, line, journal, *([gate.can_pass] if gate else []))
        self._stopping = threading.Event()

    def run(self, beat: Callable[[], None] = lambda: None, on_listening: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`; `beat` is called at least every `POLL_MS`, `on_listening` once.

        Raises:
            LinkError: the endpoint can't be bound.
            JournalError: the journal can't be written; nothing was acknowledged that is not in it.
        """
        with zmq.Context() as context, _bind(context, self._endpoint) as socket:
            on_listening()
            log.info("listening", endpoint=self._endpoint, journal=self._journal.span())
            try:
                while not self._stopping.is_set():
                    beat()
                    self.turn(socket, bool(socket.poll(POLL_MS if self._gate is None else TRACK_MS)))
            finally:
                self._driver.close()

    def stop(self) -> None:
        """Leave `run` within `POLL_MS`. Any thread, signal handlers too."""
        self._stopping.set()

    def turn(self, socket: Socket, is_readable: bool) -> None:
        """One round, without waiting."""
        if self._gate is not None:
            self._gate.turn(self._clock.now_ns(), self._end.is_serving)
        if is_readable:
            self._receive(socket)
        self._carry_out(self._end.tick(self._clock.now_ns()), socket, b"")

    def _receive(self, socket: Socket) -> None:
        frames = socket.recv_multipart()
        try:
            if len(frames) != 2:
                raise LinkError(f"refused a message of {len(frames)} frames, expected 2")
            effects = self._end.received(decode_from_line(frames[1]), self._clock.now_ns())
        except LinkError as error:
            effects = [Refused(str(error))]
        self._carry_out(effects, socket, frames[0])

    def _carry_out(self, effects: Sequence[EjectorEffect], socket: Socket, peer: bytes) -> None:
        """In order: `Write` precedes `Reply`, so that nothing is acknowledged that a kill could lose."""
        for effect in effects:
            if isinstance(effect, Write):
                self._journal.append(effect.entry)
            elif isinstance(effect, Reply):
                socket.send_multipart([peer, encode(effect.message)])
            elif isinstance(effect, Actuate):
                self._actuate(effect)
            elif isinstance(effect, Prune):
                self._journal.prune(effect.settled)
            elif isinstance(effect, FailSafe):
                log.warning("fail-safe" if effect.active else "serving", detail=effect.detail)
                self._driver.fail_safe(effect.active)
            else:
                self.counts["refused"] += 1
                log.warning("refused", why=effect.why)

    def _actuate(self, effect: Actuate) -> None:
        self.counts[effect.entry.outcome.value] += 1
        if self._gate is not None:
            self._gate.told(effect.entry, effect.seen_ns)
        elif effect.entry.outcome is Outcome.GOOD:
            self._driver.let_pass(effect.entry)
        else:
            self._driver.eject(effect.entry)


def _bind(context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.ROUTER)
    socket.linger = 0
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_BYTES)
    socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        socket.close()
        raise LinkError(
            f"cannot listen on {endpoint}: {error}; is another ejector running, or the address wrong?"
        ) from error
    return socket
