"""Drift of a line, from its history."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import sqlalchemy as sa
import structlog

from calibration.frames import SERIES, FrameFacts, Frames
from calibration.recipe import Recipe, save_recipe
from inspector.cli import main
from inspector.drift import LiveDrift, RecipeWatch
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
    prints = tuple(f"{number:064x}" for number in range(KNOWN))
    return dataclasses.replace(tiny_recipe, calibrate=prints, scores=scores, groups=(), frames=frames)


def rows(recipe: Recipe, count: int, score: float = 1.0, light: float = 0.0, **more: Any) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    return [
        {"sequence": number + 1, "recipe": recipe.checksum, "reason": None, "score": score * rng.exponential(),
         **{f"frame_{name}": rng.normal() + (light if name == "brightness" else 0) for name in SERIES}, **more}
        for number in range(count)
    ]  # fmt: skip


def test_parts_like_those_of_calibration_are_ok(recipe: Recipe) -> None:
    drift = RecipeWatch(recipe).update(rows(recipe, 300))
    assert (drift.state, drift.parts) == ("OK", 300)


def test_a_dying_lamp_is_told_from_rising_defects(recipe: Recipe) -> None:
    lamp = RecipeWatch(recipe).update(rows(recipe, 200, score=2.0, light=-2.0))
    assert (lamp.state, lamp.cause, lamp.series) == ("RECALIBRATE", "frame", "brightness")
    parts = RecipeWatch(recipe).update(rows(recipe, 200, score=3.0))
    assert (parts.state, parts.cause) == ("RECALIBRATE", "part")


def test_parts_that_are_not_found_any_more_are_drift(recipe: Recipe) -> None:
    lost = rows(recipe, 40, reason="part_not_found")
    assert RecipeWatch(recipe).update([{**row, "score": None} for row in lost]).state == "RECALIBRATE"


def test_parts_of_another_recipe_and_parts_nobody_looked_at_do_not_count(recipe: Recipe) -> None:
    odd = rows(recipe, 100, score=9.0)
    assert RecipeWatch(recipe).update([{**row, "recipe": "other"} for row in odd]).parts == 0
    blind = dict.fromkeys((f"frame_{name}" for name in SERIES), None)
    assert RecipeWatch(recipe).update([{**row, "score": None, **blind} for row in odd]).parts == 0


@dataclasses.dataclass
class Settled:
    """A recorder that has settled so many parts."""

    settled: int = 0


def write_parts(data_dir: Path, recipe: Recipe, make: Make, count: int) -> sa.Engine:
    """A history whose parts get darker from the 60th on."""
    database = open_for_writing(data_file(data_dir))
    writer = HistoryWriter(database, Session("boot1", "line1", 1, "ring", "camera", "onnxruntime", "0.1.0"), recipe)
    rng = np.random.default_rng(3)
    seen = make.record(1).inspection
    assert seen is not None
    facts = [FrameFacts(*(rng.normal(size=4) - (5.0 * (number >= 60), 0, 0, 0)).tolist()) for number in range(count)]
    writer.write(
        [
            dataclasses.replace(make.record(number + 1), inspection=dataclasses.replace(seen, frame=frame))
            for number, frame in enumerate(facts)
        ]
    )
    return database


@pytest.fixture
def history(tmp_path: Path, recipe: Recipe, make: Make) -> Iterator[sa.Engine]:
    database = write_parts(tmp_path, recipe, make, 100)
    yield database
    database.dispose()


def test_live_watching_stops_at_what_is_settled(tmp_path: Path, recipe: Recipe, history: sa.Engine) -> None:
    recorder = Settled(40)
    live = LiveDrift(history, recorder, lambda: recipe, tmp_path / "drift")
    live.look()
    assert live.drift is not None
    assert live.drift.parts == 40
    live.look()
    assert live.drift.parts == 40
    recorder.settled = 100
    with structlog.testing.capture_logs() as logs:
        live.look()
    assert (live.drift.state, live.drift.cause) == ("RECALIBRATE", "frame")
    assert [(entry["event"], entry["state"], entry["log_level"]) for entry in logs] == [
        ("drift", "RECALIBRATE", "warning")
    ]


@pytest.mark.parametrize("kept_at", [0, 17, 63, 100])
def test_a_restart_comes_to_the_state_of_a_watch_without_one(
    tmp_path: Path, recipe: Recipe, history: sa.Engine, kept_at: int
) -> None:
    rows = list(each_part(history, Filter()))
    whole, first = RecipeWatch(recipe), RecipeWatch(recipe)
    whole.update(rows)
    first.update(rows[:kept_at])
    first.keep(tmp_path / "drift")
    again = RecipeWatch.resume(recipe, tmp_path / "drift")
    assert (again.sequence, again.drift) == (kept_at, first.drift)
    live = LiveDrift(history, Settled(100), lambda: recipe, tmp_path / "drift")
    live.look()
    assert live.drift == whole.drift


def test_what_was_kept_and_is_damaged_is_computed_anew(tmp_path: Path, recipe: Recipe, history: sa.Engine) -> None:
    watch = RecipeWatch(recipe)
    expected = watch.update(each_part(history, Filter()))
    watch.keep(tmp_path / "drift")
    file = next((tmp_path / "drift").iterdir())
    for damaged in (file.read_bytes()[:-9], b"", b"\x00" * 50):
        file.write_bytes(damaged)
        again = RecipeWatch.resume(recipe, tmp_path / "drift")
        assert again.sequence == 0
        assert again.update(each_part(history, Filter())) == expected


def test_the_thread_outlives_a_history_that_can_not_be_read_and_keeps_its_state_at_the_end(
    tmp_path: Path, recipe: Recipe, history: sa.Engine
) -> None:
    class Broken:
        asked = 0

        @property
        def settled(self) -> int:
            self.asked += 1
            if self.asked == 1:
                raise sa.exc.OperationalError("select", {}, Exception("disk I/O error"))
            return 100

    live = LiveDrift(history, Broken(), lambda: recipe, tmp_path / "drift")
    live.start()
    deadline = time.monotonic() + 10
    while (live.drift is None or live.drift.state != "RECALIBRATE") and time.monotonic() < deadline:
        time.sleep(0.05)
    live.close()
    assert RecipeWatch.resume(recipe, tmp_path / "drift").drift == live.drift
    assert live.drift is not None
    assert live.drift.state == "RECALIBRATE"


def test_another_product_in_force_is_watched_by_itself(tmp_path: Path, recipe: Recipe, history: sa.Engine) -> None:
    recipes = [recipe]
    live = LiveDrift(history, Settled(100), lambda: recipes[-1], tmp_path / "drift")
    live.look()
    seen = live.drift
    recipes.append(dataclasses.replace(recipe, checksum="f" * 64))
    live.look()
    assert live.drift is not None
    assert live.drift.parts == 0
    recipes.append(recipe)
    live.look()
    assert live.drift == seen


def test_challenge_parts_are_no_production(recipe: Recipe) -> None:
    production = rows(recipe, 50)
    challenged = rows(recipe, 100, score=1000.0, reason="not_released")
    assert RecipeWatch(recipe).update(production + challenged) == RecipeWatch(recipe).update(production)


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
