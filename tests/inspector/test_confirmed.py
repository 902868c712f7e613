"""A stretch of the history that an engineer confirms."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from calibration.errors import SampleError
from calibration.recipe import Recipe, load_recipe, save_recipe
from calibration.thresholds import find_thresholds
from engines.bundle import Bundle, save_bundle
from inspector.confirmed import confirmed_parts
from inspector.history.database import data_file, open_for_writing
from inspector.history.writer import HistoryWriter, Session
from inspector.inspection import Outcome
from inspector.site import audit
from inspector.site.database import reading, writing
from inspector.site.feedback import decide, mark

if TYPE_CHECKING:
    from tests.inspector.conftest import Call, Make


def row(sequence: int, score: float | None = 1.0, **more: Any) -> dict[str, Any]:
    judged = {"outcome": "GOOD", "judged": None, "reason": None}
    known = {**judged, "bundle": "b", "recipe": "r", "area": 0.0, "zone_scores": None, "boot": "boot1"}
    return {"sequence": sequence, "score": score, **known, **more}


def test_a_stretch_is_taken_whole_but_for_its_bad_parts() -> None:
    rows = [row(number, float(number)) for number in range(10)]
    found = confirmed_parts(rows, {"r"}, 3, 7, [5])
    assert [(part.name, part.score) for part in found] == [
        ("boot1/3", 3.0), ("boot1/4", 4.0), ("boot1/6", 6.0), ("boot1/7", 7.0)
    ]  # fmt: skip


def test_a_part_that_was_not_found_counts_and_one_that_nobody_looked_at_does_not() -> None:
    rows = [row(1, None, reason="part_not_found"), row(2, None, reason="overload", recipe=None)]
    assert [(part.name, part.score) for part in confirmed_parts(rows, {"r"}, 1, 2, [])] == [("boot1/1", math.inf)]


def test_parts_of_another_bundle_and_bad_parts_elsewhere_are_refused() -> None:
    with pytest.raises(SampleError, match="part 2 was judged with another bundle"):
        confirmed_parts([row(1), row(2, recipe="other")], {"r"}, 1, 2, [])
    with pytest.raises(SampleError, match="bad part 9 lies outside 1 to 2"):
        confirmed_parts([row(1)], {"r"}, 1, 2, [9])


def test_accepted_marks_say_which_rejects_are_good_and_which_passed_parts_are_bad() -> None:
    rows = [row(1), row(2, outcome="REJECT"), row(3), row(4, outcome="REJECT"), row(5, outcome="REJECT")]
    known = {("boot1", 2): "good", ("boot1", 3): "bad", ("boot1", 5): "bad", ("boot0", 4): "good"}
    found = confirmed_parts(rows, {"r"}, 1, 5, [4], known)
    assert [part.name for part in found] == ["boot1/1", "boot1/2"]
    with pytest.raises(SampleError, match="part 4 was judged REJECT; give --bad 4"):
        confirmed_parts(rows, {"r"}, 1, 5, [], known)


def test_parts_of_a_held_line_do_not_count_and_a_late_reject_is_a_reject() -> None:
    rows = [row(1), row(2, outcome="ERROR", reason="not_released", judged="GOOD")]
    assert [part.name for part in confirmed_parts(rows, {"r"}, 1, 2, [])] == ["boot1/1"]
    with pytest.raises(SampleError, match="part 3 was judged REJECT"):
        confirmed_parts([row(3, outcome="ERROR", reason="late", judged="REJECT")], {"r"}, 3, 3, [])


def test_a_stretch_with_an_open_mark_is_not_confirmed() -> None:
    rows = [row(1), row(2)]
    with pytest.raises(SampleError, match="a mark of part 2 is open"):
        confirmed_parts(rows, {"r"}, 1, 2, [], undecided={("boot1", 2)})
    assert len(confirmed_parts(rows, {"r"}, 1, 1, [], undecided={("boot1", 2), ("boot0", 1)})) == 1


@pytest.fixture
def call(call: Call, tmp_path: Path, make: Make, tiny_bundle: Bundle, tiny_recipe: Recipe) -> Call:
    """`inspector recipe` on a provisional recipe and forty judged parts."""
    prints = tuple(f"{number:064x}" for number in range(30))
    scores = tuple(float(number) for number in range(30))
    thresholds, evidence = find_thresholds(scores, prints, 0.05, 0.95, method="provisional")
    recipe = dataclasses.replace(
        tiny_recipe, thresholds=thresholds, evidence=evidence, calibrate=prints, scores=scores, groups=prints
    )
    home = tmp_path / "products" / "ring"
    save_bundle(home / "bundles", tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring)
    folder = home / "recipes"
    folder.mkdir()
    saved = save_recipe(folder, recipe)
    engine = open_for_writing(data_file(tmp_path))
    writer = HistoryWriter(engine, Session("boot1", "line1", 1, "ring", "camera", "onnxruntime", "0.1.0"), saved)
    bad = {8: Outcome.REJECT}
    writer.write([make.record(number, bad.get(number, Outcome.GOOD), value=number / 10) for number in range(1, 41)])
    engine.dispose()

    return lambda *arguments: call("recipe", *arguments, "--data-dir", tmp_path)


def test_an_engineer_completes_a_provisional_recipe_and_it_is_on_record(call: Call, tmp_path: Path) -> None:
    stretch = ("confirm", "ring", "--first", 1, "--last", 40, "--engineer", "Berta", "--json")
    with writing(tmp_path) as site:
        number = mark(site, {**row(7), "product": "ring"}, "bad", "Otto")["id"]
    code, _, err = call(*stretch, "--bad", 8)
    assert (code, "a mark of part 7 is open" in err) == (1, True)
    with writing(tmp_path) as site:
        decide(site, number, True, "Berta", "a scratch")
    assert "part 8 was judged REJECT" in call(*stretch)[2]
    code, out, _ = call(*stretch, "--bad", 8)
    assert code == 0
    assert json.loads(out)["sentence"].startswith("68 parts: at most 4.4% false rejects")
    recipe = load_recipe(tmp_path / "products" / "ring" / "recipes")
    assert (recipe.evidence.method, recipe.evidence.reaches_asked, recipe.evidence.operator) == ("order", True, "Berta")
    _, out, _ = call("log", "ring", "--json")
    assert json.loads(out)[-1]["reason"] == "confirmed by Berta: parts 1 to 40, 1 bad"
    with reading(tmp_path) as site:
        assert site is not None
        (newest,) = audit.list_entries(site, 1)
    assert (newest["action"], newest["subject"]) == ("recipe confirm", f"recipe {recipe.checksum}")
    assert newest["detail"] == {"product": "ring", "first": 1, "last": 40, "bad": [8], "parts": 38}
    code, _, err = call("confirm", "ring", "--first", 1, "--last", 40, "--engineer", " ")
    assert code == 1
    assert "--engineer" in err
