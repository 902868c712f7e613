"""The line's end over real ZeroMQ: restarts of either side, and a window that closes whatever inference does."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pytest
import zmq

from inspector import journal as journal_module
from inspector import reject as reject_module
from inspector.inspection import Outcome, Reason
from inspector.messages import Entry
from inspector.protocol import LineEnd, LinkState
from inspector.reject import RejectLink

if TYPE_CHECKING:
    from tests.inspector.conftest import Plant

Until = Callable[[Callable[[], bool], str], None]
LONG_MS, SHORT_MS = 60_000.0, 30.0  # a window that a busy machine keeps, and one that is to close
NOBODY: Mapping[int, Entry] = {}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# -- parts settle --------------------------------------------------------------------------------------------------


def test_every_verdict_is_settled_journaled_and_actuated_once(running: Plant) -> None:
    outcomes = [Outcome.GOOD, Outcome.REJECT, Outcome.ERROR, Outcome.GOOD]
    for sequence, outcome in enumerate(outcomes, start=1):
        running.judge(running.part(sequence, LONG_MS), outcome)
    assert [running.settle(sequence).outcome for sequence in (1, 2, 3, 4)] == outcomes
    assert running.journal is not None
    assert [entry.outcome for entry in running.journal.after(0, 9)] == outcomes
    assert running.driver.counts == {Outcome.GOOD: 2, Outcome.REJECT: 1, Outcome.ERROR: 1}
    assert len(running.records) == 4


def test_a_settled_record_carries_what_the_line_saw_and_what_the_journal_says(running: Plant) -> None:
    part = running.part(1, LONG_MS)
    running.judge(part, Outcome.REJECT, value=2.5)
    record = running.settle(1)
    assert (record.part, record.outcome, record.reason, record.score) == (
        part,
        Outcome.REJECT,
        Reason.ABOVE_LIMIT,
        2.5,
    )
    assert record.inspection is not None
    assert record.verdict is not None
    assert record.acknowledged_ns is not None
    assert running.journal is not None
    entry = running.journal.find(1)
    assert entry is not None
    assert (entry.boot, entry.score, entry.captured_us) == ("boot1", 2.5, part.capture.captured_us)


def test_it_works_over_tcp_as_well(plant: Plant) -> None:
    plant.endpoint = f"tcp://127.0.0.1:{free_port()}"
    plant.start_ejector()
    assert plant.start_line().wait_ready(20)
    plant.judge(plant.part(1, LONG_MS))
    assert plant.settle(1).outcome is Outcome.GOOD


def test_a_score_that_json_cannot_carry_does_not_stop_the_link(running: Plant) -> None:
    part = running.part(1, LONG_MS)
    running.judge(part, Outcome.ERROR, value=float("nan"))
    assert running.settle(1).score is None


def test_an_overload_settles_without_an_inspection(running: Plant) -> None:
    part = running.part(1, LONG_MS)
    assert running.link is not None
    running.link.send(part, None, running.make.verdict(1, Outcome.ERROR))
    assert running.settle(1).inspection is None


def test_drain_waits_for_the_acknowledgements(running: Plant) -> None:
    assert running.link is not None
    for sequence in range(1, 51):
        running.judge(running.part(sequence, LONG_MS))
    assert running.link.drain(20)
    assert sorted(record.sequence for record in running.records) == list(range(1, 51))


def test_drain_says_that_a_part_is_still_open(running: Plant) -> None:
    assert running.link is not None
    running.part(1, LONG_MS)
    assert not running.link.drain(0.05)


# -- windows -------------------------------------------------------------------------------------------------------


def test_a_part_that_inference_never_answers_is_a_late_error(running: Plant) -> None:
    running.part(1, SHORT_MS)
    record = running.settle(1)
    assert (record.outcome, record.reason, record.verdict) == (Outcome.ERROR, Reason.LATE, None)
    assert running.driver.counts == {Outcome.ERROR: 1}


def test_a_verdict_that_comes_after_its_window_keeps_its_score_and_changes_nothing_else(running: Plant) -> None:
    part = running.part(1, SHORT_MS)
    settled = running.settle(1)
    running.judge(part, Outcome.GOOD, value=0.75)
    running.until(lambda: len(running.records) == 2, "the late inspection is recorded")
    late = running.records[-1]
    assert (late.outcome, late.reason, late.acknowledged) == (settled.outcome, Reason.LATE, True)
    assert late.inspection is not None
    assert late.inspection.score is not None
    assert late.inspection.score.value == 0.75
    assert running.driver.counts == {Outcome.ERROR: 1}
    assert running.link is not None
    assert running.link.drain(20)


def test_an_open_part_closes_while_others_settle(running: Plant) -> None:
    running.part(1, SHORT_MS)
    running.judge(running.part(2, LONG_MS))
    assert running.settle(2).outcome is Outcome.GOOD
    assert running.settle(1).outcome is Outcome.ERROR


# -- restarts ------------------------------------------------------------------------------------------------------


def test_the_line_waits_for_an_ejector_that_comes_later(plant: Plant) -> None:
    link = plant.start_line()
    assert not link.wait_ready(0.05)
    plant.start_ejector()
    assert link.wait_ready(20)


def test_parts_go_on_after_the_ejector_was_restarted(running: Plant) -> None:
    running.judge(running.part(1, LONG_MS))
    running.settle(1)
    running.stop_ejector()
    running.judge(running.part(2, LONG_MS))
    running.start_ejector()
    assert running.settle(2).outcome is Outcome.GOOD
    running.judge(running.part(3, LONG_MS))
    assert running.settle(3).outcome is Outcome.GOOD
    assert running.journal is not None
    assert [entry.sequence for entry in running.journal.after(0, 9)] == [1, 2, 3]
    assert running.faults == []


def test_a_part_without_an_ejector_is_kept_as_an_unacknowledged_error_until_one_is_there(running: Plant) -> None:
    running.stop_ejector()
    running.judge(running.part(1, SHORT_MS))
    running.until(lambda: running.last(1) is not None, "the part expires")
    expired = running.records[0]
    assert (expired.outcome, expired.acknowledged) == (Outcome.ERROR, False)
    assert expired.reason in (Reason.LINK_DOWN, Reason.UNACKNOWLEDGED)  # whether the line noticed in its window
    running.start_ejector()
    settled = running.settle(1)
    assert (settled.outcome, settled.reason) == (Outcome.ERROR, expired.reason)


def test_a_restarted_line_fetches_what_it_does_not_have(running: Plant) -> None:
    for sequence, outcome in ((1, Outcome.GOOD), (2, Outcome.REJECT), (3, Outcome.GOOD)):
        running.judge(running.part(sequence, LONG_MS), outcome)
        running.settle(sequence)
    running.stop_line()
    running.records.clear()
    link = running.start_line("boot2", settled=1, upcoming=6)
    assert link.wait_ready(20)
    kept = {record.sequence: (record.boot, record.outcome, record.reason) for record in running.records}
    assert kept == {
        2: ("boot1", Outcome.REJECT, Reason.ABOVE_LIMIT),
        3: ("boot1", Outcome.GOOD, None),
        4: ("boot2", Outcome.ERROR, Reason.UNRECORDED),
        5: ("boot2", Outcome.ERROR, Reason.UNRECORDED),
    }
    assert link.upcoming == 6
    running.judge(running.part(6, LONG_MS))
    assert running.settle(6).outcome is Outcome.GOOD


def test_a_journal_that_knows_more_than_the_line_says_where_numbers_go_on(running: Plant) -> None:
    running.judge(running.part(41, LONG_MS))
    running.settle(41)
    running.stop_line()
    link = running.start_line("boot2", settled=41, upcoming=1)
    assert link.wait_ready(20)
    assert (link.upcoming, link.settled) == (42, 41)


def test_what_the_line_has_settled_is_deleted_from_the_journal(running: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT", 3)
    for sequence in range(1, 8):
        running.judge(running.part(sequence, LONG_MS))
        running.settle(sequence)
    assert running.journal is not None
    journal = running.journal
    assert journal.span() == (0, 7)
    running.settled = 7
    running.until(lambda: journal.span() == (6, 7), "the settled files are deleted")
    running.stop_line()
    link = running.start_line("boot2", settled=0, upcoming=8)  # as if its history had been replaced
    assert link.wait_ready(20)
    assert link.settled == 6


# -- faults --------------------------------------------------------------------------------------------------------


def test_an_ejector_of_another_line_stops_this_one(plant: Plant) -> None:
    plant.start_ejector()
    end = LineEnd("line2", "boot1", 0, 1, {})
    link = RejectLink(
        plant.endpoint,
        "boot1",
        end,
        plant.clock,
        plant.records.append,
        lambda: 0,
        lambda: 0.0,
        plant.faults.append,
        lambda: None,
    )
    link.start()
    plant.until(lambda: bool(plant.faults), "a fault")
    link.close()
    assert "'line2'" in plant.faults[0]
    assert "'line1'" in plant.faults[0]


def test_an_endpoint_that_means_nothing_stops_the_line_by_name(plant: Plant) -> None:
    plant.endpoint = "tcp://no-port-given"
    plant.start_line()
    plant.until(lambda: bool(plant.faults), "a fault")
    assert "tcp://no-port-given" in plant.faults[0]


def test_more_parts_than_the_link_can_take_stop_the_line(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reject_module, "CAPACITY", 2)
    plant.start_line().close()  # its thread takes nothing any more
    for sequence in (1, 2, 3):
        plant.part(sequence, LONG_MS)
    assert len(plant.faults) == 1
    assert "restart the line" in plant.faults[0]


def test_the_line_survives_an_ejector_that_talks_nonsense(plant: Plant) -> None:
    nonsense = [b"", b"\xff\x00", b'{"type":"welcome"}', b'{"type":"ack","entry":{}}', b"[" * 100_000]
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger = 0
        router.bind(plant.endpoint)
        link = plant.start_line()
        assert router.poll(20_000)
        peer, *_ = router.recv_multipart()
        for data in nonsense:
            router.send_multipart([peer, data])
        assert router.poll(20_000)  # it still says hello
    plant.start_ejector()
    assert link.wait_ready(20)
    assert plant.faults == []


def test_closing_twice_and_before_the_start_is_allowed(plant: Plant) -> None:
    link = plant.start_line()
    link.close()
    link.close()
    assert link.state is LinkState.CONNECTING
