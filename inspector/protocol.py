"""Both ends of the reject link as state machines without I/O: (event, now) -> effects. Time comes with the event.

    line's end       CONNECTING --Welcome--> RECOVERING --all older parts settled--> READY
                          ^                       |                                    |
                          +------- silence -------+---------- silence -----------------+
                     READY is reached through CONNECTING again after a silence; nothing is fetched twice.

    a part           OPEN --judged--> TOLD --Ack--> settled (as the journal says)
                      |                 |
                      +---- window closes: ERROR is told instead; without an ack for GRACE the part is expired
                                        (recorded as ERROR, unacknowledged) and told until the ejector answers

    ejector's end    SILENT (fail-safe) --Hello--> SERVING --no message for SILENCE--> SILENT

Whatever the line believes, the journal decides: the first verdict written for a sequence is the verdict, and every
later one for it is answered with that entry. A GOOD that arrives after its deadline is written as ERROR `late`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

import msgspec

from inspector.inspection import Outcome, Reason
from inspector.messages import (
    PAGE,
    VERSION,
    Ack,
    Entries,
    Entry,
    Fetch,
    FromEjector,
    FromLine,
    Heartbeat,
    Hello,
    Pulse,
    Refusal,
    Tell,
    Welcome,
)

MS = 1_000_000  # ns

HEARTBEAT_NS = 100 * MS
SILENCE_NS = 500 * MS  # five heartbeats: one late thread is no dead line
HELLO_NS = 100 * MS
FETCH_NS = 200 * MS  # an answer takes milliseconds; a connection that broke in between lost question or answer
RESEND_NS = 50 * MS  # within the window; loopback answers in 1 ms, a plant network in 10
RESEND_CLOSED_NS = 500 * MS  # after it, there is no hurry
GRACE_NS = 300 * MS  # after the window: how long an acknowledgement may still come before the part counts as expired
MAX_PENDING = 5_000  # parts without an acknowledgement; more than this and the line must stop
DRIFT = 10_000  # two clocks drift apart by at most 1 in 10,000: quartz is ten times better
PLACE_NS = 10 * MS  # how well the ejector's clock must be known to say where a part is: 10 mm at 1 m/s
MAX_WINDOW_NS = 3_600_000 * MS  # a deadline further ahead than an hour is a forged or broken clock


# -- line's end ----------------------------------------------------------------------------------------------------


class LinkState(str, Enum):
    """How far the line's end has come."""

    CONNECTING = "connecting"
    RECOVERING = "recovering"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Send:
    """Put this on the wire to the ejector."""

    message: FromLine


@dataclass(frozen=True, slots=True)
class Settled:
    """The ejector has this entry in its journal: it is the part's final verdict."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Expired:
    """The window is long closed and no acknowledgement came: keep it as ERROR, a later `Settled` corrects it."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The line's end reached another state; `detail` is for the log."""

    state: LinkState
    detail: str


@dataclass(frozen=True, slots=True)
class Fault:
    """The line can't go on: stop it."""

    detail: str


LineEffect = Send | Settled | Expired | StateChanged | Fault


@dataclass(slots=True)
class _Pending:
    """A part that is not settled. `entry` is None until it is judged or its window closes."""

    deadline_ns: int
    blank: Entry
    entry: Entry | None = None
    seen_ns: int | None = None
    told: bool = False
    closed: bool = False
    expired: bool = False
    resend_ns: int = 0


class LineEnd:
    """The line's end. Every method returns effects to be carried out in order."""

    def __init__(self, line: str, boot: str, settled: int, upcoming: int, expired: Mapping[int, Entry]) -> None:
        """
        Args:
            settled: all parts up to this sequence are in the history and acknowledged.
            upcoming: no part of this sequence or above was ever numbered; the journal may know better.
            expired: parts above `settled` that an earlier run kept as ERROR without an acknowledgement.
        """
        self.state = LinkState.CONNECTING
        self.upcoming = upcoming
        self._line, self._boot = line, boot
        self.settled = settled
        self._expired = expired
        self._pending: dict[int, _Pending] = {}
        self._recovered = False
        self._fetched_to = settled
        self._ejector = ""
        self._offset_ns: int | None = None  # ejector's clock minus ours, at least
        self._doubt_ns = 0  # by how much it may be more
        self._heard_ns: int | None = None
        self._measured_ns = self._hello_ns = self._heartbeat_ns = self._fetch_ns = 0

    @property
    def pending(self) -> int:
        """Parts that are not settled."""
        return len(self._pending)

    def open_part(self, blank: Entry, deadline_ns: int, seen_ns: int | None = None) -> list[LineEffect]:
        """A part was numbered; its window runs. `blank`: its entry as it would stand without a judgement."""
        self._pending[blank.sequence] = _Pending(deadline_ns, blank, seen_ns=seen_ns)
        if len(self._pending) > MAX_PENDING:
            return [Fault(f"{len(self._pending)} parts without acknowledgement; restore the link to the ejector")]
        return []

    def judged(self, entry: Entry, now: int) -> list[LineEffect]:
        """A verdict for an open part; one that comes after the window changes nothing."""
        part = self._pending.get(entry.sequence)
        if part is None or part.entry is not None:
            return []
        part.entry = entry
        return self._tell(part, now) if now < part.deadline_ns else self._close(part, Reason.LATE, now)

    def received(self, message: FromEjector, now: int) -> list[LineEffect]:
        """A message came from the ejector."""
        self._heard_ns = now
        if isinstance(message, Welcome):
            return self._welcomed(message, now)
        if isinstance(message, Entries):
            return self._take_entries(message, now)
        if isinstance(message, Ack):
            return self._acknowledged(message.entry)
        if isinstance(message, Pulse):
            return self._pulse(message, now)
        return [Fault(f"the ejector refuses this line: {message.why}")]

    def tick(self, now: int, loop_age_ms: float, settled: int) -> list[LineEffect]:
        """Time passed: heartbeats, resends, closing windows, silence."""
        effects: list[LineEffect] = []
        if self.state is not LinkState.CONNECTING and now - (self._heard_ns or 0) > SILENCE_NS:
            effects.append(self._change(LinkState.CONNECTING, "no word from the ejector"))
        if self.state is LinkState.CONNECTING and now >= self._hello_ns:
            self._hello_ns = now + HELLO_NS
            effects.append(Send(Hello(VERSION, self._line, self._boot, now)))
        if self.state is not LinkState.CONNECTING and now >= self._heartbeat_ns:
            self._heartbeat_ns = now + HEARTBEAT_NS
            effects.append(Send(Heartbeat(self._boot, now, loop_age_ms, settled)))
        if self.state is LinkState.RECOVERING and not self._recovered and now >= self._fetch_ns:
            effects.append(self._fetch(now))
        for part in list(self._pending.values()):
            effects += self._tick_part(part, now)
        return effects

    def next_ns(self, now: int) -> int:
        """When `tick` has something to do next, if nothing else happens; never further than a heartbeat ahead."""
        connecting = self.state is LinkState.CONNECTING
        moments = [self._hello_ns if connecting else self._heartbeat_ns, now + HEARTBEAT_NS]
        for part in self._pending.values():
            if not part.closed:
                moments.append(part.deadline_ns)
            if part.told and not connecting:
                moments.append(part.resend_ns)
        return max(now, min(moments))

    # -- parts

    def _tick_part(self, part: _Pending, now: int) -> list[LineEffect]:
        if not part.closed and now >= part.deadline_ns:
            return self._close(part, self._why_late(part), now)
        effects: list[LineEffect] = []
        if part.closed and not part.expired and now >= part.deadline_ns + GRACE_NS:
            part.expired = True
            effects.append(Expired(part.entry or part.blank))
        if part.entry is not None and now >= part.resend_ns:
            effects += self._tell(part, now)
        return effects

    def _why_late(self, part: _Pending) -> Reason:
        if part.entry is None:
            return Reason.LATE
        return Reason.UNACKNOWLEDGED if part.told else Reason.LINK_DOWN

    def _close(self, part: _Pending, reason: Reason, now: int) -> list[LineEffect]:
        """The window closed without an acknowledged verdict: from here on the line says ERROR."""
        part.closed = True
        judged = part.entry or part.blank
        if judged.outcome is not Outcome.ERROR or part.entry is None:
            part.entry = msgspec.structs.replace(judged, outcome=Outcome.ERROR, reason=reason)
        return self._tell(part, now)

    def _tell(self, part: _Pending, now: int) -> list[LineEffect]:
        if self._offset_ns is None or self.state is LinkState.CONNECTING or part.entry is None:
            return []
        part.told = True
        part.resend_ns = now + (RESEND_CLOSED_NS if part.closed else RESEND_NS)
        is_placed = part.seen_ns is not None and self._doubt_ns <= PLACE_NS
        seen_ns = (part.seen_ns or 0) + self._offset_ns if is_placed else None
        return [Send(Tell(self._ejector, part.entry, part.deadline_ns + self._offset_ns, seen_ns))]

    def _acknowledged(self, entry: Entry) -> list[LineEffect]:
        part = self._pending.pop(entry.sequence, None)
        if part is None:
            return []  # the answer to a resend; the first one settled it
        if entry.boot != self._boot:
            return [Fault(f"the journal has part {entry.sequence} from another run ({entry.boot}): numbers repeat")]
        effects: list[LineEffect] = [Settled(entry)]
        if self.state is LinkState.RECOVERING:
            effects += self._maybe_ready()
        return effects

    # -- connection and recovery

    def _welcomed(self, message: Welcome, now: int) -> list[LineEffect]:
        if self.state is not LinkState.CONNECTING:
            return []
        self._ejector = message.ejector
        self._measure_offset(message.echo_ns, message.now_ns, now)
        self._heartbeat_ns = now
        if self._recovered:
            effects: list[LineEffect] = [self._change(LinkState.READY, f"ejector {message.ejector[:8]}")]
            for part in self._pending.values():
                effects += self._tell(part, now)
            return effects
        self.upcoming = max(self.upcoming, message.last + 1)
        # Older entries were pruned because this line had confirmed them: its history was replaced since.
        self.settled = max(self.settled, message.forgotten)
        self._fetched_to = self.settled
        changed = self._change(LinkState.RECOVERING, f"fetching after {self.settled} of {message.last}")
        return [changed, self._fetch(now)]

    def _fetch(self, now: int) -> Send:
        self._fetch_ns = now + FETCH_NS
        return Send(Fetch(self._fetched_to))

    def _take_entries(self, message: Entries, now: int) -> list[LineEffect]:
        if self.state is not LinkState.RECOVERING or self._recovered or message.after != self._fetched_to:
            return []  # the answer to a fetch that was repeated after a silence
        effects: list[LineEffect] = []
        for entry in message.entries:
            effects += self._unrecorded(self._fetched_to + 1, entry.sequence, now)
            effects.append(Settled(entry))
            self._fetched_to = entry.sequence
        if message.more:
            return [*effects, self._fetch(now)]
        effects += self._unrecorded(self._fetched_to + 1, self.upcoming, now)
        self._recovered = True
        return effects + self._maybe_ready()

    def _unrecorded(self, first: int, end: int, now: int) -> list[LineEffect]:
        """Numbers that were given out and left no trace: told as ERROR, so that journal and history have them too."""
        effects: list[LineEffect] = []
        for sequence in range(first, end):
            lost = Entry(sequence=sequence, boot=self._boot, outcome=Outcome.ERROR, reason=Reason.UNRECORDED)
            entry = msgspec.structs.replace(self._expired.get(sequence, lost), boot=self._boot)
            part = _Pending(now, entry, entry, closed=True, expired=True)
            self._pending[sequence] = part
            effects += self._tell(part, now)
        return effects

    def _maybe_ready(self) -> list[LineEffect]:
        if self._pending or not self._recovered:
            return []
        return [self._change(LinkState.READY, f"ejector {self._ejector[:8]}")]

    def _pulse(self, message: Pulse, now: int) -> list[LineEffect]:
        if self.state is LinkState.CONNECTING:
            return []  # of an earlier connection: not the clock that the next Welcome tells
        if message.ejector != self._ejector:
            # Another run of the ejector answers: its clock and its memory are new.
            self._hello_ns = now
            return [self._change(LinkState.CONNECTING, "the ejector restarted")]
        self._measure_offset(message.echo_ns, message.now_ns, now)
        return []

    def _measure_offset(self, echo_ns: int, their_ns: int, now: int) -> None:
        """Cristian's algorithm, lower limit: the ejector read its clock at some time between `echo_ns` and `now`.

        Taking `now` makes converted deadlines early by at most one trip, never late. That does for a deadline, not
        for a place: a link that was slow when it was measured would point at another part.
        """
        if echo_ns > now:
            return
        lower, upper = their_ns - now, their_ns - echo_ns
        if self._offset_ns is not None:
            # The tightest limits so far still hold, less what two clocks may drift apart since.
            drift = (now - self._measured_ns) // DRIFT
            lower = max(lower, self._offset_ns - drift)
            upper = min(upper, self._offset_ns + self._doubt_ns + drift)
        self._offset_ns, self._doubt_ns, self._measured_ns = lower, upper - lower, now

    def _change(self, state: LinkState, detail: str) -> StateChanged:
        self.state = state
        if state is LinkState.CONNECTING:
            self._offset_ns = None
        return StateChanged(state, detail)


# -- ejector's end -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Write:
    """Append to the journal before anything that follows in the list."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Actuate:
    """Pass (GOOD) or eject the part at its window."""

    entry: Entry
    deadline_ns: int
    seen_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """Send this back to whoever the event came from."""

    message: FromEjector


@dataclass(frozen=True, slots=True)
class Prune:
    """The line has everything up to this sequence in its own history."""

    settled: int


@dataclass(frozen=True, slots=True)
class FailSafe:
    """No line (True): every part is ejected; or a line is there again (False)."""

    active: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A message was not acted on; counted and logged."""

    why: str


EjectorEffect = Write | Actuate | Reply | Prune | FailSafe | Refused


class Entrybook(Protocol):
    """What the ejector's end needs to know of its journal."""

    def find(self, sequence: int) -> Entry | None:
        """The entry of that sequence, if it is held."""

    def after(self, sequence: int, limit: int) -> list[Entry]:
        """Up to `limit` entries above `sequence`, ascending."""

    def span(self) -> tuple[int, int]:
        """Up to where entries may be deleted, and the largest sequence held; 0 for none."""


@dataclass(frozen=True, slots=True)
class _Session:
    boot: str
    heard_ns: int


class EjectorEnd:
    """The ejector's end. Every method returns effects to be carried out in order."""

    def __init__(
        self, ejector: str, line: str, book: Entrybook, can_pass: Callable[[int | None], bool] = lambda seen_ns: True
    ) -> None:
        """`can_pass`: has the part that the line saw then (ejector's clock) not yet come to the gate?"""
        self._ejector, self._line, self._book = ejector, line, book
        self._can_pass = can_pass
        self._session: _Session | None = None
        self._safe = True

    @property
    def is_serving(self) -> bool:
        """A line is there; otherwise everything is ejected."""
        return not self._safe

    def received(self, message: FromLine, now: int) -> list[EjectorEffect]:
        """A message came from a line."""
        if isinstance(message, Hello):
            return self._hello(message, now)
        if self._session is None:
            return [Refused(f"{type(message).__name__} before Hello")]
        if isinstance(message, Heartbeat):
            return self._heartbeat(message, now)
        if isinstance(message, Fetch):
            return self._fetch(message)
        return self._verdict(message, now)

    def tick(self, now: int) -> list[EjectorEffect]:
        """Time passed: a silent line means fail-safe."""
        if self._session is None or self._safe or now - self._session.heard_ns <= SILENCE_NS:
            return []
        self._safe = True
        return [FailSafe(True, f"no word from the line for {SILENCE_NS // MS} ms")]

    def _hello(self, message: Hello, now: int) -> list[EjectorEffect]:
        if message.version != VERSION:
            return self._refuse(f"protocol version {message.version}, this ejector speaks {VERSION}")
        if message.line != self._line:
            return self._refuse(f"line {message.line!r}, this ejector's journal belongs to {self._line!r}")
        self._session = _Session(message.boot, now)
        forgotten, last = self._book.span()
        return [*self._alive(), Reply(Welcome(self._ejector, message.sent_ns, now, forgotten, last))]

    def _heartbeat(self, message: Heartbeat, now: int) -> list[EjectorEffect]:
        if self._session is None or message.boot != self._session.boot:
            return [Refused("heartbeat of another run")]
        self._session = replace(self._session, heard_ns=now)
        return [*self._alive(), Reply(Pulse(self._ejector, message.sent_ns, now)), Prune(message.settled)]

    def _fetch(self, message: Fetch) -> list[EjectorEffect]:
        found = self._book.after(message.after, PAGE + 1)
        return [Reply(Entries(message.after, found[:PAGE], len(found) > PAGE))]

    def _verdict(self, message: Tell, now: int) -> list[EjectorEffect]:
        entry = message.entry
        known = self._book.find(entry.sequence)
        if known is not None:
            return [Reply(Ack(known))]
        if self._session is None or entry.boot != self._session.boot:
            return [Refused(f"verdict {entry.sequence} of another run")]
        if message.ejector != self._ejector:
            return [Refused(f"verdict {entry.sequence} for another run of the ejector: its clock may be another")]
        self._session = replace(self._session, heard_ns=now)
        if entry.sequence <= self._book.span()[0]:
            return [Refused(f"verdict {entry.sequence} was settled and deleted: replayed")]
        if message.deadline_ns > now + MAX_WINDOW_NS:
            return [Refused(f"verdict {entry.sequence} has a deadline {(message.deadline_ns - now) // MS} ms ahead")]
        is_late = now > message.deadline_ns or (entry.outcome is Outcome.GOOD and not self._can_pass(message.seen_ns))
        if is_late and entry.outcome is not Outcome.ERROR:
            entry = msgspec.structs.replace(entry, outcome=Outcome.ERROR, reason=Reason.LATE)
        return [*self._alive(), Write(entry), Actuate(entry, message.deadline_ns, message.seen_ns), Reply(Ack(entry))]

    def _alive(self) -> list[EjectorEffect]:
        if not self._safe:
            return []
        self._safe = False
        return [FailSafe(False, "the line is there")]

    def _refuse(self, why: str) -> list[EjectorEffect]:
        return [Refused(why), Reply(Refusal(why))]
