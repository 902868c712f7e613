"""Line's end and ejector's end together, over a transport that loses and repeats, with kills of either at any time.

What survives a kill: the ejector's book, the line's committed records, the counter of part numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from inspector import protocol
from inspector.inspection import Outcome, Reason
from inspector.messages import Entry, FromEjector, FromLine, decode_from_ejector, decode_from_line, encode
from inspector.protocol import (
    MS,
    SILENCE_NS,
    Actuate,
    EjectorEffect,
    EjectorEnd,
    Expired,
    Fault,
    LineEffect,
    LineEnd,
    LinkState,
    Prune,
    Reply,
    Send,
    Settled,
    Write,
)

PATIENCE = 1_000  # rounds of 10 ms until everything must be settled once nothing is lost any more


@dataclass
class Book:
    """The ejector's journal: survives kills; remembers for the test what it deleted."""

    held: dict[int, Entry] = field(default_factory=dict)
    forgotten: int = 0
    ever: dict[int, Entry] = field(default_factory=dict)

    def find(self, sequence: int) -> Entry | None:
        return self.held.get(sequence)

    def after(self, sequence: int, limit: int) -> list[Entry]:
        return [self.held[number] for number in sorted(self.held) if number > sequence][:limit]

    def span(self) -> tuple[int, int]:
        return self.forgotten, max(self.held, default=0)

    def write(self, entry: Entry) -> None:
        assert entry.sequence not in self.ever, "a second verdict for one part"
        self.held[entry.sequence] = self.ever[entry.sequence] = entry

    def prune(self, settled: int) -> None:
        for number in sorted(self.held)[:-1]:  # the newest file always stays
            if number <= settled:
                del self.held[number]
                self.forgotten = max(self.forgotten, number)


@dataclass
class History:
    """The line's committed records: survive kills. What is `waiting` does not."""

    rows: dict[int, tuple[Entry, bool]] = field(default_factory=dict)
    waiting: list[tuple[Entry, bool]] = field(default_factory=list)

    def commit(self) -> None:
        for entry, acknowledged in self.waiting:
            known, was_acknowledged = self.rows.get(entry.sequence, (entry, False))
            assert acknowledged or not was_acknowledged, "an acknowledged part is kept as unacknowledged"
            assert not was_acknowledged or known == entry, "a settled part changes"
            self.rows[entry.sequence] = (entry, acknowledged)
        self.waiting.clear()

    def settled(self) -> int:
        number = 0
        while self.rows.get(number + 1, (None, False))[1]:
            number += 1
        return number

    def expired(self) -> dict[int, Entry]:
        return {
            number: msgspec.structs.replace(entry, boot="")
            for number, (entry, acknowledged) in self.rows.items()
            if not acknowledged
        }


@dataclass
class Part:
    deadline: int  # true time
    judged: Outcome | None = None


KILLS = ("line", "line's machine", "ejector", "ejector's machine")
JUMPS_MS = (-1_000_000, -1_000, -100, 100, 1_000_000)
Coming = tuple[int, Outcome | None]  # window in ms, and what the part is judged at once; None: later, or never
BATCHES = st.lists(
    st.tuples(st.sampled_from([5, 40, 150, 700]), st.sampled_from([Outcome.GOOD, *Outcome, None])),
    min_size=1,
    max_size=3,
)
FATES = ("one arrives", "all arrive", "one is lost", "all are lost", "one is repeated later")


def spoil(queue: deque[bytes], fate: str) -> None:
    if fate == "one is lost":
        queue.popleft()
    elif fate == "all are lost":
        queue.clear()
    else:
        queue.append(queue[0])


class LineAndEjector(RuleBasedStateMachine):
    """Rules are what may happen; the assertions beside them and the teardown are the promises."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 10_000 * MS  # true time; each end has a clock of its own
        self.line_ahead, self.ejector_ahead = 10**9 * MS, 10**10 * MS
        self.book, self.history = Book(), History()
        self.counter = 1
        self.parts: dict[int, Part] = {}
        self.runs = 0
        self.to_ejector: dict[int, deque[bytes]] = {}  # per connection, which is one run of the line
        self.to_line: deque[bytes] = deque()
        self.start_ejector()
        self.start_line()

    # -- starting and what ends want done

    def start_line(self) -> None:
        self.runs += 1
        self.boot = f"boot{self.runs}"
        self.history.waiting.clear()
        self.to_line.clear()
        self.to_ejector[self.runs] = deque()
        self.line = LineEnd("line1", self.boot, self.history.settled(), self.counter, self.history.expired())
        self.is_open = False  # may parts be numbered: from the first READY on

    def start_ejector(self) -> None:
        self.starts = getattr(self, "starts", 0) + 1
        for queue in self.to_ejector.values():
            queue.clear()
        self.ejector = EjectorEnd(f"ejector{self.starts}", "line1", self.book)

    @property
    def line_now(self) -> int:
        return self.now + self.line_ahead

    @property
    def ejector_now(self) -> int:
        return self.now + self.ejector_ahead

    def do_for_line(self, effects: Sequence[LineEffect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self.to_ejector[self.runs].append(encode(effect.message))
            elif isinstance(effect, Settled):
                assert effect.entry == self.book.ever[effect.entry.sequence]
                self.history.waiting.append((effect.entry, True))
            elif isinstance(effect, Expired):
                assert effect.entry.outcome is Outcome.ERROR
                self.history.waiting.append((effect.entry, False))
            elif isinstance(effect, Fault):
                # Only leftovers of a killed run can do this; the line stops, and its next start fetches them.
                assert "numbers repeat" in effect.detail
                assert self.runs > 1
                self.start_line()
                return
        if self.line.state is LinkState.READY and not self.is_open:
            self.is_open = True
            self.counter = max(self.counter, self.line.upcoming)

    def do_for_ejector(self, effects: Sequence[EjectorEffect], connection: int) -> None:
        for effect in effects:
            if isinstance(effect, Write):
                self.check_written(effect.entry)
                self.book.write(effect.entry)
            elif isinstance(effect, Actuate):
                assert effect.entry == self.book.ever[effect.entry.sequence], "moved, but not written"
            elif isinstance(effect, Reply):
                if connection == self.runs:
                    self.to_line.append(encode(effect.message))
            elif isinstance(effect, Prune):
                assert effect.settled <= self.history.settled(), "deleted before the history has it"
                self.book.prune(effect.settled)

    def check_written(self, entry: Entry) -> None:
        if entry.outcome is not Outcome.GOOD:
            return
        part = self.parts[entry.sequence]
        assert part.judged is Outcome.GOOD, "GOOD without a judgement"
        assert self.now <= part.deadline, "GOOD after the deadline"

    @initialize(connected=st.booleans(), coming=BATCHES)
    def the_day_begins(self, connected: bool, coming: list[Coming]) -> None:
        if connected:
            self.everything_arrives()
            self.parts_come(coming)

    # -- the line at work

    @precondition(lambda self: self.is_open)
    @rule(coming=BATCHES)
    def parts_come(self, coming: list[Coming]) -> None:
        for window_ms, outcome in coming:
            sequence, self.counter = self.counter, self.counter + 1
            self.parts[sequence] = Part(self.now + window_ms * MS)
            blank = Entry(sequence=sequence, boot=self.boot, outcome=Outcome.ERROR, reason=Reason.LATE)
            self.do_for_line(self.line.open_part(blank, self.line_now + window_ms * MS))
            if outcome:
                self.judge(sequence, outcome)

    @precondition(lambda self: self.unjudged())
    @rule(place=st.integers(0, 9), outcome=st.sampled_from(Outcome))
    def a_waiting_part_is_judged(self, place: int, outcome: Outcome) -> None:
        waiting = self.unjudged()
        self.judge(waiting[place % len(waiting)], outcome)

    def judge(self, sequence: int, outcome: Outcome) -> None:
        self.parts[sequence].judged = outcome
        reason = {Outcome.GOOD: None, Outcome.REJECT: Reason.ABOVE_LIMIT, Outcome.ERROR: Reason.BAD_FRAME}[outcome]
        entry = Entry(sequence=sequence, boot=self.boot, outcome=outcome, reason=reason, score=1.0)
        self.do_for_line(self.line.judged(entry, self.line_now))

    def unjudged(self) -> list[int]:
        """Parts that this run has in hand."""
        return sorted(number for number in self.line._pending if number in self.parts and not self.parts[number].judged)

    @rule()
    def records_are_committed(self) -> None:
        self.history.commit()

    @rule(ms=st.sampled_from([1, 10, 45, 100, 250, 600]))
    def time_passes(self, ms: int) -> None:
        self.now += ms * MS
        self.tick()

    def tick(self) -> None:
        self.do_for_line(self.line.tick(self.line_now, 0.0, self.history.settled()))
        self.do_for_ejector(self.ejector.tick(self.ejector_now), self.runs)

    # -- the transport

    @rule()
    def everything_arrives(self) -> None:
        """Some rounds without loss, or the line would seldom get anywhere."""
        for _ in range(6):
            while self.to_line or self.connections():
                self.all_to_the_ejector()
                self.all_to_the_line()
            self.now += 10 * MS
            self.tick()

    @precondition(lambda self: self.connections())
    @rule(fate=st.sampled_from(FATES), place=st.integers(0, 9))
    def mail_to_the_ejector(self, fate: str, place: int) -> None:
        connections = self.connections()
        connection = connections[place % len(connections)]
        queue = self.to_ejector[connection]
        if fate == "one arrives":
            self.deliver_to_ejector(connection)
        elif fate == "all arrive":
            self.all_to_the_ejector()
        else:
            spoil(queue, fate)

    @precondition(lambda self: self.to_line)
    @rule(fate=st.sampled_from(FATES))
    def mail_to_the_line(self, fate: str) -> None:
        if fate == "one arrives":
            self.deliver_to_line()
        elif fate == "all arrive":
            self.all_to_the_line()
        else:
            spoil(self.to_line, fate)

    def connections(self) -> list[int]:
        return [connection for connection, queue in self.to_ejector.items() if queue]

    def all_to_the_ejector(self) -> None:
        while self.connections():
            self.deliver_to_ejector(self.connections()[0])

    def all_to_the_line(self) -> None:
        while self.to_line:
            self.deliver_to_line()

    def deliver_to_ejector(self, connection: int) -> None:
        message: FromLine = decode_from_line(self.to_ejector[connection].popleft())
        self.do_for_ejector(self.ejector.received(message, self.ejector_now), connection)

    def deliver_to_line(self) -> None:
        message: FromEjector = decode_from_ejector(self.to_line.popleft())
        self.do_for_line(self.line.received(message, self.line_now))

    # -- kills

    @rule(who=st.sampled_from(KILLS), back_on=st.booleans(), jump_ms=st.sampled_from(JUMPS_MS))
    def something_is_killed(self, who: str, back_on: bool, jump_ms: int) -> None:
        """A machine that restarts has a clock of another beginning; a line's skips numbers that are in doubt."""
        if who == "line":
            self.start_line()
        elif who == "line's machine":
            self.counter += 3
            self.line_ahead += jump_ms * MS
            self.start_line()
        elif who == "ejector":
            self.start_ejector()
        else:
            self.ejector_ahead += jump_ms * MS
            self.start_ejector()
        if back_on:  # what is still on its way to the line arrives later
            self.now += SILENCE_NS + MS
            self.tick()
            self.all_to_the_ejector()

    # -- the books

    @invariant()
    def what_is_kept_as_settled_is_what_the_journal_says(self) -> None:
        for number, (entry, acknowledged) in self.history.rows.items():
            assert not acknowledged or entry == self.book.ever[number]

    @invariant()
    def nothing_was_deleted_that_the_history_lacks(self) -> None:
        assert self.book.forgotten <= self.history.settled()

    def teardown(self) -> None:
        """From here on nothing is lost, and time passes: the books must come to balance."""
        for _ in range(PATIENCE):
            self.everything_arrives()
            self.history.commit()
            if self.is_open and self.line.state is LinkState.READY and not self.line.pending:
                break
        assert self.line.state is LinkState.READY
        assert self.line.pending == 0
        everyone = list(range(1, self.counter))
        assert sorted(self.book.ever) == everyone
        assert sorted(self.history.rows) == everyone
        assert {number: row for number, row in self.history.rows.items() if not row[1]} == {}
        assert {number: entry for number, (entry, _) in self.history.rows.items()} == self.book.ever


def test_the_books_balance_and_nothing_unproven_passes_whatever_is_lost_repeated_or_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "PAGE", 2)  # recovery in several pages
    run_state_machine_as_test(
        LineAndEjector,
        settings=settings(
            max_examples=500,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


def calm() -> LineAndEjector:
    together = LineAndEjector()
    together.everything_arrives()
    assert together.is_open
    return together


def test_in_calm_weather_a_good_part_is_written_as_good() -> None:
    """The machine above would also hold for ends that call everything an error."""
    together = calm()
    together.parts_come([(150, Outcome.GOOD)])
    together.everything_arrives()
    together.teardown()
    assert [entry.outcome for entry in together.book.ever.values()] == [Outcome.GOOD]


@pytest.mark.parametrize("who", ["line", "ejector"])
def test_a_good_that_was_written_stays_good_when_its_acknowledgement_is_lost_in_a_kill(who: str) -> None:
    together = calm()
    together.parts_come([(150, Outcome.GOOD)])
    together.all_to_the_ejector()
    together.to_line.clear()
    if who == "line":
        together.start_line()
    else:
        together.start_ejector()
    together.teardown()
    assert together.history.rows[1][0].outcome is Outcome.GOOD


def test_a_good_that_was_only_on_its_way_when_the_line_was_killed_is_one_verdict_not_two() -> None:
    together = calm()
    together.parts_come([(150, Outcome.GOOD)])
    together.start_line()
    together.teardown()
    assert list(together.history.rows) == [1]
