"""The gate: what became of a part is written before the part is let through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inspector.drivers import SimulatedDriver
from inspector.errors import JournalError
from inspector.gate import Gate, TimedBelt
from inspector.inspection import Outcome
from inspector.messages import Entry
from inspector.tracking import Layout, Tracker

if TYPE_CHECKING:
    from tests.inspector.conftest import Make

LAYOUT = Layout(gate=300, reach=8, sensor=None, tolerance=8)


class WatchfulDriver(SimulatedDriver):
    """Notes what it was told, and what stood in the file by then."""

    def __init__(self, fates: Path) -> None:
        super().__init__()
        self.fates = fates
        self.moves: list[str] = []

    def let_pass(self, entry: Entry) -> None:
        assert f'"sequence":{entry.sequence},"passed":true' in self.fates.read_text()
        self.moves.append("open")

    def eject(self, entry: Entry) -> None:
        self.moves.append("eject")

    def rest(self) -> None:
        self.moves.append("rest")


def make_gate(folder: Path, limit_bytes: int = 10**6) -> tuple[Gate, WatchfulDriver]:
    driver = WatchfulDriver(folder / "fates.jsonl")
    return Gate(Tracker(LAYOUT), TimedBelt(), driver, driver.fates, limit_bytes), driver


def test_a_fate_is_written_before_the_gate_opens_for_it(tmp_path: Path, make: Make) -> None:
    gate, driver = make_gate(tmp_path)
    gate.turn(100, True)
    gate.told(make.entry(1), 100)
    gate.turn(392, True)
    gate.turn(408, True)
    assert driver.moves == ["open", "rest"]
    gate.close()


def test_a_rejected_part_leaves_the_gate_at_rest(tmp_path: Path, make: Make) -> None:
    gate, driver = make_gate(tmp_path)
    gate.turn(100, True)
    gate.told(make.entry(1, outcome=Outcome.REJECT), 100)
    gate.turn(500, True)
    assert driver.moves == ["eject"]
    assert gate.counts == {"not_good": 1}
    gate.close()


def test_a_good_cannot_pass_for_a_part_whose_place_is_not_known(tmp_path: Path) -> None:
    gate, _ = make_gate(tmp_path)
    gate.turn(100, True)
    assert gate.can_pass(100)
    assert not gate.can_pass(None)
    assert not gate.can_pass(99)  # before this run looked at the belt
    gate.close()


def test_a_full_file_makes_room_for_another(tmp_path: Path, make: Make) -> None:
    gate, _ = make_gate(tmp_path, limit_bytes=100)
    for number in range(1, 9):
        gate.turn(number * 100, True)
        gate.told(make.entry(number), number * 100)
    gate.turn(2_000, True)
    gate.close()
    kept = [path.name for path in sorted(tmp_path.iterdir())]
    assert kept == ["fates-old.jsonl", "fates.jsonl"]
    newest = [json.loads(line)["sequence"] for line in (tmp_path / "fates.jsonl").read_text().splitlines()]
    assert newest[-1] == 8
    assert (tmp_path / "fates.jsonl").stat().st_size < 200


def test_fates_that_cannot_be_kept_are_named(tmp_path: Path) -> None:
    (tmp_path / "fates.jsonl").mkdir()
    with pytest.raises(JournalError, match=r"fates\.jsonl"):
        make_gate(tmp_path)
