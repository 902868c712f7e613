"""Planted bugs: what the shipping code would be without one of its rules. The observer must notice each."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from inspector.clock import Clock
from inspector.drivers import Driver
from inspector.ejector import Ejector, Socket
from inspector.gate import Gate
from inspector.inspection import Inspection, Outcome, Part, Reason, Verdict
from inspector.journal import Journal
from inspector.messages import Entry, FromLine, Tell
from inspector.protocol import EjectorEffect, EjectorEnd, LineEffect, LineEnd, Reply, Write
from inspector.reject import RejectLink
from inspector.simulation.plant import Parts
from inspector.tracking import Move, Tracker

FAR_NS = 3_000_000_000_000


class _Forgetful:
    """A journal that never finds an entry again."""

    def __init__(self, journal: Journal) -> None:
        self.after, self.span = journal.after, journal.span

    def find(self, sequence: int) -> Entry | None:
        return None


class _NeverFinds(Ejector):
    """Each verdict is the first for its part."""

    def __init__(
        self, endpoint: str, line: str, journal: Journal, driver: Driver, clock: Clock, gate: Gate | None = None
    ) -> None:
        super().__init__(endpoint, line, journal, driver, clock, gate)
        self._end._book = _Forgetful(journal)


class _AnyTimeEnd(EjectorEnd):
    """Any GOOD is in time."""

    def received(self, message: FromLine, now: int) -> list[EjectorEffect]:
        if isinstance(message, Tell):
            message = msgspec.structs.replace(message, deadline_ns=now)
        return super().received(message, now)


class _AnyTime(Ejector):
    def __init__(
        self, endpoint: str, line: str, journal: Journal, driver: Driver, clock: Clock, gate: Gate | None = None
    ) -> None:
        super().__init__(endpoint, line, journal, driver, clock, gate)
        self._end.__class__ = _AnyTimeEnd


class _EndlessWindows(LineEnd):
    """No window closes."""

    def open_part(self, blank: Entry, deadline_ns: int, seen_ns: int | None = None) -> list[LineEffect]:
        return super().open_part(blank, deadline_ns + FAR_NS, seen_ns)


class _AckFirst(Ejector):
    def _carry_out(self, effects: Sequence[EjectorEffect], socket: Socket, peer: bytes) -> None:
        if any(isinstance(effect, Write) for effect in effects):
            effects = sorted(effects, key=lambda effect: not isinstance(effect, Reply))
        super()._carry_out(effects, socket, peer)


class _ShiftedTracker(Tracker):
    """Each verdict moves the gate for the part after it."""

    _last: tuple[int, Outcome] | None = None

    def told(self, sequence: int, outcome: Outcome, at: int | None) -> list[Move]:
        last, self._last = self._last, (sequence, outcome)
        return [] if last is None else super().told(*last, at)


class _DropsErrors(RejectLink):
    """An ERROR is not worth a message."""

    def send(self, part: Part, inspection: Inspection | None, verdict: Verdict) -> None:
        if verdict.outcome is not Outcome.ERROR:
            super().send(part, inspection, verdict)


class _DropsLates(LineEnd):
    """Neither is a window that closes."""

    def _close(self, part, reason: Reason, now: int) -> list[LineEffect]:  # type: ignore[no-untyped-def]
        part.closed = part.expired = True
        return []


class _NoDedupe(Parts):
    ejector = _NeverFinds


class _NoDeadline(Parts):
    ejector = _AnyTime
    line_end = _EndlessWindows


class _AckBeforeWrite(Parts):
    ejector = _AckFirst


class _ShiftByOne(Parts):
    tracker = _ShiftedTracker


class _DropError(Parts):
    link = _DropsErrors
    line_end = _DropsLates


BREAKS: dict[str, type[Parts]] = {
    "no_dedupe": _NoDedupe,
    "no_deadline": _NoDeadline,
    "ack_before_write": _AckBeforeWrite,
    "shift_by_one": _ShiftByOne,
    "drop_error": _DropError,
}
