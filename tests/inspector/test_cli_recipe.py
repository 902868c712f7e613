"""`inspector recipe`: as a user meets it."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import pytest

from calibration.recipe import Recipe, load_recipe, save_recipe
from engines.bundle import Bundle, save_bundle
from inspector.cameras.synthetic import draw_part
from inspector.cli import main

if TYPE_CHECKING:
    from tests.inspector.conftest import Call


@pytest.fixture
def recipes(tmp_path: Path, tiny_bundle: Bundle, tiny_recipe: Recipe) -> Path:
    """Recipes of a product with two versions."""
    home = tmp_path / "products" / "ring"
    save_bundle(home / "bundles", tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring)
    (home / "recipes").mkdir()
    save_recipe(home / "recipes", tiny_recipe)
    save_recipe(home / "recipes", tiny_recipe)
    return home / "recipes"


@pytest.fixture
def call(call: Call, tmp_path: Path) -> Call:
    """`inspector recipe` on this test's data."""
    return lambda *arguments: call("recipe", *arguments, "--data-dir", tmp_path)


def test_versions_are_listed_with_their_evidence(call: Call, recipes: Path) -> None:
    _, out, _ = call("list", "ring", "--json")
    first, second = json.loads(out)
    assert (first["version"], first["active"], second["active"]) == ("0001", "", "active")
    assert "100 parts, at most 6.2%" in second["evidence"]
    assert 0 < second["plc"] < 2**32


def test_a_version_is_shown_with_what_it_inspects(call: Call, recipes: Path) -> None:
    _, out, _ = call("show", "ring", "--json")
    facts = json.loads(out)
    assert facts["checksum"] == load_recipe(recipes).checksum
    assert facts["plc_checksum"] == int(facts["checksum"][:8], 16)
    assert facts["input"]["height"] == 64
    assert facts["evidence.parts"] == 100


def test_limits_by_hand_and_back_again_leave_a_log(call: Call, recipes: Path) -> None:
    before = load_recipe(recipes)
    code, _, err = call("set", "ring", "--review", before.thresholds.reject + 1, "--reason", "trial")
    assert code == 1
    assert "an engineer must sign" in err
    code, out, _ = call(
        "set", "ring", "--review", before.thresholds.reject + 1, "--reason", "trial", "--engineer", "Berta", "--json"
    )
    assert code == 0
    assert json.loads(out)["recipe"] == load_recipe(recipes).checksum != before.checksum
    _, out, _ = call("diff", "ring", "2", "--json")
    assert {row["what"] for row in json.loads(out)} >= {"limit.review", "by_hand.engineer", "evidence.method"}
    code, _, _ = call("rollback", "ring", "0002", "--reason", "enough", "--operator", "anna")
    assert code == 0
    assert load_recipe(recipes).checksum == before.checksum
    _, out, _ = call("log", "ring", "--json")
    assert [row["reason"] for row in json.loads(out)][2:] == ["set by hand: trial", "rolled back: enough"]


def test_going_back_to_an_engine_without_certificate_is_refused(call: Call, recipes: Path, tiny_recipe: Recipe) -> None:
    save_recipe(recipes, dataclasses.replace(tiny_recipe, engine="openvino:fp32"))
    active = save_recipe(recipes, tiny_recipe)
    code, _, err = call("rollback", "ring", "0003", "--reason", "it was faster")
    assert code == 1
    assert "has no certificate of openvino:fp32" in err
    assert "inspector certify ring" in err
    assert load_recipe(recipes).checksum == active.checksum


def test_an_area_is_limited_in_px_or_by_the_cameras_scale_in_mm2(call: Call, recipes: Path, tmp_path: Path) -> None:
    signed = ("--reason", "burrs", "--engineer", "Berta")
    assert call("set", "ring", "--area-px", 41, *signed)[0] == 0
    assert load_recipe(recipes).thresholds.rules == {"area": 41 / 64**2}
    site = tmp_path / "line.toml"
    known = '[line]\nname = "one"\nproduct = "ring"\n[camera]\nkind = "synthetic"\nmm_per_px = 0.5\n'
    site.write_text(f'{known}[[cameras]]\nkind = "synthetic"\nname = "side"\nmm_per_px = 0.4\n')
    code, _, err = call("set", "ring", "--area-mm2", 8, "--config", site, *signed)
    assert code == 1
    assert "one camera.mm_per_px for all cameras" in err
    site.write_text(known)
    code, out, err = call("set", "ring", "--area-mm2", 8, "--config", site, *signed, "--json")
    assert code == 0, err
    assert json.loads(out)["area"] == load_recipe(recipes).thresholds.rules["area"] == 32 / 64**2
    for arguments, complaint in ((("--area-px", 5000), "more than the region's"), (("--zone", "rim=1"), "zone:rim")):
        code, _, err = call("set", "ring", *arguments, *signed)
        assert code == 1
        assert complaint in err


def test_a_version_that_is_not_there_names_those_that_are(call: Call, recipes: Path) -> None:
    code, _, err = call("show", "ring", "0009")
    assert code == 1
    assert "there are: 0001, 0002" in err


def test_calibrate_writes_its_report(
    call: Call, recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = tmp_path / "good"
    good.mkdir()
    for number in range(12):
        cv2.imwrite(str(good / f"{number:02d}.png"), draw_part(13, number, False, 64))
    page = tmp_path / "out.html"
    arguments = ["calibrate", "ring", "--good", good, "--data-dir", tmp_path, "--report", page, "--operator", "anna",
                 "--engine", "onnxruntime"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["inspector", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert page.read_text().startswith("<!doctype html>")
    assert json.loads(page.with_suffix(".json").read_text())["checksum"] == load_recipe(recipes).checksum
    assert load_recipe(recipes).evidence.operator == "anna"
