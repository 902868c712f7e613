"""A real line is held from its start, and released by challenge parts that came out right."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import cv2
import pytest

from inspector.cameras.synthetic import draw_part
from inspector.cli import main
from inspector.history.database import data_file, open_for_reading
from inspector.history.ledger import summarise
from inspector.history.queries import Filter, each_part

TRIES = 12  # the belt of this test never stops, so that which part is the next one is a throw of a coin


Call = Callable[..., Any]


@pytest.fixture
def inspector(rig: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """`inspector challenge` in this process: a new one per try would take longer than the challenge."""

    def call(verb: str, *arguments: str) -> Any:
        where = ["--config", str(rig.folder / "line.toml")] if verb == "run" else ["--data-dir", str(rig.folder)]
        monkeypatch.setattr(sys, "argv", ["inspector", "challenge", verb, *arguments, *where, "--json"])
        with pytest.raises(SystemExit):
            main()
        out, err = capfd.readouterr()
        assert out, err + rig.log()
        return json.loads(out)

    return call


@pytest.mark.slow
def test_no_part_is_good_before_a_challenge_passed(rig: Any, inspector: Call) -> None:
    pictures = rig.folder / "pictures"
    pictures.mkdir()
    for number in range(40):
        cv2.imwrite(str(pictures / f"{number:02}.png"), draw_part(21, number, bool(number % 2), 64))
    rig.config["camera"] = {"kind": "replay", "folder": str(pictures), "repeat": True, "rate_hz": 7}
    rig.config["line"]["challenge"] = ["start"]
    rig.start("ejector", "line")
    rig.wait_for_parts(20)
    inspector("define", "ring", "--part", "fine=good", "--part", "cut=bad", "--engineer", "Berta")
    states = []
    while "passed" not in states and len(states) < TRIES:
        told = inspector("run", "--operator", "Otto")
        states.append(told["state"])
    assert states[-1] == "passed", (states, told, rig.log())
    before = rig.passed
    rig.wait_for_parts(before + 30)
    rig.processes["line"].terminate()
    assert rig.wait_for_line() == 0, rig.log()
    history = open_for_reading(data_file(rig.folder))
    ledger, rows = summarise(history, Filter(), recount=True), list(each_part(history, Filter()))
    assert (ledger["triggers"], ledger["balanced"]) == (rig.passed, True)
    last = told["findings"][-1]["sequence"]
    held, free = [row for row in rows if row["sequence"] <= last], [row for row in rows if row["sequence"] > last + 20]
    assert {(row["outcome"], row["reason"]) for row in held} == {("ERROR", "not_released")}
    assert {row["judged"] for row in held} == {"GOOD", "REJECT"}
    assert {row["outcome"] for row in free} == {"GOOD", "REJECT"}
