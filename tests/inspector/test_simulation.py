"""The simulated belt: shipping ends keep the books, planted bugs are noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inspector.cli.simulate import BUGS
from inspector.simulation.breaks import BREAKS
from inspector.simulation.run import PER, Simulation, is_sound
from tests.inspector.conftest import Call


def simulate(folder: Path, parts: int, seed: int, bug: str | None = None) -> dict[str, Any]:
    return Simulation(folder, parts, seed, faults=True, bug=bug).run()


def test_the_books_agree_with_the_belt_through_faults_of_every_kind(tmp_path: Path) -> None:
    report = simulate(tmp_path, 800, 1)
    assert is_sound(report), report
    assert set(report["faults"]) == set(PER)
    assert min(report["faults"].values()) > 0
    assert report["passed"] > 400  # no fault may be answered by ejecting everything


def test_without_faults_every_good_part_passes_and_nothing_is_late(tmp_path: Path) -> None:
    report = Simulation(tmp_path, 300, 1, faults=False).run()
    assert is_sound(report), report
    assert report["late"] == 0
    assert report["reasons"].keys() <= {"above_limit"}
    assert report["passed"] + report["reasons"]["above_limit"] == 300


def test_the_same_seed_is_the_same_day(tmp_path: Path) -> None:
    first, again, other = (simulate(tmp_path / name, 150, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert first == again
    assert first != other


# What the observer sees of each bug. Its own facts are belt, pictures, bench, wire and bin, and the books as written.
@pytest.mark.parametrize(
    ("bug", "seen"),
    [
        ("no_dedupe", lambda report: report["trouble"].get("fates_doubled", 0)),
        ("no_deadline", lambda report: report["unproven_good"]),
        ("ack_before_write", lambda report: report["trouble"].get("acknowledged_and_lost", 0)),
        ("shift_by_one", lambda report: report["unproven_good"] and report["wrong_ejections"]),
        ("drop_error", lambda report: report["parts"] - report["one_fate"]),
    ],
)
def test_a_planted_bug_is_noticed(tmp_path: Path, bug: str, seen: Any) -> None:
    report = simulate(tmp_path, 600, 2, bug)
    assert not is_sound(report)
    assert seen(report) > 0, report


def test_every_bug_that_is_offered_can_be_planted() -> None:
    assert set(BUGS) == set(BREAKS)


def test_the_command_exits_by_what_the_observer_found(call: Call) -> None:
    code, out, _ = call("simulate", "--parts", "60", "--seed", "3", "--json")
    assert code == 0
    assert json.loads(out)["one_fate"] == 60
    code, _, err = call("simulate", "--parts", "60", "--seed", "3", "--json", "--break", "shift_by_one")
    assert code == 1
    assert "do not agree" in err


def test_an_unknown_bug_is_named(call: Call) -> None:
    code, _, err = call("simulate", "--break", "gravity")
    assert code == 1
    assert "no_dedupe" in err


def test_books_of_another_run_are_not_counted_again(call: Call, tmp_path: Path) -> None:
    (tmp_path / "history.sqlite").touch()
    code, _, err = call("simulate", "--parts", "60", "--data-dir", tmp_path)
    assert code == 1
    assert "not empty" in err
