"""RejectLink: the line's end of the link, on its own thread. It owns the socket and every open part's window.

Other threads hand over parts and verdicts through a bounded queue and wake the thread by a pipe; what `LineEnd` decides
is carried out here. A part whose window closes is told as ERROR whatever inference is doing.
"""

from __future__ import annotations

import math
import os
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec
import structlog
import zmq

from inspector.clock import Clock
from inspector.errors import LinkError
from inspector.inspection import Inspection, Outcome, Part, Reason, Record, Verdict
from inspector.messages import MAX_BYTES, Entry, decode_from_ejector, encode
from inspector.protocol import Expired, Fault, LineEffect, LineEnd, LinkState, Send, Settled, StateChanged

CAPACITY = 20_000  # parts and verdicts not yet taken over by the thread; it takes them within milliseconds
POLL_MS = 100

log = structlog.get_logger("link")


@dataclass(frozen=True, slots=True)
class _Judged:
    part: Part
    inspection: Inspection | None
    verdict: Verdict


@dataclass(slots=True)
class _Open:
    """A part until it is settled, and what is known of it so far."""

    part: Part
    judged: _Judged | None = None


class Socket(Protocol):
    """What a round needs of a ZeroMQ DEALER socket."""

    def recv(self, flags: int) -> bytes: ...

    def send(self, data: bytes, flags: int) -> object: ...


class RejectLink:
    """Sends every verdict, waits for every acknowledgement, and hands each settled part to the recorder."""

    def __init__(
        self,
        endpoint: str,
        boot: str,
        end: LineEnd,
        clock: Clock,
        record: Callable[[Record], None],
        settled: Callable[[], int],
        loop_age_ms: Callable[[], float],
        on_fault: Callable[[str], None],
        beat: Callable[[], None],
    ) -> None:
        """
        Args:
            record: takes each settled or expired part.
            settled: how far the history is durable; told to the ejector, which then forgets.
            loop_age_ms: since the inference loop last came round; told to the ejector.
            on_fault: the line must stop.
            beat: called at every round.
        """
        self._endpoint, self._boot, self._end, self._clock = endpoint, boot, end, clock
        self._record, self._settled, self._loop_age_ms = record, settled, loop_age_ms
        self._on_fault, self._beat = on_fault, beat
        self._commands: queue.Queue[Part | _Judged] = queue.Queue(CAPACITY)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._open: dict[int, _Open] = {}
        self._unjudged: dict[int, Record] = {}  # settled, while inference is still at it
        self._ready = threading.Event()
        self._idle = threading.Event()
        self._stopping = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)

    @property
    def upcoming(self) -> int:
        """No part of this sequence or above was ever numbered; final once ready."""
        return self._end.upcoming

    @property
    def settled(self) -> int:
        """The ejector deleted parts up to here as settled, or the history has them; final once ready."""
        return self._end.settled

    @property
    def state(self) -> LinkState:
        """How far the link has come."""
        return self._end.state

    def start(self) -> None:
        """Begin to connect and recover."""
        self._thread.start()

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until the ejector was found and every older part is settled."""
        return self._ready.wait(timeout_s)

    def open_part(self, part: Part) -> None:
        """A part was numbered: its window runs from now on."""
        self._command(part)

    def send(self, part: Part, inspection: Inspection | None, verdict: Verdict) -> None:
        """A part was judged."""
        self._command(_Judged(part, inspection, verdict))

    def drain(self, timeout_s: float) -> bool:
        """Wait until every part is settled; False when some are not."""
        self._idle.clear()
        self._wake()
        return self._idle.wait(timeout_s)

    def close(self, timeout_s: float = 2.0) -> None:
        """End the thread; nothing else may be called then. What is unsettled is settled at the next start."""
        self._stopping.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if not self._thread.is_alive() and not self._is_closed:
            self._is_closed = True
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _command(self, command: Part | _Judged) -> None:
        try:
            self._commands.put_nowait(command)
        except queue.Full:
            self._on_fault(f"the link has {CAPACITY} parts waiting; its thread is stuck, restart the line")
            return
        self._wake()

    def _wake(self) -> None:
        if self._is_closed:
            return
        try:
            os.write(self._wake_write, b"\0")
        except BlockingIOError:
            pass  # the pipe is full of wake-ups already

    def _run(self) -> None:
        try:
            self._serve()
        except LinkError as error:
            self._fault(Fault(str(error)))

    def _serve(self) -> None:
        with zmq.Context() as context, _connect(context, self._endpoint) as socket:
            poller = zmq.Poller()
            poller.register(socket, zmq.POLLIN)
            poller.register(self._wake_read, zmq.POLLIN)
            while not self._stopping.is_set():
                self._beat()
                now = self._clock.now_ns()
                ready = dict(poller.poll(min(POLL_MS, math.ceil((self._end.next_ns(now) - now) / 1e6))))
                if self._wake_read in ready:
                    os.read(self._wake_read, 65536)
                self.turn(socket, socket in ready)
                if not self._open and not self._unjudged and self._commands.empty():
                    self._idle.set()

    def turn(self, socket: Socket, is_readable: bool) -> None:
        """One round, without waiting."""
        self._take_commands(socket)
        if is_readable:
            self._receive(socket)
        tick = self._end.tick(self._clock.now_ns(), self._loop_age_ms(), self._settled())
        self._carry_out(tick, socket)

    def _take_commands(self, socket: Socket) -> None:
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            if isinstance(command, Part):
                self._open[command.sequence] = _Open(command)
                blank, seen_ns = _blank(command, self._boot), command.capture.captured_ns
                effects: Sequence[LineEffect] = self._end.open_part(blank, command.deadline_ns, seen_ns)
            else:
                effects = self._judged(command)
            self._carry_out(effects, socket)

    def _judged(self, judged: _Judged) -> Sequence[LineEffect]:
        late = self._unjudged.pop(judged.part.sequence, None)
        if late is not None:
            # Settled as ERROR before inference came back: nothing changes, but the score is worth keeping.
            self._record(replace(late, inspection=judged.inspection, verdict=judged.verdict))
            return []
        known = self._open[judged.part.sequence]
        known.judged = judged
        return self._end.judged(_entry(judged, self._boot), self._clock.now_ns())

    def _receive(self, socket: Socket) -> None:
        while True:
            try:
                data = socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                message = decode_from_ejector(data)
            except LinkError as error:
                log.warning("refused", why=str(error))
                continue
            self._carry_out(self._end.received(message, self._clock.now_ns()), socket)

    def _carry_out(self, effects: Sequence[LineEffect], socket: Socket) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._put(socket, encode(effect.message))
            elif isinstance(effect, Settled):
                self._settle(effect.entry)
            elif isinstance(effect, Expired):
                self._record(_settled(effect.entry, self._open.get(effect.entry.sequence), None))
            elif isinstance(effect, StateChanged):
                log.info("link", state=effect.state.value, detail=effect.detail)
                if effect.state is LinkState.READY:
                    self._ready.set()
            else:
                self._fault(effect)

    def _fault(self, fault: Fault) -> None:
        log.error("link fault", detail=fault.detail)
        self._on_fault(fault.detail)

    def _put(self, socket: Socket, data: bytes) -> None:
        try:
            socket.send(data, zmq.NOBLOCK)
        except zmq.Again:
            pass  # no connection, or its buffer is full: whatever matters is sent again until it is answered

    def _settle(self, entry: Entry) -> None:
        known = self._open.pop(entry.sequence, None)
        record = _settled(entry, known, self._clock.now_ns())
        self._record(record)
        if known is not None and known.judged is None:
            self._unjudged[entry.sequence] = record


def _settled(entry: Entry, known: _Open | None, acknowledged_ns: int | None) -> Record:
    """What the history keeps of an entry: the journal's word, and what this run knows of the part."""
    judged = known.judged if known else None
    return Record(
        sequence=entry.sequence,
        boot=entry.boot,
        outcome=entry.outcome,
        reason=entry.reason,
        captured_us=entry.captured_us,
        part_ref=entry.part_ref,
        part=known.part if known else None,
        inspection=judged.inspection if judged else None,
        verdict=judged.verdict if judged else None,
        score=entry.score,
        acknowledged=acknowledged_ns is not None,
        acknowledged_ns=acknowledged_ns,
    )


def _blank(part: Part, boot: str) -> Entry:
    """The entry of a part that was not judged in its window."""
    capture = part.capture
    return Entry(
        sequence=part.sequence,
        boot=boot,
        outcome=Outcome.ERROR,
        reason=Reason.LATE,
        captured_us=capture.captured_us,
        part_ref=part.part_ref,
    )


def _entry(judged: _Judged, boot: str) -> Entry:
    """The entry of a judged part."""
    verdict, score = judged.verdict, judged.inspection.score if judged.inspection else None
    value = score.value if score and math.isfinite(score.value) else None  # JSON has no NaN
    blank = _blank(judged.part, boot)
    return msgspec.structs.replace(blank, outcome=verdict.outcome, reason=verdict.reason, score=value)


def _connect(context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_BYTES)
    socket.setsockopt(zmq.RECONNECT_IVL, 20)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
    # Nothing is queued for an ejector that is not there: its parts would be told late, all at once.
    socket.setsockopt(zmq.IMMEDIATE, 1)
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        socket.close()
        raise LinkError(f"cannot use endpoint {endpoint}: {error}; correct [ejector] endpoint") from error
    return socket
