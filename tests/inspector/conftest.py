"""What the tests of `inspector` share: a clock that stands still, values to start from, waiting without sleeping."""

from __future__ import annotations

import itertools
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from calibration.evidence import Evidence
from calibration.recipe import Recipe
from calibration.thresholds import Thresholds
from engines.scoring import Score, Scoring
from inspector.cli import main
from inspector.clock import SystemClock
from inspector.drivers import SimulatedDriver
from inspector.ejector import Ejector
from inspector.errors import InspectorError
from inspector.inspection import (
    Band,
    Capture,
    Frame,
    Inspection,
    Outcome,
    Part,
    Reason,
    Record,
    Timings,
    Verdict,
)
from inspector.journal import Journal
from inspector.messages import Entry
from inspector.protocol import LineEnd
from inspector.reject import RejectLink

Call = Callable[..., tuple[int, str, str]]

Until = Callable[[Callable[[], bool], str], None]

REVIEW, REJECT = 2.0, 3.0
NO_ENTRIES: Mapping[int, Entry] = {}
WAIT_S = 20.0  # before a test gives up; what it waits for takes milliseconds


@dataclass
class FakeClock:
    """Time that passes only when told to."""

    now: int = 1_000_000_000
    utc: int = 1_700_000_000_000_000

    def now_ns(self) -> int:
        return self.now

    def utc_us(self) -> int:
        return self.utc

    def advance(self, ms: float) -> None:
        self.now += round(ms * 1e6)
        self.utc += round(ms * 1e3)


@dataclass
class FakeLink:
    """Keeps what the line hands to its link."""

    opened: list[Part] = field(default_factory=list)
    sent: list[tuple[Part, Inspection | None, Verdict]] = field(default_factory=list)

    def open_part(self, part: Part) -> None:
        self.opened.append(part)

    def send(self, part: Part, inspection: Inspection | None, verdict: Verdict) -> None:
        self.sent.append((part, inspection, verdict))

    @property
    def verdicts(self) -> list[Verdict]:
        return [verdict for _, _, verdict in self.sent]


class Make:
    """Values with sensible defaults; a test names only what it is about."""

    def frame(self, block: int = 0, captured_ns: int = 1_000_000_000, size: int = 4) -> Frame:
        return Frame("camera", block, captured_ns, 1_700_000_000_000_000, np.zeros((size, size, 3), np.uint8))

    def part(self, sequence: int, capture: Capture | None = None, window_ms: float = 100.0) -> Part:
        seen = capture or self.frame(sequence)
        return Part(sequence, seen, seen.captured_ns + round(window_ms * 1e6))

    def score(self, value: float) -> Score:
        return Score(value=value, peak=(0.25, 0.75), area=0.125, zones={})

    def inspection(self, part: Part, value: float | None, fault: Reason | None = None) -> Inspection:
        score = None if value is None else self.score(value)
        return Inspection(part, score, fault, "", Timings(1.0, 2.0, 3.0, 4.0), part.capture.captured_ns + 10_000_000)

    def verdict(self, sequence: int, outcome: Outcome = Outcome.GOOD) -> Verdict:
        reasons = {Outcome.GOOD: None, Outcome.REJECT: Reason.ABOVE_LIMIT, Outcome.ERROR: Reason.ENGINE_FAULT}
        return Verdict(sequence, outcome, Band.CLEAR, reasons[outcome])

    def entry(self, sequence: int, outcome: Outcome = Outcome.GOOD, boot: str = "boot1") -> Entry:
        return Entry(sequence=sequence, boot=boot, outcome=outcome, reason=self.verdict(sequence, outcome).reason)

    def record(
        self, sequence: int, outcome: Outcome = Outcome.GOOD, acknowledged: bool = True, value: float | None = 1.0
    ) -> Record:
        """A part that was judged as it was settled."""
        part = self.part(sequence)
        verdict = self.verdict(sequence, outcome)
        return Record(
            sequence=sequence,
            boot="boot1",
            outcome=outcome,
            reason=verdict.reason,
            captured_us=part.capture.captured_us + sequence,
            part_ref=None,
            part=part,
            inspection=self.inspection(part, value),
            verdict=verdict,
            score=value,
            acknowledged=acknowledged,
            acknowledged_ns=part.capture.captured_ns + 20_000_000 if acknowledged else None,
        )

    def recipe(self, product: str = "ring", review: float = REVIEW, reject: float = REJECT) -> Recipe:
        zero, one = np.asarray(0, np.float32), np.asarray(1, np.float32)
        return Recipe(
            product=product,
            bundle="b" * 12,
            engine="onnxruntime",
            created="2026-01-01T00:00:00Z",
            scoring=Scoring("level", (zero,), (one,), pixel_limit=3.0),
            thresholds=Thresholds(review, reject),
            evidence=Evidence(parts=100, pictures=100, above=0, bound=0.03, confidence=0.95, asked=0.05),
            calibrate=(),
            scores=(),
            checksum=f"checksum of {product}",
        )


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll, and fail by name when it does not come true."""
    deadline = time.monotonic() + WAIT_S
    pause = threading.Event()
    for _ in itertools.count():
        if condition():
            return
        if time.monotonic() > deadline:
            pytest.fail(f"waited {WAIT_S:.0f} s in vain: {what}")
        pause.wait(0.002)


class Plant:
    """One ejector and one line, each of which can be stopped and started anew."""

    def __init__(
        self, folder: Path, endpoint: str, make: Make, until: Callable[[Callable[[], bool], str], None]
    ) -> None:
        self.folder, self.endpoint, self.make, self.until = folder, endpoint, make, until
        self.clock = SystemClock()
        self.driver = SimulatedDriver()
        self.journal: Journal | None = None
        self.ejector: Ejector | None = None
        self.link: RejectLink | None = None
        self.records: list[Record] = []
        self.faults: list[str] = []
        self.errors: list[InspectorError] = []
        self.settled = 0
        self._thread: threading.Thread | None = None

    # -- the ejector

    def start_ejector(self) -> Ejector:
        self.journal = Journal(self.folder / "journal")
        ejector = Ejector(self.endpoint, "line1", self.journal, self.driver, self.clock)
        listening = threading.Event()

        def run() -> None:
            try:
                ejector.run(on_listening=listening.set)
            except InspectorError as error:
                self.errors.append(error)

        self._thread = threading.Thread(target=run)
        self._thread.start()
        assert listening.wait(20)
        self.ejector = ejector
        return ejector

    def stop_ejector(self) -> None:
        if self.ejector and self.journal and self._thread:
            self.ejector.stop()
            self._thread.join(20)
            self.journal.close()
            self.ejector = None

    # -- the line

    def start_line(
        self, boot: str = "boot1", settled: int = 0, upcoming: int = 1, expired: Mapping[int, Entry] = NO_ENTRIES
    ) -> RejectLink:
        self.settled = settled
        self.link = RejectLink(
            endpoint=self.endpoint,
            boot=boot,
            end=LineEnd("line1", boot, settled, upcoming, expired),
            clock=self.clock,
            record=self.records.append,
            settled=lambda: self.settled,
            loop_age_ms=lambda: 0.0,
            on_fault=self.faults.append,
            beat=lambda: None,
        )
        self.link.start()
        return self.link

    def stop_line(self) -> None:
        if self.link:
            self.link.close()

    def part(self, sequence: int, window_ms: float) -> Part:
        part = self.make.part(sequence, self.make.frame(sequence, self.clock.now_ns()), window_ms)
        assert self.link is not None
        self.link.open_part(part)
        return part

    def judge(self, part: Part, outcome: Outcome = Outcome.GOOD, value: float = 1.5) -> None:
        assert self.link is not None
        self.link.send(part, self.make.inspection(part, value), self.make.verdict(part.sequence, outcome))

    # -- what came of it

    def last(self, sequence: int) -> Record | None:
        return next((record for record in reversed(self.records) if record.sequence == sequence), None)

    def settle(self, sequence: int) -> Record:
        """Wait for the acknowledgement of a part."""

        def is_settled() -> bool:
            record = self.last(sequence)
            return record is not None and record.acknowledged

        self.until(is_settled, f"part {sequence} is settled")
        record = self.last(sequence)
        assert record is not None
        return record


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run the command line in this process: exit code, standard output, standard error."""
    monkeypatch.setenv("COLUMNS", "200")  # no table is wrapped
    # The log would keep this test's standard error for the tests after it.
    for module in ("line", "engine"):
        monkeypatch.setattr(f"inspector.cli.{module}.set_up_log", lambda: None)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["inspector", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capfd.readouterr()

    return run


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture(scope="session")
def make() -> Make:
    return Make()


@pytest.fixture(scope="session")
def until() -> Until:
    return wait_until


@pytest.fixture
def endpoint() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="li") as folder:  # a socket's path may have 107 characters at most
        yield f"ipc://{folder}/link"


@pytest.fixture
def plant(
    tmp_path: Path, endpoint: str, make: Make, until: Callable[[Callable[[], bool], str], None]
) -> Iterator[Plant]:
    plant = Plant(tmp_path, endpoint, make, until)
    yield plant
    plant.stop_line()
    plant.stop_ejector()


@pytest.fixture
def running(plant: Plant) -> Plant:
    """Both are there, and the line is ready."""
    plant.start_ejector()
    assert plant.start_line().wait_ready(20)
    return plant
