"""What the Line view knows: from history and control socket, and never more than they say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from inspector.control import Control, Listed
from inspector.history.database import data_file, open_for_writing
from inspector.history.writer import HistoryWriter, Session
from inspector.inspection import Outcome
from inspector.page import watch as module
from inspector.page.line_view import facts, head
from inspector.page.watch import Sight, Watch, per_minute

if TYPE_CHECKING:
    from tests.inspector.conftest import Make

LISTED = Listed("ring", "0123456789abcdef", "onnxruntime", "", "", {})
GOOD: dict[str, Any] = {"sequence": 7, "outcome": "GOOD", "reason": None, "engine": "onnxruntime"}


@pytest.fixture
def writer(tmp_path: Path, make: Make) -> Iterator[HistoryWriter]:
    engine = open_for_writing(data_file(tmp_path))
    yield HistoryWriter(engine, Session("boot1", "line1", 1, "ring", "camera", "onnxruntime", "0.1.0"), make.recipe())
    engine.dispose()


def test_a_good_of_a_line_that_does_not_answer_is_not_shown_as_good() -> None:
    assert head(Sight(part=GOOD, listed=LISTED)) == ("GOOD", "")
    assert head(Sight(part=GOOD, listed=None, trouble="no line runs")) == ("", "no line runs")


def test_a_part_without_a_verdict_is_no_good_part() -> None:
    assert head(Sight(part={**GOOD, "outcome": None}, listed=LISTED))[0] == "ERROR"


def test_what_is_not_known_is_a_dash() -> None:
    assert set(facts(Sight()).values()) == {"-"}
    assert facts(Sight(part=GOOD, listed=LISTED, margin_ms=-3.2, per_minute=59.6)) == {
        "product": "ring", "recipe": "0123456789ab", "engine": "onnxruntime", "rate": "60", "margin": "-3 ms",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("times", "expected"),
    [([], None), ([5], None), ([5, 5], None), ([0, 1_000_000, 2_000_000], 60.0), ([0, None, 500_000], 120.0)],
)
def test_the_rate_is_that_of_the_parts_that_have_a_time(times: list[int | None], expected: float | None) -> None:
    assert per_minute([{"captured_us": time_us} for time_us in times]) == expected


def test_a_folder_without_a_line_and_a_history_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.01)
    sight = Watch(tmp_path).look()
    assert sight.part is None
    assert "no line runs" in sight.trouble


def test_a_look_sees_the_newest_part_and_serves_whoever_looks_at_once(
    tmp_path: Path, writer: HistoryWriter, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = Control(tmp_path, lambda request: LISTED)
    control.start()
    now_us = time.time_ns() // 1000
    written = [replace(make.record(number, outcome), captured_us=now_us + number)
               for number, outcome in ((1, Outcome.GOOD), (2, Outcome.REJECT))]  # fmt: skip
    writer.write(written[:1])
    watch = Watch(tmp_path)
    first = watch.look()
    assert head(first)[0] == "GOOD"
    assert first.listed == LISTED
    writer.write(written[1:])
    assert watch.look() is first, "two who look at once cost one look"
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    second = watch.look()
    assert head(second) == ("REJECT", "above_limit")
    assert (second.counts["triggers"], second.counts["good"], second.counts["reject"]) == (2, 1, 1)
    control.close()


def test_a_history_that_cannot_be_read_is_told_and_nothing_is_counted(tmp_path: Path) -> None:
    data_file(tmp_path).write_bytes(b"no database at all" * 1000)
    control = Control(tmp_path, lambda request: LISTED)
    control.start()
    sight = Watch(tmp_path).look()
    control.close()
    assert (sight.part, sight.counts) == (None, {})
    assert "not a database" in head(sight)[1]
