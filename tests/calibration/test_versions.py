"""Versions of a recipe: nothing changes without a trace."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.changes import CHANGES, read_changes
from calibration.errors import CalibrationError, RecipeError
from calibration.recipe import TEXT, Recipe, load_recipe, save_recipe
from calibration.thresholds import Thresholds, find_thresholds
from calibration.versions import comparable, differences, facts, list_versions, read_named, roll_back, set_limits

SCORES = tuple(float(value) for value in range(60))


@pytest.fixture(scope="module")
def calibrated(tiny_recipe: Recipe) -> Recipe:
    """Sixty parts that scored 0 to 59, two of which may lie above the limit."""
    names = tuple(f"{number:064x}" for number in range(60))
    thresholds, evidence = find_thresholds(SCORES, names, 0.11, 0.95)
    assert (thresholds.review, evidence.above) == (57.0, 2)
    return dataclasses.replace(
        tiny_recipe, thresholds=thresholds, evidence=evidence, calibrate=names, scores=SCORES, groups=names, checksum=""
    )


def test_going_back_gives_the_old_recipe_byte_for_byte_and_is_noted(tmp_path: Path, calibrated: Recipe) -> None:
    first = save_recipe(tmp_path, calibrated)
    save_recipe(tmp_path, dataclasses.replace(calibrated, thresholds=Thresholds(1.0, 2.0)))
    assert roll_back(tmp_path, "1", "anna", "lamp taken out").checksum == first.checksum
    assert load_recipe(tmp_path).checksum == first.checksum
    assert [(change.version, change.operator, change.reason) for change in read_changes(tmp_path)] == [
        ("0001", "", "calibrated"),
        ("0002", "", "calibrated"),
        ("0001", "anna", "rolled back: lamp taken out"),
    ]
    assert [version.is_active for version in list_versions(tmp_path)] == [True, False]


def test_going_back_needs_a_version_that_is_there_and_a_reason(tmp_path: Path, calibrated: Recipe) -> None:
    save_recipe(tmp_path, calibrated)
    with pytest.raises(RecipeError, match="there are: 0001"):
        roll_back(tmp_path, "0007", "anna", "why not")
    with pytest.raises(RecipeError, match="reason"):
        roll_back(tmp_path, "0001", "anna", " ")
    with pytest.raises(RecipeError, match="no version"):
        read_named(tmp_path, "../0001")


def test_a_changed_version_is_listed_with_its_fault_and_not_gone_back_to(tmp_path: Path, calibrated: Recipe) -> None:
    save_recipe(tmp_path, calibrated)
    save_recipe(tmp_path, calibrated)
    text = tmp_path / "0001" / TEXT
    text.write_text(text.read_text().replace("review = 57.0", "review = 99.0"))
    first, second = list_versions(tmp_path)
    assert first.recipe is None
    assert "changed since calibration" in first.fault
    assert second.recipe is not None
    with pytest.raises(RecipeError, match="changed since calibration"):
        roll_back(tmp_path, "0001", "anna", "because")


def test_a_torn_line_in_the_log_does_not_hide_the_others(tmp_path: Path, calibrated: Recipe) -> None:
    save_recipe(tmp_path, calibrated)
    with open(tmp_path / CHANGES, "ab") as file:
        file.write(b'{"at":"2026-')
    assert [change.version for change in read_changes(tmp_path)] == ["0001"]
    save_recipe(tmp_path, calibrated)
    assert [change.version for change in read_changes(tmp_path)] == ["0001", "0002"]


def test_the_difference_of_two_recipes_names_what_changed(tmp_path: Path, calibrated: Recipe) -> None:
    found = differences(
        calibrated, dataclasses.replace(calibrated, thresholds=Thresholds(1.0, 59.0), engine="openvino")
    )
    assert found == {"limit.review": (57.0, 1.0), "engine": ("onnxruntime", "openvino")}
    assert differences(calibrated, calibrated) == {}
    assert facts(calibrated)["evidence.parts"] == 60


@pytest.mark.parametrize(("review", "reject"), [(60.0, None), (56.0, None), (57.0, 61.0)])
def test_limits_outside_the_calibrated_ones_need_a_signature(
    calibrated: Recipe, review: float, reject: float | None
) -> None:
    with pytest.raises(CalibrationError, match="an engineer must sign"):
        set_limits(calibrated, review, reject, "anna", "", "customer allows it")
    signed = set_limits(calibrated, review, reject, "anna", "Dr. Berta", "customer allows it")
    assert signed.by_hand is not None
    assert (signed.by_hand.engineer, signed.by_hand.reason, signed.by_hand.review) == (
        "Dr. Berta",
        "customer allows it",
        57.0,
    )
    assert signed.evidence.method == "hand"
    assert "SET BY HAND" in signed.evidence.sentence()


def test_limits_between_the_calibrated_ones_need_a_reason_only(calibrated: Recipe) -> None:
    made = set_limits(calibrated, 58.0, None, "anna", "", "fewer reviews")
    assert made.thresholds == Thresholds(58.0, 59.0)
    with pytest.raises(CalibrationError, match="reason"):
        set_limits(calibrated, 58.0, None, "anna", "", "")


def test_many_small_steps_by_hand_do_not_move_what_was_calibrated(calibrated: Recipe) -> None:
    once = set_limits(calibrated, 59.0, None, "anna", "", "a little")
    with pytest.raises(CalibrationError, match=r"calibrated 57 to 59"):
        set_limits(once, 59.5, None, "anna", "", "a little more")


@given(review=st.floats(-10, 70))
def test_a_higher_limit_keeps_the_bound_and_a_lower_one_widens_it(calibrated: Recipe, review: float) -> None:
    made = set_limits(calibrated, review, None, "anna", "berta", "trial")
    assert made.evidence.above == sum(score > review for score in SCORES)
    if review >= 57:
        assert made.evidence.bound == pytest.approx(calibrated.evidence.bound)
    else:
        assert made.evidence.bound > calibrated.evidence.bound


@pytest.mark.parametrize(("review", "reject"), [(math.nan, None), (math.inf, None), (5.0, 4.0), (1.0, math.inf)])
def test_limits_that_cannot_be_are_refused(calibrated: Recipe, review: float, reject: float | None) -> None:
    with pytest.raises(CalibrationError, match="give finite ones"):
        set_limits(calibrated, review, reject, "anna", "berta", "trial")


def test_a_recipe_set_by_hand_comes_back_as_it_was_saved(tmp_path: Path, calibrated: Recipe) -> None:
    saved = save_recipe(tmp_path, set_limits(calibrated, 60.0, None, "anna", "berta", "trial"), "set by hand: trial")
    loaded = load_recipe(tmp_path)
    assert (loaded.by_hand, loaded.checksum, loaded.evidence) == (saved.by_hand, saved.checksum, saved.evidence)


@pytest.fixture(scope="module")
def zoned(calibrated: Recipe) -> Recipe:
    """The same parts, with a zone in which they scored the other way round."""
    zone, names = tuple(reversed(SCORES)), calibrated.groups
    limits, evidence = find_thresholds(SCORES, names, 0.11, 0.95, lots=names, rules={"zone:rim": zone})
    drawn = dataclasses.replace(calibrated.scoring, zones={"rim": np.ones((16, 16), np.bool_)})
    return dataclasses.replace(
        calibrated, scoring=drawn, thresholds=limits, evidence=evidence, rules={"zone:rim": zone}
    )


@pytest.mark.parametrize("step", [-3.0, 1.0])
def test_another_limit_of_a_zone_needs_a_signature_and_only_a_lower_one_widens_the_bound(
    zoned: Recipe, step: float
) -> None:
    rules = {"zone:rim": zoned.thresholds.rules["zone:rim"] + step}
    with pytest.raises(CalibrationError, match=r"zone:rim .* an engineer must sign"):
        set_limits(zoned, None, None, "anna", "", "burrs", rules)
    made = set_limits(zoned, None, None, "anna", "berta", "burrs", rules)
    assert made.thresholds.rules == rules
    assert made.by_hand is not None
    assert made.by_hand.rules == zoned.thresholds.rules
    assert (made.evidence.bound > zoned.evidence.bound) == (step < 0)
    assert (made.evidence.bound == zoned.evidence.bound) == (step > 0)


def test_a_limit_that_no_part_was_held_against_leaves_no_bound(zoned: Recipe) -> None:
    made = set_limits(zoned, None, None, "anna", "berta", "burrs", {"area": 0.01})
    assert (made.evidence.bound, made.evidence.rules) == (1.0, 3)
    with pytest.raises(CalibrationError, match="no rule 'zone:bore' in this recipe; there are area, zone:rim"):
        set_limits(zoned, None, None, "anna", "berta", "burrs", {"zone:bore": 1.0})


def test_only_versions_of_the_same_bundle_and_masks_are_comparable(tmp_path: Path, zoned: Recipe) -> None:
    first = save_recipe(tmp_path, zoned)
    lower = save_recipe(tmp_path, dataclasses.replace(zoned, thresholds=Thresholds(1.0, 2.0)))
    other = dataclasses.replace(zoned.scoring, zones={"rim": np.eye(16, dtype=np.bool_)})
    save_recipe(tmp_path, dataclasses.replace(zoned, scoring=other))
    save_recipe(tmp_path, dataclasses.replace(zoned, bundle="f" * 64))
    assert comparable(tmp_path, first) == {first.checksum, lower.checksum}
