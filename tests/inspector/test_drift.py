"""Drift of a line, from its history."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from calibration.frames import SERIES, FrameFacts, Frames
from calibration.recipe import Recipe, save_recipe
from inspector.cli import main
from inspector.drift import watch
from inspector.history.database import data_file, open_for_writing
from inspector.history.queries import Filter, each_part
from inspector.history.writer import HistoryWriter, Session
from inspector.inspection import Outcome

if TYPE_CHECKING:
    from tests.inspector.conftest import Make

KNOWN = 200


@pytest.fixture(scope="module")
def recipe(tiny_recipe: Recipe) -> Recipe:
    """A recipe that knows 200 scores and frames."""
    rng = np.random.default_rng(0)
    frames = Frames(np.zeros((96, 96), np.float32), rng.normal(size=(KNOWN, len(SERIES))))
    scores = tuple(np.sort(rng.exponential(size=KNOWN)).tolist())
    return dataclasses.replace(tiny_recipe, scores=scores, groups=(), frames=frames)


def rows(recipe: Recipe, count: int, score: float = 1.0, light: float = 0.0, **more: Any) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    return [
        {"recipe": recipe.checksum, "reason": None, "score": score * rng.exponential(),
         **{f"frame_{name}": rng.normal() + (light if name == "brightness" else 0) for name in SERIES}, **more}
        for _ in range(count)
    ]  # fmt: skip


def test_parts_like_those_of_calibration_are_ok(recipe: Recipe) -> None:
    drift = watch(recipe, rows(recipe, 300))
    assert (drift.state, drift.parts) == ("OK", 300)


def test_a_dying_lamp_is_told_from_rising_defects(recipe: Recipe) -> None:
    lamp = watch(recipe, rows(recipe, 200, score=2.0, light=-2.0))
    assert (lamp.state, lamp.cause, lamp.series) == ("RECALIBRATE", "frame", "brightness")
    parts = watch(recipe, rows(recipe, 200, score=3.0))
    assert (parts.state, parts.cause) == ("RECALIBRATE", "part")


def test_parts_that_are_not_found_any_more_are_drift(recipe: Recipe) -> None:
    lost = rows(recipe, 40, reason="part_not_found")
    assert watch(recipe, [{**row, "score": None} for row in lost]).state == "RECALIBRATE"


def test_parts_of_another_recipe_and_parts_nobody_looked_at_do_not_count(recipe: Recipe) -> None:
    odd = rows(recipe, 100, score=9.0)
    assert watch(recipe, [{**row, "recipe": "other"} for row in odd]).parts == 0
    blind = dict.fromkeys((f"frame_{name}" for name in SERIES), None)
    assert watch(recipe, [{**row, "score": None, **blind} for row in odd]).parts == 0


def test_the_history_keeps_the_frames_and_a_user_reads_the_state(
    tmp_path: Path,
    recipe: Recipe,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "products" / "ring" / "recipes"
    folder.mkdir(parents=True)
    saved = save_recipe(folder, recipe)
    engine = open_for_writing(data_file(tmp_path))
    writer = HistoryWriter(engine, Session("boot1", "line1", 1, "ring", "camera", "onnxruntime", "0.1.0"), saved)
    record = make.record(1, Outcome.GOOD)
    assert record.inspection is not None
    seen = dataclasses.replace(record.inspection, frame=FrameFacts(-9.0, 0.1, 0.2, 0.3))
    writer.write([dataclasses.replace(make.record(n + 1), inspection=seen) for n in range(60)])
    kept = next(each_part(engine, Filter()))
    assert [kept[f"frame_{name}"] for name in SERIES] == [-9.0, 0.1, 0.2, 0.3]
    engine.dispose()
    monkeypatch.setattr(sys, "argv", ["inspector", "drift", "ring", "--data-dir", str(tmp_path), "--json"])
    with pytest.raises(SystemExit):
        main()
    facts = json.loads(capfd.readouterr()[0])
    assert (facts["state"], facts["cause"], facts["series"]) == ("RECALIBRATE", "frame", "brightness")
    assert facts["run_length"] == 20_000
    assert "lamp" in facts["advice"]
