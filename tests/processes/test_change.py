"""A real line with two cameras changes its product while it runs, by the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from calibration.recipe import Recipe, save_recipe
from engines.bundle import Bundle, save_bundle
from inspector.history.database import data_file, open_for_reading
from inspector.history.ledger import summarise
from inspector.history.queries import Filter, each_part


@pytest.mark.slow
def test_two_cameras_go_on_while_the_product_changes(rig: Any, tiny_bundle: Bundle, tiny_recipe: Recipe) -> None:
    home = rig.folder / "products" / "disc"
    save_bundle(home / "bundles", tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring)
    (home / "recipes").mkdir()
    disc = save_recipe(home / "recipes", replace(tiny_recipe, product="disc"))
    camera = rig.config["camera"] | {"rate_hz": 20, "parts": 0}
    rig.config |= {"camera": camera | {"name": "left"}, "cameras": [camera | {"name": "right", "seed": 1}]}
    rig.start("ejector", "line")
    rig.wait_for_parts(50)
    told = json.loads(inspector(rig, "change", "disc", "--operator", "anna"))
    assert told["product"] == "disc"
    states = {row["product"]: (row["state"], row["engine"]) for row in json.loads(inspector(rig, "list"))}
    assert states == {"ring": ("warm", None), "disc": ("in force", "onnxruntime")}
    refused = subprocess.run(call(rig, "change", "lid"), capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "disc stays in force" in refused.stderr
    rig.processes["line"].terminate()
    assert rig.wait_for_line() == 0, rig.log()
    history = open_for_reading(data_file(rig.folder))
    ledger, rows = summarise(history, Filter(), recount=True), list(each_part(history, Filter()))
    assert (ledger["triggers"], ledger["balanced"]) == (rig.passed, True)
    books = [
        summarise(history, Filter(camera=name), recount=True) for name in ("left", "right")
    ]  # each camera has its own
    assert all(book["balanced"] and book["triggers"] > 20 for book in books)
    assert sum(book["triggers"] for book in books) == rig.passed
    recipes = [row["recipe"] for row in rows]
    first = recipes.index(disc.checksum)
    assert first >= 50
    assert set(recipes[:first]) == {tiny_recipe.checksum}
    assert set(recipes[first:]) == {disc.checksum}


def inspector(rig: Any, *arguments: str) -> str:
    done = subprocess.run(call(rig, *arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + rig.log()
    return done.stdout


def call(rig: Any, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "inspector.cli", "product", *arguments, "--data-dir", str(rig.folder), "--json"]
