"""Both ends of the link, sentence by sentence. What they do together is in test_protocol_together.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from inspector.protocol import (
    FETCH_NS,
    GRACE_NS,
    HEARTBEAT_NS,
    HELLO_NS,
    MAX_PENDING,
    MAX_WINDOW_NS,
    MS,
    PLACE_NS,
    RESEND_CLOSED_NS,
    RESEND_NS,
    SILENCE_NS,
    Actuate,
    EjectorEffect,
    EjectorEnd,
    Expired,
    FailSafe,
    Fault,
    LineEffect,
    LineEnd,
    LinkState,
    Prune,
    Refused,
    Reply,
    Send,
    Settled,
    StateChanged,
    Write,
)

if TYPE_CHECKING:
    from tests.inspector.conftest import Make

T = TypeVar("T")
OFFSET = 5_000_000 * MS  # the ejector's clock is ahead of the line's
START = 1_000 * MS
NOBODY: Mapping[int, Entry] = {}


def only(kind: type[T], effects: Iterable[object]) -> list[T]:
    return [effect for effect in effects if isinstance(effect, kind)]


def sent(effects: Iterable[LineEffect]) -> list[FromLine]:
    return [effect.message for effect in only(Send, effects)]


def told(effects: Iterable[LineEffect]) -> list[Tell]:
    return only(Tell, sent(effects))


def replies(effects: Iterable[EjectorEffect]) -> list[FromEjector]:
    return [effect.message for effect in only(Reply, effects)]


@dataclass
class Line:
    """A line's end, a clock, and an ejector that answers without delay."""

    end: LineEnd
    now: int = START

    def tick(self, ms: float = 0, settled: int = 0) -> list[LineEffect]:
        self.now += round(ms * MS)
        return self.end.tick(self.now, 0.0, settled)

    def hear(self, message: FromEjector) -> list[LineEffect]:
        return self.end.received(message, self.now)

    def welcome(self, ejector: str = "ejector1", forgotten: int = 0, last: int = 0) -> list[LineEffect]:
        hello = only(Hello, sent(self.tick(HELLO_NS / MS)))[0]
        return self.hear(Welcome(ejector, hello.sent_ns, self.now + OFFSET, forgotten, last))

    def pulse(self, ejector: str = "ejector1", delay_ms: float = 0) -> list[LineEffect]:
        echo = self.now
        self.now += round(delay_ms * MS)
        return self.hear(Pulse(ejector, echo, echo + OFFSET))

    def live(self, ms: float) -> list[LineEffect]:
        """Time passes while the ejector answers the heartbeats, but acknowledges nothing."""
        effects: list[LineEffect] = []
        for _ in range(round(ms / 10)):
            effects += self.tick(10)
            self.pulse()
        return effects

    def judged(self, entry: Entry) -> list[LineEffect]:
        return self.end.judged(entry, self.now)


def new_line(settled: int = 0, upcoming: int = 1, expired: Mapping[int, Entry] = NOBODY) -> Line:
    return Line(LineEnd("line1", "boot1", settled, upcoming, expired))


@pytest.fixture
def ready() -> Line:
    line = new_line()
    line.welcome()
    line.hear(Entries(0, [], False))
    assert line.end.state is LinkState.READY
    return line


def open_part(line: Line, sequence: int, window_ms: float = 100) -> Entry:
    """Open a part; returns the entry of its GOOD."""
    good = Entry(sequence=sequence, boot="boot1", outcome=Outcome.GOOD, reason=None, captured_us=9, score=0.5)
    blank = msgspec.structs.replace(good, outcome=Outcome.ERROR, reason=Reason.LATE, score=None)
    assert line.end.open_part(blank, line.now + round(window_ms * MS)) == []
    return good


# -- the line's end connects ---------------------------------------------------------------------------------------


def test_a_new_line_says_hello_until_it_is_welcomed() -> None:
    line = new_line()
    assert sent(line.tick()) == [Hello(VERSION, "line1", "boot1", line.now)]
    assert sent(line.tick(HELLO_NS / MS - 1)) == []
    assert sent(line.tick(1)) == [Hello(VERSION, "line1", "boot1", line.now)]


def test_a_welcomed_line_fetches_what_it_has_not_settled() -> None:
    line = new_line(settled=7, upcoming=9)
    effects = line.welcome(last=12)
    assert sent(effects) == [Fetch(7)]
    assert line.end.state is LinkState.RECOVERING


def test_an_unanswered_fetch_is_asked_again() -> None:
    line = new_line(settled=7, upcoming=8)
    line.welcome(last=7)
    assert only(Fetch, sent(line.tick(FETCH_NS / MS - 1))) == []
    assert only(Fetch, sent(line.tick(1))) == [Fetch(7)]


def test_a_line_with_nothing_to_recover_is_ready_after_an_empty_page() -> None:
    line = new_line()
    line.welcome()
    effects = line.hear(Entries(0, [], False))
    assert [effect.state for effect in only(StateChanged, effects)] == [LinkState.READY]


def test_a_page_that_was_not_asked_for_is_ignored() -> None:
    line = new_line(settled=7, upcoming=9)
    line.welcome(last=8)
    stranger = Entry(sequence=4, boot="old", outcome=Outcome.GOOD, reason=None)
    assert line.hear(Entries(3, [stranger], False)) == []
    assert line.end.state is LinkState.RECOVERING


def test_fetched_entries_are_settled_as_the_journal_has_them(make: Make) -> None:
    line = new_line(settled=0, upcoming=3)
    line.welcome(last=2)
    entries = [make.entry(1, boot="old"), make.entry(2, Outcome.REJECT, boot="old")]
    effects = line.hear(Entries(0, entries, False))
    assert [effect.entry for effect in only(Settled, effects)] == entries
    assert line.end.state is LinkState.READY


def test_the_next_page_is_fetched_after_the_last_entry(make: Make) -> None:
    line = new_line(upcoming=3)
    line.welcome(last=2)
    assert sent(line.hear(Entries(0, [make.entry(1)], True))) == [Fetch(1)]
    effects = line.hear(Entries(1, [make.entry(2)], False))
    assert [effect.state for effect in only(StateChanged, effects)] == [LinkState.READY]


def test_numbers_without_a_trace_are_told_as_unrecorded(make: Make) -> None:
    line = new_line(settled=1, upcoming=6)
    line.welcome(last=4)
    effects = line.hear(Entries(1, [make.entry(4)], False))
    lost = [tell.entry for tell in told(effects)]
    assert [entry.sequence for entry in lost] == [2, 3, 5]
    assert {(entry.outcome, entry.reason, entry.boot) for entry in lost} == {
        (Outcome.ERROR, Reason.UNRECORDED, "boot1")
    }
    assert line.end.state is LinkState.RECOVERING


def test_the_line_is_ready_when_the_last_unrecorded_part_is_acknowledged(make: Make) -> None:
    line = new_line(upcoming=3)
    line.welcome()
    tells = told(line.hear(Entries(0, [], False)))
    assert only(StateChanged, line.hear(Ack(tells[0].entry))) == []
    assert [effect.state for effect in only(StateChanged, line.hear(Ack(tells[1].entry)))] == [LinkState.READY]


def test_a_part_that_expired_in_an_earlier_run_is_told_with_what_is_known_of_it() -> None:
    known = Entry(sequence=2, boot="", outcome=Outcome.ERROR, reason=Reason.LATE, captured_us=77, score=3.0)
    line = new_line(settled=1, upcoming=3, expired={2: known})
    line.welcome()
    assert [tell.entry for tell in told(line.hear(Entries(1, [], False)))] == [
        msgspec.structs.replace(known, boot="boot1")
    ]


def test_the_journal_may_know_later_numbers_than_the_line() -> None:
    line = new_line(upcoming=3)
    line.welcome(last=40)
    assert line.end.upcoming == 41


def test_a_line_whose_history_was_replaced_does_not_ask_for_what_the_journal_deleted(make: Make) -> None:
    line = new_line(settled=0, upcoming=1)
    assert sent(line.welcome(forgotten=500, last=501)) == [Fetch(500)]
    assert told(line.hear(Entries(500, [make.entry(501)], False))) == []
    assert (line.end.settled, line.end.state) == (500, LinkState.READY)


def test_a_first_part_that_is_not_in_the_journal_is_not_forgotten(make: Make) -> None:
    """Part 2 was settled before part 1, then everything was killed."""
    line = new_line(settled=0, upcoming=3)
    assert sent(line.welcome(forgotten=0, last=2)) == [Fetch(0)]
    effects = line.hear(Entries(0, [make.entry(2)], False))
    assert [tell.entry.sequence for tell in told(effects)] == [1]


def test_a_refusal_stops_the_line_with_its_reason() -> None:
    line = new_line()
    line.tick()
    assert only(Fault, line.hear(Refusal("wrong line"))) == [Fault("the ejector refuses this line: wrong line")]


# -- the line's end hears and falls silent -------------------------------------------------------------------------


def test_a_connected_line_sends_heartbeats_that_carry_what_is_settled(ready: Line) -> None:
    ready.tick()
    beats = only(Heartbeat, sent(ready.end.tick(ready.now + HEARTBEAT_NS, 12.5, 3)))
    assert beats == [Heartbeat("boot1", ready.now + HEARTBEAT_NS, 12.5, 3)]


def test_silence_leads_back_to_hello(ready: Line) -> None:
    assert only(StateChanged, ready.tick(SILENCE_NS / MS)) == []
    effects = ready.tick(1)
    assert [effect.state for effect in only(StateChanged, effects)] == [LinkState.CONNECTING]
    assert only(Hello, sent(effects)) != []


def test_a_line_that_was_ready_is_ready_again_at_once(ready: Line) -> None:
    ready.tick(SILENCE_NS / MS + 1)
    effects = ready.welcome("ejector2", last=9)
    assert [effect.state for effect in only(StateChanged, effects)] == [LinkState.READY]
    assert only(Fetch, sent(effects)) == []


def test_what_is_open_is_told_again_after_a_silence(ready: Line) -> None:
    good = open_part(ready, 1, window_ms=10_000)
    ready.judged(good)
    ready.tick(SILENCE_NS / MS + 1)
    assert [tell.entry for tell in told(ready.welcome("ejector2"))] == [good]


def test_another_run_of_the_ejector_is_greeted_anew(ready: Line) -> None:
    effects = ready.pulse("ejector2")
    assert [effect.state for effect in only(StateChanged, effects)] == [LinkState.CONNECTING]
    assert only(Hello, sent(ready.tick())) != []


def test_a_pulse_from_before_the_silence_does_not_set_the_clock(ready: Line) -> None:
    good = open_part(ready, 1, window_ms=10_000)
    ready.tick(SILENCE_NS / MS + 1)
    ready.hear(Pulse("ejector1", ready.now, ready.now + 10 * OFFSET))
    ready.welcome("ejector2")
    deadline = told(ready.judged(good))[0].deadline_ns
    assert deadline <= START + OFFSET + 11_000 * MS


def test_the_clock_of_a_restarted_ejector_is_measured_anew(ready: Line) -> None:
    """Its machine restarted too: the clock began again, and the old offset would make deadlines far too late."""
    good = open_part(ready, 1, window_ms=10_000)
    deadline = ready.now + 10_000 * MS
    hello = only(Hello, sent(ready.tick(SILENCE_NS / MS + 1)))[0]
    ready.hear(Welcome("ejector2", hello.sent_ns, ready.now, 0, 0))  # no longer ahead
    assert told(ready.judged(good)) == [Tell("ejector2", good, deadline)]


def test_nothing_is_told_while_the_line_is_not_connected(ready: Line) -> None:
    good = open_part(ready, 1, window_ms=10_000)
    ready.tick(SILENCE_NS / MS + 1)
    assert told(ready.judged(good)) == []


# -- a part --------------------------------------------------------------------------------------------------------


def test_a_judged_part_is_told_with_its_deadline_in_the_ejectors_clock(ready: Line) -> None:
    good = open_part(ready, 1)
    assert told(ready.judged(good)) == [Tell("ejector1", good, ready.now + 100 * MS + OFFSET)]


def test_an_unacknowledged_verdict_is_told_again(ready: Line) -> None:
    good = open_part(ready, 1)
    ready.judged(good)
    assert told(ready.tick(RESEND_NS / MS - 1)) == []
    assert [tell.entry for tell in told(ready.tick(1))] == [good]


def test_an_acknowledged_part_is_settled_once(ready: Line) -> None:
    good = open_part(ready, 1)
    ready.judged(good)
    assert ready.hear(Ack(good)) == [Settled(good)]
    assert ready.hear(Ack(good)) == []
    assert ready.end.pending == 0
    assert told(ready.tick(1000)) == []


def test_a_part_is_settled_as_the_journal_says_not_as_the_line_said(ready: Line) -> None:
    good = open_part(ready, 1)
    ready.judged(good)
    late = msgspec.structs.replace(good, outcome=Outcome.ERROR, reason=Reason.LATE)
    assert ready.hear(Ack(late)) == [Settled(late)]


def test_a_part_without_a_judgement_is_told_as_a_late_error_when_its_window_closes(ready: Line) -> None:
    open_part(ready, 1, window_ms=100)
    assert told(ready.tick(99)) == []
    entry = told(ready.tick(1))[0].entry
    assert (entry.sequence, entry.outcome, entry.reason) == (1, Outcome.ERROR, Reason.LATE)


def test_a_judgement_at_its_deadline_is_a_late_error_that_keeps_its_score(ready: Line) -> None:
    good = open_part(ready, 1, window_ms=100)
    ready.now += 100 * MS
    entry = told(ready.judged(good))[0].entry
    assert (entry.outcome, entry.reason, entry.score) == (Outcome.ERROR, Reason.LATE, 0.5)


def test_a_judgement_after_the_window_changes_nothing(ready: Line) -> None:
    good = open_part(ready, 1, window_ms=100)
    ready.tick(100)
    assert ready.judged(good) == []
    assert {tell.entry.outcome for tell in told(ready.live(600))} == {Outcome.ERROR}


def test_a_second_judgement_changes_nothing(ready: Line) -> None:
    good = open_part(ready, 1)
    ready.judged(msgspec.structs.replace(good, outcome=Outcome.REJECT, reason=Reason.ABOVE_LIMIT))
    assert ready.judged(good) == []
    assert {tell.entry.outcome for tell in told(ready.tick(RESEND_NS / MS))} == {Outcome.REJECT}


def test_a_judgement_of_an_unknown_part_is_ignored(ready: Line, make: Make) -> None:
    assert ready.judged(make.entry(99)) == []


def test_an_unacknowledged_good_turns_into_an_error_when_its_window_closes(ready: Line) -> None:
    good = open_part(ready, 1, window_ms=100)
    ready.judged(good)
    entry = told(ready.tick(100))[0].entry
    assert (entry.outcome, entry.reason) == (Outcome.ERROR, Reason.UNACKNOWLEDGED)


def test_a_good_that_could_not_be_told_in_its_window_is_an_error_for_the_link(ready: Line) -> None:
    ready.tick(SILENCE_NS / MS + 1)
    good = open_part(ready, 1, window_ms=100)
    ready.judged(good)
    ready.tick(100)
    entry = told(ready.welcome())[0].entry
    assert (entry.outcome, entry.reason) == (Outcome.ERROR, Reason.LINK_DOWN)


def test_an_error_keeps_its_own_reason_when_its_window_closes(ready: Line) -> None:
    good = open_part(ready, 1, window_ms=100)
    ready.judged(msgspec.structs.replace(good, outcome=Outcome.ERROR, reason=Reason.OVERLOAD))
    assert told(ready.tick(100))[0].entry.reason is Reason.OVERLOAD


def test_a_closed_part_is_told_at_leisure(ready: Line) -> None:
    open_part(ready, 1, window_ms=100)
    ready.tick(100)
    ready.pulse()
    assert told(ready.live(RESEND_CLOSED_NS / MS - 10)) == []
    assert len(told(ready.live(10))) == 1


def test_a_part_without_an_acknowledgement_expires_once_and_is_told_on(ready: Line) -> None:
    open_part(ready, 1, window_ms=100)
    effects = ready.live(100 + GRACE_NS / MS)
    assert [effect.entry.reason for effect in only(Expired, effects)] == [Reason.LATE]
    later = ready.live(1500)
    assert only(Expired, later) == []
    assert told(later) != []


def test_an_expired_part_can_still_be_settled(ready: Line) -> None:
    good = open_part(ready, 1, window_ms=100)
    ready.judged(good)
    ready.live(1000)
    assert ready.hear(Ack(good)) == [Settled(good)]


def test_an_acknowledgement_of_another_runs_part_stops_the_line(ready: Line) -> None:
    good = open_part(ready, 1)
    ready.judged(good)
    faults = only(Fault, ready.hear(Ack(msgspec.structs.replace(good, boot="boot0"))))
    assert "numbers repeat" in faults[0].detail


def test_too_many_open_parts_stop_the_line(make: Make) -> None:
    line = new_line()
    effects: list[LineEffect] = []
    for sequence in range(1, MAX_PENDING + 2):
        assert effects == []
        effects = line.end.open_part(make.entry(sequence, Outcome.ERROR), line.now)
    assert len(only(Fault, effects)) == 1


def test_the_next_moment_is_never_later_than_a_deadline_or_a_heartbeat(ready: Line) -> None:
    ready.tick()
    assert ready.end.next_ns(ready.now) <= ready.now + HEARTBEAT_NS
    open_part(ready, 1, window_ms=7)
    assert ready.end.next_ns(ready.now) == ready.now + 7 * MS


def test_the_next_moment_is_later_than_now_once_everything_is_done(ready: Line) -> None:
    """Otherwise the link's thread would spin."""
    ready.judged(open_part(ready, 1, window_ms=50))
    for _ in range(300):
        ready.tick(1)
        assert ready.end.next_ns(ready.now) > ready.now


# -- two clocks ----------------------------------------------------------------------------------------------------

delays = st.integers(0, 2_000 * MS)


@given(
    offset=st.integers(-(10**15), 10**15),
    trips=st.lists(st.tuples(delays, delays, st.integers(0, 400 * MS)), min_size=1, max_size=6),
    window=st.integers(1, 3_600_000 * MS // 2),
)
def test_a_converted_deadline_is_never_later_than_the_true_one(
    offset: int, trips: list[tuple[int, int, int]], window: int
) -> None:
    """Whatever the way there and the way back take: the first exchange by Welcome, the others by Pulse."""
    line = new_line()
    best = 0
    for number, (there, back, pause) in enumerate(trips):
        line.now += pause
        asked = line.now
        if number == 0:
            line.tick()
        line.now += there + back
        their = asked + there + offset
        line.hear(Welcome("ejector1", asked, their, 0, 0) if number == 0 else Pulse("ejector1", asked, their))
        best = min(best, back) if number else back
    line.hear(Entries(0, [], False))
    good = open_part(line, 1, window_ms=window / MS)
    deadline = line.now + round(window / MS * MS)
    converted = told(line.judged(good))[0].deadline_ns
    assert converted <= deadline + offset
    drift = line.now // 10_000 + len(trips)
    assert converted >= deadline + offset - best - drift  # and early by no more than the shortest way back


def test_an_answer_to_a_question_from_the_future_does_not_set_the_clock(ready: Line) -> None:
    before = told(ready.judged(open_part(ready, 1)))[0].deadline_ns
    ready.hear(Pulse("ejector1", ready.now + 1, ready.now + 100 * OFFSET))
    after = told(ready.judged(open_part(ready, 2)))[0].deadline_ns
    assert after == before


def placed(line: Line, sequence: int) -> int | None:
    """Where in the ejector's time it is told that the line saw the part: now."""
    good = Entry(sequence=sequence, boot="boot1", outcome=Outcome.GOOD, reason=None)
    line.end.open_part(good, line.now + 100 * MS, line.now)
    return told(line.judged(good))[0].seen_ns


def test_a_part_is_placed_by_the_ejectors_clock_only_while_that_is_known_well() -> None:
    line = new_line()
    asked = only(Hello, sent(line.tick(HELLO_NS / MS)))[0].sent_ns
    line.now += PLACE_NS + MS  # a slow link: a deadline that is early does no harm, a place that is wrong does
    line.hear(Welcome("ejector1", asked, asked + OFFSET, 0, 0))
    line.hear(Entries(0, [], False))
    assert placed(line, 1) is None
    line.pulse(delay_ms=4)
    assert placed(line, 2) == line.now + OFFSET - 4 * MS
    line.pulse(delay_ms=300)  # one slow answer later the better one still holds
    assert placed(line, 3) is not None


def test_a_good_for_a_part_that_is_through_already_is_written_as_late(make: Make) -> None:
    book = Book()
    ejector = Ejector(book, EjectorEnd("ejector1", "line1", book, lambda seen_ns: seen_ns == 5))
    ejector.hear(Hello(VERSION, "line1", "boot1", START))
    ejector.hear(Tell("ejector1", make.entry(1), ejector.now + MS, 5))
    ejector.hear(Tell("ejector1", make.entry(2), ejector.now + MS, None))
    assert [(book.entries[number].outcome, book.entries[number].reason) for number in (1, 2)] == [
        (Outcome.GOOD, None),
        (Outcome.ERROR, Reason.LATE),
    ]


# -- the ejector's end ---------------------------------------------------------------------------------------------


@dataclass
class Book:
    """A journal in memory."""

    entries: dict[int, Entry] = field(default_factory=dict)
    forgotten: int = 0

    def find(self, sequence: int) -> Entry | None:
        return self.entries.get(sequence)

    def after(self, sequence: int, limit: int) -> list[Entry]:
        return [self.entries[number] for number in sorted(self.entries) if number > sequence][:limit]

    def span(self) -> tuple[int, int]:
        return self.forgotten, max(self.entries, default=0)


@dataclass
class Ejector:
    """An ejector's end and its clock; what it writes stands in its book."""

    book: Book
    end: EjectorEnd
    now: int = START + OFFSET

    def hear(self, message: FromLine) -> list[EjectorEffect]:
        effects = self.end.received(message, self.now)
        for write in only(Write, effects):
            self.book.entries[write.entry.sequence] = write.entry
        return effects

    def tick(self, ms: float) -> list[EjectorEffect]:
        self.now += round(ms * MS)
        return self.end.tick(self.now)

    def refuses(self, message: FromLine, why: str) -> None:
        before = dict(self.book.entries)
        effects = self.hear(message)
        assert why in only(Refused, effects)[0].why
        assert only(Actuate, effects) == []
        assert only(Ack, replies(effects)) == []
        assert self.book.entries == before


@pytest.fixture
def silent() -> Ejector:
    book = Book()
    return Ejector(book, EjectorEnd("ejector1", "line1", book))


@pytest.fixture
def serving(silent: Ejector) -> Ejector:
    silent.hear(Hello(VERSION, "line1", "boot1", START))
    return silent


def test_an_ejector_answers_hello_with_its_clock_and_its_journal(silent: Ejector, make: Make) -> None:
    silent.book.entries, silent.book.forgotten = {4: make.entry(4), 9: make.entry(9)}, 3
    assert replies(silent.hear(Hello(VERSION, "line1", "boot1", 77))) == [Welcome("ejector1", 77, silent.now, 3, 9)]


def test_hello_ends_the_fail_safe_once(silent: Ejector) -> None:
    assert [effect.active for effect in only(FailSafe, silent.hear(Hello(VERSION, "line1", "boot1", 1)))] == [False]
    assert only(FailSafe, silent.hear(Hello(VERSION, "line1", "boot1", 2))) == []


@pytest.mark.parametrize(
    "hello", [Hello(VERSION + 1, "line1", "boot1", 1), Hello(VERSION, "line2", "boot1", 1)], ids=["version", "line"]
)
def test_a_stranger_is_refused_and_told_why(silent: Ejector, hello: Hello) -> None:
    effects = silent.hear(hello)
    assert only(Refusal, replies(effects)) != []
    assert only(FailSafe, effects) == []
    silent.refuses(Heartbeat("boot1", 1, 0.0, 0), "before Hello")


@pytest.mark.parametrize("kind", ["heartbeat", "fetch", "verdict"])
def test_nothing_is_taken_before_hello(silent: Ejector, make: Make, kind: str) -> None:
    messages: dict[str, FromLine] = {
        "heartbeat": Heartbeat("boot1", 1, 0.0, 0),
        "fetch": Fetch(0),
        "verdict": Tell("ejector1", make.entry(1), silent.now + 100 * MS),
    }
    silent.refuses(messages[kind], "before Hello")


def test_a_heartbeat_is_answered_with_the_clock_and_prunes(serving: Ejector) -> None:
    effects = serving.hear(Heartbeat("boot1", 55, 1.0, 12))
    assert replies(effects) == [Pulse("ejector1", 55, serving.now)]
    assert only(Prune, effects) == [Prune(12)]


def test_silence_makes_it_fail_safe_once(serving: Ejector) -> None:
    assert serving.tick(SILENCE_NS / MS) == []
    assert [effect.active for effect in only(FailSafe, serving.tick(1))] == [True]
    assert serving.tick(1000) == []


def test_a_heartbeat_ends_the_fail_safe(serving: Ejector) -> None:
    serving.tick(SILENCE_NS / MS + 1)
    assert [effect.active for effect in only(FailSafe, serving.hear(Heartbeat("boot1", 1, 0.0, 0)))] == [False]


def test_a_verdict_is_written_before_it_is_actuated_and_acknowledged(serving: Ejector, make: Make) -> None:
    deadline = serving.now + 100 * MS
    effects = serving.hear(Tell("ejector1", make.entry(1), deadline))
    assert effects == [Write(make.entry(1)), Actuate(make.entry(1), deadline), Reply(Ack(make.entry(1)))]


def test_a_repeated_verdict_is_acknowledged_but_moves_nothing(serving: Ejector, make: Make) -> None:
    tell = Tell("ejector1", make.entry(1), serving.now + 100 * MS)
    serving.hear(tell)
    assert serving.hear(tell) == [Reply(Ack(make.entry(1)))]


def test_the_first_verdict_stands_whatever_comes_later(serving: Ejector, make: Make) -> None:
    serving.hear(Tell("ejector1", make.entry(1, Outcome.REJECT), serving.now + 100 * MS))
    assert replies(serving.hear(Tell("ejector1", make.entry(1), serving.now + 100 * MS))) == [
        Ack(make.entry(1, Outcome.REJECT))
    ]


def test_a_good_in_time_to_the_nanosecond_is_written_as_good(serving: Ejector, make: Make) -> None:
    serving.hear(Tell("ejector1", make.entry(1), serving.now))
    assert serving.book.entries[1].outcome is Outcome.GOOD


@pytest.mark.parametrize("outcome", [Outcome.GOOD, Outcome.REJECT])
def test_a_late_verdict_is_written_as_error(serving: Ejector, make: Make, outcome: Outcome) -> None:
    effects = serving.hear(Tell("ejector1", make.entry(1, outcome), serving.now - 1))
    written = serving.book.entries[1]
    assert (written.outcome, written.reason) == (Outcome.ERROR, Reason.LATE)
    assert replies(effects) == [Ack(written)]
    assert [effect.entry for effect in only(Actuate, effects)] == [written]


def test_a_late_error_keeps_its_reason(serving: Ejector, make: Make) -> None:
    serving.hear(Tell("ejector1", make.entry(1, Outcome.ERROR), serving.now - 1))
    assert serving.book.entries[1].reason is Reason.ENGINE_FAULT


def test_a_verdict_of_another_run_is_refused(serving: Ejector, make: Make) -> None:
    serving.refuses(Tell("ejector1", make.entry(1, boot="boot0"), serving.now + 100 * MS), "another run")


def test_a_heartbeat_of_another_run_is_refused(serving: Ejector) -> None:
    serving.refuses(Heartbeat("boot0", 1, 0.0, 99), "another run")


def test_messages_of_another_run_do_not_keep_the_line_alive(serving: Ejector, make: Make) -> None:
    serving.tick(SILENCE_NS / MS)
    serving.hear(Heartbeat("boot0", 1, 0.0, 0))
    serving.hear(Tell("ejector1", make.entry(1, boot="boot0"), serving.now))
    assert [effect.active for effect in only(FailSafe, serving.tick(1))] == [True]


def test_a_verdict_for_another_run_of_the_ejector_is_refused(serving: Ejector, make: Make) -> None:
    """Its deadline may be in a clock that no longer exists."""
    serving.refuses(Tell("ejector0", make.entry(1), serving.now + 100 * MS), "another run of the ejector")


def test_a_verdict_dated_into_the_future_is_refused(serving: Ejector, make: Make) -> None:
    serving.refuses(Tell("ejector1", make.entry(1), serving.now + MAX_WINDOW_NS + 1), "ms ahead")


def test_a_verdict_of_a_deleted_part_is_refused(serving: Ejector, make: Make) -> None:
    serving.book.forgotten = 10
    serving.refuses(Tell("ejector1", make.entry(10), serving.now + 100 * MS), "replayed")


def test_a_verdict_below_those_held_is_taken_when_it_was_not_deleted(serving: Ejector, make: Make) -> None:
    """Part 2 was an overload and settled at once; part 1 is still looked at."""
    serving.hear(Tell("ejector1", make.entry(2, Outcome.ERROR), serving.now + 100 * MS))
    serving.hear(Tell("ejector1", make.entry(1), serving.now + 100 * MS))
    assert serving.book.entries[1].outcome is Outcome.GOOD


@pytest.mark.parametrize("sequence", [0, -1])
def test_a_number_that_no_part_has_is_refused(serving: Ejector, make: Make, sequence: int) -> None:
    serving.refuses(Tell("ejector1", make.entry(sequence), serving.now + 100 * MS), "replayed")


def test_entries_are_fetched_in_pages(serving: Ejector, make: Make) -> None:
    serving.book.entries = {number: make.entry(number) for number in range(1, PAGE + 3)}
    first, second = replies(serving.hear(Fetch(0)))[0], replies(serving.hear(Fetch(PAGE)))[0]
    assert isinstance(first, Entries)
    assert isinstance(second, Entries)
    assert ([entry.sequence for entry in first.entries], first.more) == (list(range(1, PAGE + 1)), True)
    assert ([entry.sequence for entry in second.entries], second.more) == ([PAGE + 1, PAGE + 2], False)


def test_a_page_that_ends_with_the_journal_promises_no_more(serving: Ejector, make: Make) -> None:
    serving.book.entries = {number: make.entry(number) for number in range(1, PAGE + 1)}
    page = replies(serving.hear(Fetch(0)))[0]
    assert isinstance(page, Entries)
    assert not page.more
