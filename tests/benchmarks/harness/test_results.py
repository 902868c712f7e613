"""Rows are found again by what decides them, and only by that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from harness.results import Results, Row, code_digest, digest

MakeRow = Callable[..., Row]


def test_a_row_that_is_there_is_not_made_again(tmp_path: Path, make_row: MakeRow) -> None:
    made = make_row()
    results = Results(tmp_path)
    results.get(made.name, made.config, lambda: made)

    def fail() -> Row:
        raise AssertionError("made twice")

    assert Results(tmp_path).get(made.name, made.config, fail) == made


def test_a_row_of_another_configuration_is_made(tmp_path: Path, make_row: MakeRow) -> None:
    results = Results(tmp_path)
    first, second = make_row(steps=300), make_row(steps=600)
    for row in (first, second):
        assert results.get(row.name, row.config, lambda row=row: row) == row
    assert len(list(tmp_path.glob("*.json"))) == 2


def test_rows_broken_off_go_on_where_they_stopped(tmp_path: Path, make_row: MakeRow) -> None:
    made: list[int] = []

    def make(seed: int) -> Row:
        if seed == 2 and made == [0, 1]:
            made.append(-1)
            raise KeyboardInterrupt
        made.append(seed)
        return make_row(seed=seed)

    def all_rows() -> None:
        for seed in range(4):
            Results(tmp_path).get("default", make_row(seed=seed).config, lambda seed=seed: make(seed))

    with pytest.raises(KeyboardInterrupt):
        all_rows()
    all_rows()
    assert made == [0, 1, -1, 2, 3]


def test_a_row_half_written_is_no_row(tmp_path: Path, make_row: MakeRow) -> None:
    row = make_row()
    Results(tmp_path).keep(row)
    [path] = tmp_path.glob("*.json")
    path.rename(path.with_suffix(".draft"))
    assert Results(tmp_path).rows() == []


def test_of_rows_with_one_name_case_and_seed_the_newest_counts(tmp_path: Path, make_row: MakeRow) -> None:
    results = Results(tmp_path)
    results.keep(make_row(date="2026-02-02", code="new"))
    results.keep(make_row(date="2026-02-01", code="old"))
    assert [row.config["code"] for row in results.rows()] == ["new"]


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_rewording_and_layout_leave_the_code_digest_alone(tmp_path: Path) -> None:
    file = tmp_path / "loss.py"
    file.write_text('"""One."""\ndef f(x):\n    """Two."""\n    return x + 1\n')
    before = code_digest([file])
    file.write_text('"""Other."""\n\n\ndef f(x):  # why\n    """Words."""\n    return (x\n            + 1)\n')
    assert code_digest([file]) == before


def test_another_operation_changes_the_code_digest(tmp_path: Path) -> None:
    file = tmp_path / "loss.py"
    file.write_text("def f(x):\n    return x + 1\n")
    before = code_digest([file])
    file.write_text("def f(x):\n    return x + 2\n")
    assert code_digest([file]) != before
