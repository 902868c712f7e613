"""Every look at final pictures is written down; none is taken from a tree that no commit describes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from harness.cases import Material
from harness.facts import Commit
from harness.final_runs import Guard
from harness.results import Row

from engines.datasets.labelled import Labelled
from engines.errors import EvaluationError

MakeRow = Callable[..., Row]
CLEAN, DIRTY = Commit("c" * 40, False), Commit("c" * 40, True)


def material(role: str) -> Material:
    return Material([], [], [Labelled(Path("1.png"), "good", "1", "test", role)], ["1.png"])


def test_a_run_on_final_pictures_is_recorded(tmp_path: Path, make_row: MakeRow) -> None:
    file = tmp_path / "final_runs.jsonl"
    guard = Guard("release 0.2", file=file, state=lambda: CLEAN)
    guard.make(material("final"), lambda: make_row(seed=1))
    guard.make(material("final"), lambda: make_row(seed=2))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["seed"] for line in lines] == [1, 2]
    assert lines[0]["commit"] == CLEAN.id
    assert lines[0]["reason"] == "release 0.2"
    assert lines[0]["dataset"] == "tiles"
    assert lines[0]["figures"]["image_auroc"] == pytest.approx(0.91)
    assert not lines[0]["dirty"]


def test_a_run_on_dev_pictures_leaves_no_record(tmp_path: Path, make_row: MakeRow) -> None:
    file = tmp_path / "final_runs.jsonl"
    row = Guard(file=file, state=lambda: DIRTY).make(material("dev"), make_row)
    assert row.name == "default"
    assert not file.exists()


def test_final_pictures_are_refused_to_a_dirty_tree(tmp_path: Path, make_row: MakeRow) -> None:
    file = tmp_path / "final_runs.jsonl"
    with pytest.raises(EvaluationError, match=r"Commit first, or give --allow-dirty"):
        Guard(file=file, state=lambda: DIRTY).make(material("final"), make_row)
    assert not file.exists()


def test_a_dirty_run_is_recorded_as_such_where_it_is_allowed(tmp_path: Path, make_row: MakeRow) -> None:
    file = tmp_path / "final_runs.jsonl"
    Guard("trial", True, file, lambda: DIRTY).make(material("final"), make_row)
    assert json.loads(file.read_text())["dirty"]


def test_a_run_that_fails_leaves_no_record(tmp_path: Path) -> None:
    def fail() -> Row:
        raise EvaluationError("collapsed")

    file = tmp_path / "final_runs.jsonl"
    with pytest.raises(EvaluationError, match="collapsed"):
        Guard(file=file, state=lambda: CLEAN).make(material("final"), fail)
    assert not file.exists()


def test_the_published_split_counts_as_final_though_it_knows_no_roles() -> None:
    material = Material([], [], [Labelled(Path("1.png"), "good", "1", "test", "")], ["1.png"])
    assert not material.looks_at_final
    assert replace(material, is_published=True).looks_at_final
