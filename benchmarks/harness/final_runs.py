"""The record of every look at pictures kept for figures to report, so that nobody chooses by them unnoticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engines.errors import EvaluationError
from harness.cases import Material
from harness.facts import Commit, commit
from harness.results import Row

FINAL_RUNS = Path(__file__).resolve().parents[1] / "final_runs.jsonl"


@dataclass(frozen=True, slots=True)
class Guard:
    """Lets rows be made; those that see final pictures only from a committed tree, and writes them down.

    Attributes:
        reason: why final pictures are looked at.
        allow_dirty: also from a tree with uncommitted changes, recorded as such.
        file: the record.
        state: what is checked out.
    """

    reason: str = ""
    allow_dirty: bool = False
    file: Path = FINAL_RUNS
    state: Callable[[], Commit] = commit

    def make(self, material: Material, make: Callable[[], Row]) -> Row:
        """Make the row, and record it where it sees final pictures.

        Raises:
            EvaluationError: files were changed since the commit and that is not allowed.
        """
        if not material.looks_at_final:
            return make()
        state = self.state()
        if state.is_dirty and not self.allow_dirty:
            raise EvaluationError(
                f"the working tree differs from commit {state.id[:12]}: no commit would reproduce a figure on final "
                "pictures. Commit first, or give --allow-dirty to have it recorded as dirty"
            )
        row = make()
        self._record(row, state)
        return row

    def _record(self, row: Row, state: Commit) -> None:
        line = {
            "date": row.facts["date"],
            "commit": state.id,
            "dirty": state.is_dirty,
            "reason": self.reason,
            "name": row.name,
            **row.config["case"],
            "seed": row.seed,
            "figures": {
                name: value for name, value in row.figures.items() if value is None or isinstance(value, float)
            },
        }
        with open(self.file, "a", encoding="utf-8") as record:
            record.write(json.dumps(line) + "\n")
