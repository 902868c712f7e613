"""Stored scores judged again."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.recipe import Recipe, save_recipe
from calibration.thresholds import Thresholds
from engines.scoring import Score
from inspector.history.database import data_file, open_for_writing
from inspector.history.writer import HistoryWriter, Session
from inspector.inspection import Outcome
from inspector.judge import judge
from inspector.site.database import writing
from inspector.site.feedback import Says, decide, mark
from inspector.what_if import what_if

if TYPE_CHECKING:
    from tests.inspector.conftest import Call, Make


def row(sequence: int, outcome: Outcome, score: float | None, **more: Any) -> dict[str, Any]:
    known = {"boot": "b1", "captured_us": 1_000_000, "part_ref": None, "recipe": "r", "area": 0.0, "zone_scores": None}
    return {"sequence": sequence, "outcome": outcome.value, "score": score, **known, **more}


@given(st.lists(st.floats(-10, 10)), st.floats(-10, 10), st.floats(0, 5))
def test_stored_scores_get_the_outcome_that_the_line_would_give(
    make: Make, scores: list[float], review: float, width: float
) -> None:
    limits = Thresholds(review, review + width)
    rows = [row(number, Outcome.GOOD, value) for number, value in enumerate(scores)]
    found = what_if(rows, limits, {"r"})
    recipe = make.recipe(review=limits.review, reject=limits.reject)
    told = [judge(make.inspection(make.part(n), value), recipe).outcome for n, value in enumerate(scores)]
    assert found.after == {outcome: told.count(outcome) for outcome in (Outcome.GOOD, Outcome.REJECT)}
    assert {change.sequence for change in found.changes} == {n for n, o in enumerate(told) if o is not Outcome.GOOD}


@given(st.lists(st.tuples(*[st.floats(-5, 5)] * 2, st.floats(0, 1))), *[st.floats(-5, 5)] * 2, st.floats(0, 1))
def test_zones_and_area_are_judged_again_as_the_line_judges(
    make: Make, parts: list[tuple[float, float, float]], review: float, rim: float, area: float
) -> None:
    limits = Thresholds(review, review + 1, {"area": area, "zone:rim": rim})
    recipe = dataclasses.replace(make.recipe(), thresholds=limits)
    rows, told = [], []
    for number, (value, zone, share) in enumerate(parts):
        rows.append(row(number, Outcome.GOOD, value, zone_scores={"rim": zone}, area=share))
        seen = Score(value, (0.5, 0.5), share, {"rim": zone})
        told.append(judge(dataclasses.replace(make.inspection(make.part(number), value), score=seen), recipe).outcome)
    found = what_if(rows, limits, {"r"})
    assert {change.sequence for change in found.changes} == {n for n, o in enumerate(told) if o is not Outcome.GOOD}
    assert found.parts == len(parts)


def test_the_limits_that_judged_change_nothing() -> None:
    rows = [row(1, Outcome.GOOD, 1.0), row(2, Outcome.REJECT, 3.0)]
    found = what_if(rows, Thresholds(2.0, 2.5), {"r"})
    assert (found.before, found.changes) == (found.after, [])


def test_errors_stay_and_parts_of_other_bundles_or_masks_are_left_out_and_both_are_counted() -> None:
    rows = [
        row(1, Outcome.ERROR, 0.1),
        row(2, Outcome.REJECT, None),
        row(3, Outcome.GOOD, 0.1, recipe="other"),
        row(4, Outcome.REJECT, math.inf),
    ]
    found = what_if(rows, Thresholds(1.0, 1.0), {"r"})
    assert (found.parts, found.errors, found.not_comparable, found.changes) == (1, 2, 1, [])
    assert "2 stay ERROR" in found.sentence()
    assert "1 were judged with another bundle" in found.sentence()


def test_the_parts_that_change_are_counted_by_what_people_said_of_them() -> None:
    rows = [row(number, Outcome.REJECT, 2.5) for number in range(5)] + [row(9, Outcome.REJECT, 9.0)]
    marks = {
        ("b1", 0): ("good", "operator"), ("b1", 1): ("good", "engineer"), ("b1", 2): ("bad", "engineer"),
        ("b1", 9): ("bad", "operator"), ("another run", 3): ("bad", "engineer"),
    }  # fmt: skip
    found = what_if(rows, Thresholds(3.0, 4.0), {"r"}, marks)
    assert found.marks == {"good": {"operator": 1, "engineer": 1}, "bad": {"operator": 0, "engineer": 1}}
    assert found.sentence() == (
        "6 parts: 6 -> 1 rejects; 5 parts change; 2 of those that change were marked good (1 accepted by an engineer); "
        "1 of those that change was marked bad (1 accepted by an engineer); 1 marked bad would PASS"
    )


def test_a_user_sees_what_was_said_of_the_parts_that_change(call: Call, shift: Path) -> None:
    with writing(shift) as site:
        for number, says in ((3, "good"), (4, "bad"), (5, "good")):
            known = {
                "boot": "boot1",
                "score": 1.0,
                "reason": None,
                "outcome": "REJECT",
                "product": "ring",
                "bundle": "b",
            }
            part = {"sequence": number, **known}
            mark(site, part, cast(Says, says), "Otto")
        decide(site, 1, True, "Berta", "dust")
        decide(site, 2, False, "Berta", "no fault to see")
    _, out, _ = call("--review", 3, "--reject", 3, "--json")
    facts = json.loads(out)
    assert facts["marks"] == {"good": {"operator": 0, "engineer": 1}, "bad": {"operator": 0, "engineer": 0}}
    assert [(change["marked"], change["by"]) for change in facts["changes"]] == [("good", "engineer"), ("", "")]
    _, out, _ = call("--review", 3, "--reject", 3)
    assert "good (engineer)" in out
    assert "1 of those that change was marked good (1 accepted by an engineer)" in out


def test_a_zone_limit_rejects_what_the_whole_score_passes() -> None:
    rows = [
        row(1, Outcome.GOOD, 0.5, zone_scores={"rim": 3.0}),
        row(2, Outcome.GOOD, 0.5, zone_scores={"rim": 1.0}),
        row(3, Outcome.GOOD, 0.5, zone_scores={"rim": math.nan}),
        row(4, Outcome.GOOD, 0.5),
    ]
    found = what_if(rows, Thresholds(1.0, 1.0, {"zone:rim": 2.0}), {"r"})
    assert [change.sequence for change in found.changes] == [1, 3]
    assert found.changes[0].why == "zone:rim 3 above 2"
    assert found.without_rule == 1


@pytest.fixture
def shift(tmp_path: Path, make: Make, tiny_recipe: Recipe) -> Path:
    """A data directory with five judged parts."""
    folder = tmp_path / "products" / "ring" / "recipes"
    folder.mkdir(parents=True)
    recipe = save_recipe(folder, tiny_recipe)
    engine = open_for_writing(data_file(tmp_path))
    writer = HistoryWriter(engine, Session("boot1", "line1", 1, "ring", "camera", "onnxruntime", "0.1.0"), recipe)
    outcomes = [Outcome.GOOD, Outcome.GOOD, Outcome.REJECT, Outcome.REJECT, Outcome.REJECT]
    writer.write([make.record(n + 1, outcome, value=float(n)) for n, outcome in enumerate(outcomes)])
    engine.dispose()
    return tmp_path


@pytest.fixture
def call(call: Call, shift: Path) -> Call:
    """`inspector what-if` on the shift's data."""
    return lambda *arguments: call("what-if", "ring", *arguments, "--data-dir", shift)


def test_a_user_sees_how_many_rejects_become_how_many_and_which(call: Call) -> None:
    code, out, _ = call("--review", 3, "--reject", 3, "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["sentence"] == "5 parts: 3 -> 1 rejects; 2 parts change"
    assert [change["sequence"] for change in facts["changes"]] == [3, 4]
    _, out, _ = call("--review", 3, "--reject", 3)
    assert "3 -> 1 rejects" in out
    assert "REJECT  GOOD" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "propose limits"),
        (("--review", 1, "--version", "1"), "propose either"),
        (("--review", 5, "--reject", 4), "must not be above"),
        (("--zone", "rim"), "rim=2.5"),
        (("--zone", "rim=wide"), "NAME=LIMIT"),
        (("--area-mm2", 3), "needs the camera's scale"),
        (("--area-mm2", 3, "--area-px", 3), "exclude each other"),
        (("--version", "7"), "there are: 0001"),
    ],
)
def test_a_proposal_that_cannot_be_is_explained(call: Call, arguments: tuple[object, ...], complaint: str) -> None:
    code, _, err = call(*arguments)
    assert code == 1
    assert complaint in err
