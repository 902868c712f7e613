"""A challenge passes in one way only: every part came, was held, was acknowledged, and was judged as it must."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from inspector.errors import SiteError
from inspector.history.database import data_file, open_for_reading, open_for_writing
from inspector.history.writer import HistoryWriter, Session
from inspector.inspection import Outcome
from inspector.site.challenge import begin, define, examine, finish, list_challenges, next_parts, passed

if TYPE_CHECKING:
    from tests.inspector.conftest import Make

PARTS = [("fine", "good"), ("cut", "bad")]


def row(judged: str, **more: Any) -> dict[str, Any]:
    held = {"sequence": 1, "recipe": "r1", "outcome": "ERROR", "reason": "not_released", "acknowledged": True}
    return {**held, "judged": judged, "score": 1.0, **more}


def faults(*rows: dict[str, Any]) -> list[str]:
    return [finding["fault"] for finding in examine(PARTS, "r1", rows)]


def test_parts_that_come_out_right_pass_and_the_record_says_what_came(site: sa.Connection) -> None:
    define(site, "ring", PARTS, "Berta")
    begun = begin(site, "line1", "ring", "r1", "Otto")
    done = finish(site, begun, examine(PARTS, "r1", [row("GOOD"), row("REJECT", sequence=2)]))
    assert done["state"] == "passed"
    assert [(found["name"], found["sequence"], found["judged"]) for found in done["findings"]] == [
        ("fine", 1, "GOOD"), ("cut", 2, "REJECT")
    ]  # fmt: skip
    assert passed(site, "line1") == {"r1": begun["started_us"]}
    with pytest.raises(SiteError, match="not open any more"):
        finish(site, begun, [])


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"judged": "GOOD"}, "judged GOOD instead of REJECT"),
        ({"judged": None}, "judged None"),
        ({"recipe": "r2"}, "another recipe"),
        ({"outcome": "GOOD", "reason": None}, "GOOD instead of not_released"),
        ({"reason": "late"}, "ERROR late instead of not_released"),
        ({"acknowledged": False}, "not acknowledged"),
    ],
)
def test_anything_else_fails_and_says_why(site: sa.Connection, wrong: dict[str, Any], fault: str) -> None:
    rows = [row("GOOD"), {**row("REJECT", sequence=2), **wrong}]
    assert faults(*rows)[0] == ""
    assert fault in faults(*rows)[1]
    define(site, "ring", PARTS, "Berta")
    assert finish(site, begin(site, "line1", "ring", "r1", "Otto"), examine(PARTS, "r1", rows))["state"] == "failed"
    assert passed(site, "line1") == {}


def test_a_part_that_does_not_come_fails(site: sa.Connection) -> None:
    assert faults(row("GOOD")) == ["", "did not come"]


def test_a_killed_or_failed_challenge_hides_the_one_that_passed_before(site: sa.Connection) -> None:
    define(site, "ring", PARTS, "Berta")
    right = examine(PARTS, "r1", [row("GOOD"), row("REJECT")])
    finish(site, begin(site, "line1", "ring", "r1", "Otto"), right)
    killed = begin(site, "line1", "ring", "r1", "Otto")
    assert passed(site, "line1") == {}
    finish(site, killed, [])
    assert passed(site, "line1") == {}
    finish(site, begin(site, "line1", "ring", "r1", "Otto"), right)
    assert list(passed(site, "line1")) == ["r1"]
    assert [known["state"] for known in list_challenges(site, 9)] == ["passed", "failed", "passed"]


@pytest.mark.parametrize(
    "forgery", ["UPDATE challenges SET state = 'passed'", "UPDATE challenge_sets SET parts = '[]'"]
)
def test_what_was_changed_behind_the_audit_log_does_not_count(site: sa.Connection, forgery: str) -> None:
    define(site, "ring", PARTS, "Berta")
    finish(site, begin(site, "line1", "ring", "r1", "Otto"), [])
    site.exec_driver_sql(forgery)
    assert passed(site, "line1") == {}
    if "challenge_sets" in forgery:
        with pytest.raises(SiteError, match="doesn't vouch"):
            begin(site, "line1", "ring", "r1", "Otto")


def test_a_set_needs_a_good_and_a_bad_part_and_the_newest_counts(site: sa.Connection) -> None:
    for parts in ([("fine", "good")], [("cut", "bad")], [], [("fine", "good"), ("cut", "odd"), ("dent", "bad")]):
        with pytest.raises(SiteError, match="at least one good and one bad"):
            define(site, "ring", parts, "Berta")
    with pytest.raises(SiteError, match="one name"):
        define(site, "ring", [("a", "good"), ("a", "bad")], "Berta")
    with pytest.raises(SiteError, match="has no challenge parts"):
        begin(site, "line1", "ring", "r1", "Otto")
    define(site, "ring", PARTS, "Berta")
    define(site, "ring", list(reversed(PARTS)), "Berta")
    assert begin(site, "line1", "ring", "r1", "Otto")["parts"] == [["cut", "bad"], ["fine", "good"]]


def test_the_next_parts_are_those_from_a_moment_on_without_a_gap(tmp_path: Path, make: Make) -> None:
    engine = open_for_writing(data_file(tmp_path))
    session = Session("boot1", "line1", 1, "ring", "camera", "onnxruntime", "0.1.0")
    writer = HistoryWriter(engine, session, make.recipe())
    writer.write([make.record(number, Outcome.GOOD) for number in (1, 2, 3, 4, 6)])
    engine.dispose()
    history, zero = open_for_reading(data_file(tmp_path)), make.frame().captured_us
    assert [part["sequence"] for part in next_parts(history, zero + 2, 2, 5.0)] == [2, 3]
    assert [part["sequence"] for part in next_parts(history, zero + 6, 2, 0.0)] == [6]
