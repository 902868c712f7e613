"""What is written down of the source a run was made from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from harness.facts import commit, facts


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("engine.py", "benchmarks/final_runs.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1\n")
    for arguments in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "first"],
    ):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    return tmp_path


def test_a_fresh_checkout_is_clean(repository: Path) -> None:
    assert len(commit(repository).id) == 40
    assert not commit(repository).is_dirty


def test_a_changed_source_is_dirty(repository: Path) -> None:
    (repository / "engine.py").write_text("2\n")
    assert commit(repository).is_dirty


def test_what_runs_write_themselves_is_no_change(repository: Path) -> None:
    (repository / "benchmarks" / "final_runs.jsonl").write_text("1\n2\n")
    assert not commit(repository).is_dirty


def test_outside_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    assert commit(tmp_path).id == ""


def test_facts_name_machine_date_and_versions() -> None:
    known = facts()
    assert known["machine"].endswith("cores")
    assert known["date"].endswith("+00:00")
    assert known["versions"]["numpy"]
