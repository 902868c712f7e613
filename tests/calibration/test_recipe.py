"""Recipes: versioned, whole, and as calibrated."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calibration.errors import RecipeError
from calibration.recipe import ACTIVE, ARRAYS, TEXT, Recipe, activate, check_product_name, load_recipe, save_recipe
from calibration.thresholds import Thresholds


def facts(recipe: Recipe) -> tuple[object, ...]:
    """All of a recipe that compares by value."""
    arrays = [array.tobytes() for array in (*recipe.scoring.means, *recipe.scoring.stds)]
    return (recipe.product, recipe.bundle, recipe.engine, recipe.created, recipe.thresholds, recipe.evidence,
            recipe.calibrate, recipe.scores, recipe.checksum, arrays)  # fmt: skip


def test_a_recipe_comes_back_as_it_was_saved(tmp_path: Path, tiny_recipe: Recipe) -> None:
    saved = save_recipe(tmp_path, tiny_recipe)
    assert facts(load_recipe(tmp_path)) == facts(saved)
    assert len(saved.checksum) == 64


def test_versions_count_up_and_an_older_one_can_be_made_active(tmp_path: Path, tiny_recipe: Recipe) -> None:
    first = save_recipe(tmp_path, tiny_recipe)
    second = save_recipe(tmp_path, dataclasses.replace(tiny_recipe, thresholds=Thresholds(1.0, 2.0)))
    assert load_recipe(tmp_path).checksum == second.checksum != first.checksum
    activate(tmp_path, "0001")
    assert load_recipe(tmp_path).checksum == first.checksum


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(data=st.data())
def test_any_edit_of_the_text_is_found_or_changes_nothing(
    tmp_path: Path, tiny_recipe: Recipe, data: st.DataObject
) -> None:
    folder = tmp_path / "recipes"
    saved = save_recipe(folder, tiny_recipe)
    text = folder / (folder / ACTIVE).read_text().strip() / TEXT
    raw = bytearray(text.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    text.write_bytes(raw)
    with contextlib.suppress(RecipeError):
        assert facts(load_recipe(folder)) == facts(saved)


@pytest.mark.parametrize("place", [0, 0.3, 0.9])
def test_changed_arrays_are_refused(tmp_path: Path, tiny_recipe: Recipe, place: float) -> None:
    save_recipe(tmp_path, tiny_recipe)
    arrays = tmp_path / "0001" / ARRAYS
    data = bytearray(arrays.read_bytes())
    data[int(place * len(data))] ^= 1
    arrays.write_bytes(data)
    with pytest.raises(RecipeError, match="changed since calibration"):
        load_recipe(tmp_path)


@pytest.mark.parametrize("active", ["", "../../etc", "1; rm", "9999"])
def test_a_strange_active_version_is_refused(tmp_path: Path, tiny_recipe: Recipe, active: str) -> None:
    save_recipe(tmp_path, tiny_recipe)
    (tmp_path / ACTIVE).write_text(active)
    with pytest.raises(RecipeError, match="calibrate the product"):
        load_recipe(tmp_path)


def test_a_product_without_a_recipe_says_to_calibrate_it(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="inspector calibrate"):
        load_recipe(tmp_path)


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-x", "x" * 65, "ü"])
def test_a_name_that_may_not_name_a_folder_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match="product name"):
        check_product_name(name)
