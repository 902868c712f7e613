"""Feedback waits for an engineer, and by itself changes nothing but its own state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calibration.recipe import Recipe, save_recipe
from inspector.errors import SiteError
from inspector.history.database import data_file, open_for_writing
from inspector.history.writer import HistoryWriter, Session
from inspector.inspection import Outcome
from inspector.site import audit
from inspector.site.feedback import decide, known_parts, list_marks, mark

if TYPE_CHECKING:
    from tests.inspector.conftest import Call, Make


def part(sequence: int = 7, **more: Any) -> dict[str, Any]:
    row = {"sequence": sequence, "boot": "boot1", "product": "ring", "bundle": "b", "outcome": "REJECT"}
    return {**row, "score": 3.0, "reason": "above_limit", **more}


def test_a_mark_counts_when_an_engineer_accepted_it_and_not_before(site: sa.Connection) -> None:
    row = mark(site, part(), "good", "Otto", "dust")
    assert (row["state"], known_parts(site, "ring")) == ("open", {})
    assert decide(site, row["id"], True, "Berta", "wiped off")["state"] == "accepted"
    assert known_parts(site, "ring") == {("boot1", 7): "good"}
    assert known_parts(site, "disc") == {}
    assert [entry["action"] for entry in audit.list_entries(site, 9)] == ["feedback accept", "feedback mark"]


def test_a_refused_mark_stays_on_record_and_has_no_effect(site: sa.Connection) -> None:
    decide(site, mark(site, part(), "good", "Otto")["id"], False, "Berta", "a scratch")
    assert known_parts(site, "ring") == {}
    assert [(row["state"], row["reason"]) for row in list_marks(site)] == [("refused", "a scratch")]


def test_the_latest_accepted_mark_of_a_part_counts(site: sa.Connection) -> None:
    for says in ("good", "bad"):
        decide(site, mark(site, part(), says, "Otto")["id"], True, "Berta", "")  # type: ignore[arg-type]
    assert known_parts(site, "ring") == {("boot1", 7): "bad"}


def test_what_cannot_be_is_refused_by_name(site: sa.Connection) -> None:
    with pytest.raises(SiteError, match=r"part 9 was not judged \(overload\)"):
        mark(site, part(9, score=None, reason="overload"), "good", "Otto")
    row = mark(site, part(), "good", "Otto")
    with pytest.raises(SiteError, match="mark 1 of part 7 is open"):
        mark(site, part(), "bad", "Emil")
    with pytest.raises(SiteError, match="no mark 5"):
        decide(site, 5, True, "Berta", "")
    with pytest.raises(SiteError, match="--engineer"):
        decide(site, row["id"], True, " ", "")
    decide(site, row["id"], False, "Berta", "")
    with pytest.raises(SiteError, match="mark 1 was refused by Berta"):
        decide(site, row["id"], True, "Berta", "")


@pytest.mark.parametrize("forgery", ["state = 'accepted'", "says = 'bad'", "sequence = 8"])
def test_a_row_that_the_audit_log_does_not_know_so_is_not_used(site: sa.Connection, forgery: str) -> None:
    number = mark(site, part(), "good", "Otto")["id"]
    if "state" not in forgery:
        decide(site, number, True, "Berta", "")
    site.exec_driver_sql(f"UPDATE feedback SET {forgery}")
    with pytest.raises(SiteError, match="doesn't vouch for mark 1"):
        known_parts(site, "ring")


@pytest.fixture
def call(call: Call, tmp_path: Path, make: Make, tiny_recipe: Recipe) -> Call:
    """`inspector` on a product with a recipe and four judged parts, the last two rejected."""
    folder = tmp_path / "products" / "ring" / "recipes"
    folder.mkdir(parents=True)
    saved = save_recipe(folder, tiny_recipe)
    engine = open_for_writing(data_file(tmp_path))
    writer = HistoryWriter(engine, Session("boot1", "line1", 1, "ring", "camera", "onnxruntime", "0.1.0"), saved)
    outcomes = (Outcome.GOOD, Outcome.GOOD, Outcome.REJECT, Outcome.REJECT)
    writer.write([make.record(number, outcome) for number, outcome in enumerate(outcomes, 1)])
    engine.dispose()

    return lambda *arguments: call(*arguments, "--data-dir", tmp_path)


def test_the_commands_mark_decide_list_and_audit(call: Call) -> None:
    assert "No part is marked" in call("feedback", "list")[1]
    assert "Nobody has decided" in call("audit", "list")[1]
    code, out, _ = call("feedback", "mark", 3, "good", "--operator", "Otto", "--note", "dust", "--json")
    assert (code, json.loads(out)["state"]) == (0, "open")
    assert call("feedback", "accept", 1, "--engineer", "Berta", "--reason", "wiped off")[0] == 0
    assert "dust" in call("feedback", "list", "--state", "accepted")[1]
    assert "No part is marked" in call("feedback", "list", "--state", "open")[1]
    actions = [row["action"] for row in json.loads(call("audit", "list", "--json")[1])]
    assert actions == ["feedback accept", "feedback mark"]
    assert "Berta" in call("audit", "list")[1]
    verified = json.loads(call("audit", "verify", "--json")[1])
    assert (verified["entries"], verified["fault"]) == (2, "")
    code, _, err = call("audit", "verify", "--noted", "f" * 64)
    assert code == 1
    assert "cut off" in err


def test_the_commands_say_what_is_wrong(call: Call) -> None:
    assert "no part 99" in call("feedback", "mark", 99, "good")[2]
    assert "'fine'" in call("feedback", "mark", 3, "fine")[2]
    assert "no mark 5" in call("feedback", "refuse", 5, "--engineer", "Berta", "--reason", "why")[2]


acts = st.one_of(
    st.tuples(st.just("mark"), st.integers(1, 4), st.sampled_from(["good", "bad"])),
    st.tuples(st.sampled_from(["accept", "refuse"]), st.integers(1, 4), st.just("")),
)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(acts, min_size=1, max_size=4))
def test_no_order_of_marks_and_decisions_changes_a_product(
    call: Call, tmp_path: Path, todo: list[tuple[str, int, str]]
) -> None:
    home = tmp_path / "products"
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert before
    for verb, number, says in todo:
        more = (says,) if says else ("--engineer", "Berta", "--reason", "why")
        call("feedback", verb, number, *more)
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before
    assert json.loads(call("audit", "verify", "--json")[1])["fault"] == ""
