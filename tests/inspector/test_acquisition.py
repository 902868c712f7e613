"""Every capture becomes a part with a number and a window, and the end is always announced."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inspector import acquisition as acquisition_module
from inspector.acquisition import Acquisition
from inspector.admission import Admission
from inspector.cameras.base import EndOfParts
from inspector.errors import CameraError, SequenceError
from inspector.inspection import CameraFault, Capture, Outcome, Part, Reason
from inspector.job import make_job
from inspector.sequence import SequenceFile
from inspector.waiting import Waiting

if TYPE_CHECKING:
    from tests.inspector.conftest import FakeLink, Make

Until = Callable[[Callable[[], bool], str], None]
Event = Capture | BaseException | None


@dataclass
class FakeCamera:
    """Plays a list of captures, silences (None) and errors; after the last one it is at its end."""

    script: list[Event]
    refusals: int = 0  # so many times `open` fails
    name: str = "camera"
    log: list[str] = field(default_factory=list)
    after: Event = field(default_factory=EndOfParts)

    def open(self) -> None:
        if self.refusals:
            self.refusals -= 1
            self.log.append("refused")
            raise CameraError("not there")
        self.log.append("open")

    def grab(self, timeout_s: float) -> Capture | None:
        event = self.script.pop(0) if self.script else self.after
        if isinstance(event, BaseException):
            raise event
        return event

    def close(self) -> None:
        self.log.append("close")


@dataclass
class Bench:
    """An acquisition over a fake camera, and what it was heard to say."""

    camera: FakeCamera
    acquisition: Acquisition
    waiting: Waiting
    faults: list[str]
    ended: list[bool]

    def run(self) -> list[Part]:
        """Until its end marker; the parts it queued."""
        self.acquisition.start()
        return list(self.rest())

    def rest(self) -> Iterator[Part]:
        while True:
            try:
                part = self.waiting.get(20)
            except queue.Empty:
                pytest.fail("no end marker")
            if part is None:
                return
            yield part


@pytest.fixture
def bench(
    tmp_path: Path, make: Make, link: FakeLink, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Bench]]:
    monkeypatch.setattr(acquisition_module, "BACK_OFF_S", (0.0, 0.0))
    numbers = SequenceFile(tmp_path / "sequence", b"a" * 16)
    built: list[Bench] = []

    def build(script: list[Event], capacity: int = 100, stop_after: int = 0, refusals: int = 0) -> Bench:
        camera, faults, ended = FakeCamera(script, refusals), list[str](), list[bool]()
        waiting = Waiting(capacity)
        acquisition = Acquisition(
            camera=camera,
            lane=waiting.add_lane(),
            admission=Admission(numbers, link, make_job(make.recipe(), [])),
            link=link,
            window_ms=100.0,
            stop_after=stop_after,
            on_fault=faults.append,
            beat=lambda: None,
            on_end=lambda: ended.append(True),
        )
        built.append(Bench(camera, acquisition, waiting, faults, ended))
        return built[-1]

    yield build
    for each in built:
        each.acquisition.close()
    numbers.close()


def test_every_capture_becomes_a_numbered_part_with_a_window(
    bench: Callable[..., Bench], make: Make, link: FakeLink
) -> None:
    parts = bench([make.frame(0, captured_ns=500), None, make.frame(1, captured_ns=700)]).run()
    assert [(part.sequence, part.deadline_ns) for part in parts] == [(1, 100_000_500), (2, 100_000_700)]
    assert link.opened == parts


def test_a_camera_fault_is_a_part_as_well(bench: Callable[..., Bench], make: Make) -> None:
    fault = CameraFault("camera", 1, 5, 5, Reason.LOST_FRAME, "block id 1 never came")
    parts = bench([make.frame(0), fault, make.frame(2)]).run()
    assert [part.sequence for part in parts] == [1, 2, 3]
    assert parts[1].capture is fault


def test_a_part_that_finds_the_queue_full_is_an_overload_at_once(
    bench: Callable[..., Bench], make: Make, link: FakeLink, until: Until
) -> None:
    busy = bench([make.frame(number) for number in range(5)], capacity=2)
    busy.acquisition.start()
    until(lambda: bool(busy.ended), "the camera is at its end")  # it never waited for a place
    assert [part.sequence for part in busy.rest()] == [1, 2]
    assert [part.sequence for part in link.opened] == [1, 2, 3, 4, 5]
    assert [(v.sequence, v.outcome, v.reason) for v in link.verdicts] == [
        (number, Outcome.ERROR, Reason.OVERLOAD) for number in (3, 4, 5)
    ]


def test_a_lost_camera_is_closed_and_opened_until_it_is_back(bench: Callable[..., Bench], make: Make) -> None:
    flaky = bench([make.frame(0), CameraError("lost"), make.frame(1)], refusals=3)
    parts = flaky.run()
    assert [part.sequence for part in parts] == [1, 2]
    assert flaky.camera.log == ["close", "refused"] * 3 + ["close", "open"]
    assert flaky.faults == []


def test_a_camera_that_never_comes_back_does_not_keep_the_line_from_stopping(
    bench: Callable[..., Bench], until: Until
) -> None:
    gone = bench([CameraError("lost")], refusals=1_000_000)
    gone.acquisition.start()
    until(lambda: len(gone.camera.log) > 20, "it tries again and again")
    gone.acquisition.close()
    assert list(gone.rest()) == []
    assert gone.ended == [True]


def test_the_end_of_the_source_is_no_fault(bench: Callable[..., Bench], make: Make) -> None:
    finished = bench([make.frame(0)])
    assert len(finished.run()) == 1
    finished.acquisition.close()
    assert (finished.faults, finished.ended) == ([], [True])


def test_it_stops_after_the_number_of_parts_it_was_told(bench: Callable[..., Bench], make: Make) -> None:
    counted = bench([make.frame(number) for number in range(9)], stop_after=4)
    assert [part.sequence for part in counted.run()] == [1, 2, 3, 4]


def test_overloads_count_toward_the_number_of_parts(bench: Callable[..., Bench], make: Make, link: FakeLink) -> None:
    counted = bench([make.frame(number) for number in range(9)], stop_after=4, capacity=1)
    counted.acquisition.start()
    counted.acquisition._thread.join(20)
    assert len(link.opened) == 4


def test_stop_ends_it_while_no_part_comes(bench: Callable[..., Bench]) -> None:
    idle = bench([])
    idle.camera.after = None
    idle.acquisition.start()
    idle.acquisition.close()
    assert list(idle.rest()) == []
    assert idle.faults == []


def test_numbers_that_cannot_be_reserved_stop_the_line_and_end_the_queue(
    bench: Callable[..., Bench], make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: SequenceFile) -> int:
        raise SequenceError("cannot reserve part numbers")

    monkeypatch.setattr(SequenceFile, "take", refuse)
    full = bench([make.frame(0)])
    assert full.run() == []
    assert full.faults == ["cannot reserve part numbers"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_unforeseen_error_stops_the_line_and_still_ends_the_queue(bench: Callable[..., Bench], make: Make) -> None:
    broken = bench([make.frame(0), RuntimeError("nobody thought of this")])
    assert [part.sequence for part in broken.run()] == [1]
    broken.acquisition.close()
    assert len(broken.faults) == 1
    assert broken.ended == [True]


def test_closing_twice_closes_the_camera_and_is_allowed(bench: Callable[..., Bench]) -> None:
    closed = bench([])
    closed.run()
    closed.acquisition.close()
    closed.acquisition.close()
    assert closed.camera.log == ["close", "close"]
