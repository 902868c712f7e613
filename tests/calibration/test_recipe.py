"""Recipes: versioned, whole, and as calibrated."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.errors import RecipeError
from calibration.recipe import (
    ACTIVE,
    ARRAYS,
    TEXT,
    Recipe,
    _checksum,
    activate,
    active_version,
    check_product_name,
    load_recipe,
    read_version,
    save_recipe,
    tomllib,
)
from calibration.thresholds import Thresholds
from engines.errors import EngineError
from engines.masks import ZONE_NAME
from engines.scoring import score
from engines.scoring_file import pack_arrays, unpack_arrays


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
    activate(tmp_path, "0001", first.checksum, "anna", "the new limit let dents through")
    assert load_recipe(tmp_path).checksum == first.checksum


@pytest.fixture(scope="module")
def saved_folder(tmp_path_factory: pytest.TempPathFactory, tiny_recipe: Recipe) -> Path:
    """Version 0001 of the tiny recipe; each test writes over its text."""
    parent = tmp_path_factory.mktemp("fuzzed")
    save_recipe(parent, tiny_recipe)
    return parent / "0001"


@pytest.fixture(scope="module")
def text(saved_folder: Path) -> bytes:
    return (saved_folder / TEXT).read_bytes()


@pytest.fixture(scope="module")
def arrays(saved_folder: Path) -> bytes:
    return (saved_folder / ARRAYS).read_bytes()


@contextlib.contextmanager
def put(path: Path, data: bytes) -> Iterator[None]:
    """Other bytes in a file for a while."""
    before = path.read_bytes()
    path.write_bytes(data)
    try:
        yield
    finally:
        path.write_bytes(before)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_edit_of_the_text_is_found_or_changes_nothing(
    saved_folder: Path, text: bytes, tiny_recipe: Recipe, data: st.DataObject
) -> None:
    raw = bytearray(text)
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    (saved_folder / TEXT).write_bytes(raw)
    with contextlib.suppress(RecipeError):
        assert facts(read_version(saved_folder)) == facts(tiny_recipe)


@settings(max_examples=100, deadline=None)
@given(raw=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_a_file_that_is_no_recipe_is_a_recipe_error(saved_folder: Path, text: bytes, raw: bytes) -> None:
    (saved_folder / TEXT).write_bytes(raw)
    with pytest.raises(RecipeError):
        read_version(saved_folder)


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers())


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_sealed_recipe_with_values_that_cannot_be_is_refused_or_can_be_judged_by(
    saved_folder: Path, text: bytes, data: st.DataObject
) -> None:
    """A checksum keeps accidents out, not a program that seals nonsense: what loads must be usable."""
    document = tomllib.loads(text.decode())
    place = document if data.draw(st.booleans()) else document[data.draw(st.sampled_from(["thresholds", "evidence"]))]
    key = data.draw(st.sampled_from(sorted(place)))
    value = data.draw(values)
    place.pop(key) if value is None else place.__setitem__(key, value)
    document["checksum"] = _checksum(document)
    (saved_folder / TEXT).write_text(tomlkit.dumps(document))
    try:
        recipe = read_version(saved_folder)
    except RecipeError:
        return
    assert math.isfinite(recipe.thresholds.review)
    assert recipe.thresholds.review <= recipe.thresholds.reject
    assert recipe.evidence.sentence()
    assert recipe.evidence.promise()
    assert 0 <= recipe.plc_checksum < 2**32


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_edit_of_the_arrays_is_found(saved_folder: Path, text: bytes, arrays: bytes, data: st.DataObject) -> None:
    raw = bytearray(arrays)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    (saved_folder / TEXT).write_bytes(text)
    with put(saved_folder / ARRAYS, raw), pytest.raises(RecipeError, match="changed since calibration"):
        read_version(saved_folder)


odd_arrays = st.builds(
    lambda shape, value, kind: np.full(shape, value).astype(kind),
    st.lists(st.integers(0, 5), max_size=3).map(tuple),
    st.sampled_from([0.0, -1.0, 1e300, math.nan, math.inf]),
    st.sampled_from(["float64", "float32", "bool", "str"]),
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")  # numpy, of odd numbers
@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning")
def test_sealed_arrays_that_cannot_be_are_refused_or_can_be_judged_by(
    saved_folder: Path, text: bytes, arrays: bytes, tiny_recipe: Recipe, data: st.DataObject
) -> None:
    values = unpack_arrays(arrays)
    key = data.draw(st.sampled_from([*sorted(values), "ignore", "weights", "zone:rim", "frame_values", "rule:area"]))
    odd = data.draw(st.none() | odd_arrays)
    values.pop(key, None) if odd is None else values.__setitem__(key, odd)
    packed = pack_arrays(values)
    document = tomllib.loads(text.decode()) | {"arrays": hashlib.sha256(packed).hexdigest()}
    (saved_folder / TEXT).write_text(tomlkit.dumps(document | {"checksum": _checksum(document)}))
    with put(saved_folder / ARRAYS, packed):
        try:
            recipe = read_version(saved_folder)
        except RecipeError:
            return
    assert len(recipe.scores) == len(recipe.calibrate)
    assert not any(map(math.isnan, recipe.scores))
    with contextlib.suppress(EngineError):  # which the line turns into ERROR
        score([np.zeros(mean.shape, np.float32) for mean in tiny_recipe.scoring.means], recipe.scoring)


@settings(max_examples=100, deadline=None)
@given(raw=st.binary(max_size=20) | st.text(max_size=8).map(str.encode))
def test_whatever_names_the_active_version_is_one_that_is_there_or_refused(saved_folder: Path, raw: bytes) -> None:
    (saved_folder.parent / ACTIVE).write_bytes(raw)
    try:
        name = active_version(saved_folder.parent)
    except RecipeError:
        return
    assert name.isdigit()


def test_groups_are_kept_beside_the_scores(tmp_path: Path, tiny_recipe: Recipe) -> None:
    groups = ("monday", "tuesday")
    two = dataclasses.replace(tiny_recipe, calibrate=tiny_recipe.calibrate[:2], scores=(1.0, math.inf), groups=groups)
    save_recipe(tmp_path, two)
    assert load_recipe(tmp_path).groups == groups
    save_recipe(tmp_path, dataclasses.replace(two, scores=(1.0,)))
    with pytest.raises(RecipeError, match="1 scores, 2 groups"):
        load_recipe(tmp_path)
    save_recipe(tmp_path, dataclasses.replace(two, scores=(1.0,), groups=()))
    with pytest.raises(RecipeError, match="1 scores, 0 groups and 2 fingerprints"):
        load_recipe(tmp_path)


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


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(st.from_regex(ZONE_NAME, fullmatch=True), st.floats(-1e6, 1e6), min_size=1, max_size=4))
def test_zones_come_back_by_their_names_with_masks_limits_and_values(
    tiny_recipe: Recipe, zones: dict[str, float]
) -> None:
    grid = tiny_recipe.scoring.means[0].shape
    masks = {name: np.arange(np.prod(grid)).reshape(grid) % (number + 2) == 0 for number, name in enumerate(zones)}
    rules = {f"zone:{name}": limit for name, limit in zones.items()}
    values = {name: tuple(limit - number for number in range(len(tiny_recipe.scores))) for name, limit in rules.items()}
    with tempfile.TemporaryDirectory() as folder:
        save_recipe(
            Path(folder),
            dataclasses.replace(
                tiny_recipe,
                scoring=dataclasses.replace(tiny_recipe.scoring, zones=masks),
                thresholds=dataclasses.replace(tiny_recipe.thresholds, rules=rules),
                rules=values,
            ),
        )
        found = load_recipe(Path(folder))
    assert (found.thresholds.rules, found.rules) == (rules, values)
    assert {name: mask.tolist() for name, mask in found.scoring.zones.items()} == {
        name: mask.tolist() for name, mask in masks.items()
    }


def test_a_limit_of_a_zone_that_is_not_drawn_is_refused(tmp_path: Path, tiny_recipe: Recipe) -> None:
    limits = dataclasses.replace(tiny_recipe.thresholds, rules={"zone:rim": 1.0})
    save_recipe(tmp_path, dataclasses.replace(tiny_recipe, thresholds=limits))
    with pytest.raises(RecipeError, match="zone:rim"):
        load_recipe(tmp_path)
