"""The recorder: whatever the database does, no verdict is lost without a word."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.frames import FrameFacts
from inspector import recorder as recorder_module
from inspector.errors import HistoryError
from inspector.inspection import Record
from inspector.recorder import BATCH, Recorder, Watermark

if TYPE_CHECKING:
    from tests.inspector.conftest import Make

Until = Callable[[Callable[[], bool], str], None]


@dataclass
class FakeWriter:
    """Keeps what it is given, or refuses for as long as it is told to."""

    batches: list[list[Record]] = field(default_factory=list)
    refuses: bool = False
    refusals: int = 0
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def write(self, records: list[Record]) -> None:
        self.gate.wait(20)
        if self.refuses:
            self.refusals += 1
            raise HistoryError("database or disk is full")
        self.batches.append(list(records))

    @property
    def written(self) -> list[int]:
        return [record.sequence for batch in self.batches for record in batch]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "RETRY_S", 0.001)


@contextmanager
def running(writer: FakeWriter, settled: int = 0, on_full: Callable[[str], None] = pytest.fail) -> Iterator[Recorder]:
    recorder = Recorder(writer, settled, on_full, lambda: None)
    recorder.start()
    try:
        yield recorder
    finally:
        writer.refuses = False
        writer.gate.set()
        recorder.close()


def test_what_waits_for_the_database_holds_no_pixels(make: Make, until: Until) -> None:
    writer, record = FakeWriter(), make.record(1)
    with running(writer) as recorder:
        recorder.submit(record)
        until(lambda: bool(writer.written), "the record was written")
    (kept,) = writer.batches[0]
    assert kept.part is not None
    assert kept.inspection is not None
    assert kept.part.capture.image.size == kept.inspection.part.capture.image.size == 0
    assert (kept.part.sequence, kept.inspection.score) == (1, record.inspection.score)


def being_measured(record: Record) -> tuple[Record, futures.Future[FrameFacts | None]]:
    assert record.inspection is not None
    measuring: futures.Future[FrameFacts | None] = futures.Future()
    return replace(record, inspection=replace(record.inspection, measuring=measuring)), measuring


def frames(writer: FakeWriter) -> list[FrameFacts | None]:
    return [record.inspection.frame for batch in writer.batches for record in batch if record.inspection]


def test_a_record_is_written_with_the_frame_that_is_measured_after_its_verdict(make: Make, until: Until) -> None:
    writer, facts = FakeWriter(), FrameFacts(1.0, 2.0, 3.0, 4.0)
    record, measuring = being_measured(make.record(1))
    with running(writer) as recorder:
        recorder.submit(record)
        assert writer.written == []
        measuring.set_result(facts)
        until(lambda: bool(writer.written), "the record was written")
    assert frames(writer) == [facts]


def test_a_frame_that_is_never_measured_holds_no_verdict_back(
    make: Make, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "MEASURED_S", 0.01)
    writer = FakeWriter()
    with running(writer) as recorder:
        recorder.submit(being_measured(make.record(1))[0])
        until(lambda: bool(writer.written), "the record was written")
    assert frames(writer) == [None]


def test_every_record_is_written_once_and_in_order(make: Make) -> None:
    writer = FakeWriter()
    with running(writer) as recorder:
        for sequence in range(1, 1201):
            recorder.submit(make.record(sequence))
        assert recorder.close()
    assert writer.written == list(range(1, 1201))
    assert max(len(batch) for batch in writer.batches) <= BATCH


def test_records_that_wait_together_are_written_together(make: Make) -> None:
    writer = FakeWriter()
    writer.gate.clear()
    with running(writer) as recorder:
        for sequence in range(1, BATCH + 101):
            recorder.submit(make.record(sequence))
        writer.gate.set()
        assert recorder.close()
    assert len(writer.batches) < 10


def test_a_refused_batch_is_tried_again_until_it_is_taken(make: Make, until: Until) -> None:
    writer = FakeWriter(refuses=True)
    with running(writer) as recorder:
        recorder.submit(make.record(1))
        until(lambda: writer.refusals >= 3, "three refusals")
        recorder.submit(make.record(2))
        assert recorder.settled == 0
        writer.refuses = False
        until(lambda: recorder.settled == 2, "both are settled")
    assert writer.written == [1, 2]


def test_a_part_counts_as_settled_only_when_it_was_written_and_acknowledged(make: Make, until: Until) -> None:
    writer = FakeWriter()
    with running(writer, settled=4) as recorder:
        recorder.submit(make.record(5))
        recorder.submit(make.record(6, acknowledged=False))
        recorder.submit(make.record(7))
        until(lambda: len(writer.written) == 3, "all are written")
        until(lambda: recorder.settled == 5, "the first is settled")
        recorder.submit(make.record(6))
        until(lambda: recorder.settled == 7, "its acknowledgement closes the gap")


def test_a_replaced_history_does_not_wait_for_what_it_never_had(make: Make, until: Until) -> None:
    writer = FakeWriter()
    with running(writer, settled=0) as recorder:
        recorder.skip_to(500)
        assert recorder.settled == 500
        recorder.submit(make.record(501))
        until(lambda: recorder.settled == 501, "the next part is settled")


def test_a_full_queue_is_told_at_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "CAPACITY", 3)
    complaints: list[str] = []
    recorder = Recorder(FakeWriter(), 0, complaints.append, lambda: None)  # not started: the queue only fills
    for sequence in range(1, 4):
        recorder.submit(make.record(sequence))
    assert complaints == []
    recorder.submit(make.record(4))
    assert len(complaints) == 1
    assert "wait for the database" in complaints[0]


def test_closing_while_the_database_refuses_says_that_not_all_was_taken(make: Make, until: Until) -> None:
    writer = FakeWriter(refuses=True)
    recorder = Recorder(writer, 0, pytest.fail, lambda: None)
    recorder.start()
    recorder.submit(make.record(1))
    until(lambda: writer.refusals > 0, "a refusal")
    assert not recorder.close()
    assert recorder.settled == 0
    assert writer.written == []


def test_a_batch_that_is_taken_after_a_refusal_does_not_hide_the_refusal(make: Make, until: Until) -> None:
    writer = FakeWriter(refuses=True)
    recorder = Recorder(writer, 0, pytest.fail, lambda: None)
    recorder.start()
    recorder.submit(make.record(1))
    until(lambda: writer.refusals > 0, "a refusal")
    for sequence in range(2, BATCH + 3):
        recorder.submit(make.record(sequence))

    def beat() -> None:
        writer.refuses = writer.refuses and not recorder._stopping.is_set()

    recorder._beat = beat  # the database recovers while the recorder ends
    recorder.close()
    assert recorder.settled in (0, BATCH + 2)
    assert (recorder.settled == 0) == (1 not in writer.written)
    assert recorder._is_complete == (1 in writer.written)


def test_closing_while_a_write_hangs_gives_up_in_time(make: Make) -> None:
    writer = FakeWriter()
    writer.gate.clear()
    recorder = Recorder(writer, 0, pytest.fail, lambda: None)
    recorder.start()
    recorder.submit(make.record(1))
    assert not recorder.close(timeout_s=0.05)
    writer.gate.set()
    recorder.close()


def test_every_round_beats_even_while_nothing_comes_or_the_disk_is_full(make: Make, until: Until) -> None:
    beats: list[int] = []
    writer = FakeWriter(refuses=True)
    recorder = Recorder(writer, 0, pytest.fail, lambda: beats.append(1))
    recorder.start()
    until(lambda: len(beats) >= 2, "two idle rounds")
    recorder.submit(make.record(1))
    until(lambda: writer.refusals > 2, "refusals")
    seen = len(beats)
    until(lambda: len(beats) > seen, "a beat while it retries")
    recorder.close()


@given(st.permutations(range(1, 31)), st.integers(0, 30))
def test_the_watermark_rises_to_the_same_place_whatever_the_order(order: list[int], start: int) -> None:
    watermark = Watermark(start)
    added: set[int] = set(range(1, start + 1))
    for number in order:
        watermark.add([number])
        added.add(number)
        assert set(range(1, watermark.value + 1)) <= added
        assert watermark.value + 1 not in added
    assert watermark.value == 30


@given(st.sets(st.integers(1, 40)), st.integers(0, 40))
def test_a_skipped_watermark_goes_on_over_what_was_added_before(numbers: set[int], skip: int) -> None:
    watermark = Watermark(0)
    watermark.add(numbers)
    watermark.skip_to(skip)
    done = numbers | set(range(1, skip + 1))
    assert watermark.value == next(number for number in range(42) if number + 1 not in done)
