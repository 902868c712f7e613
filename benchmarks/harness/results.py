"""Rows that were made, one JSON file each, found again by a hash of everything that decides them.

A row that is there is not made again: a list of rows that was broken off goes on where it stopped. Maps are not kept.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results"


@dataclass(frozen=True, slots=True)
class Row:
    """One training and evaluation.

    Attributes:
        name: of the method or configuration.
        config: everything that decides the result; its hash names the file.
        figures: plain values and {value, low, high} intervals.
        pictures: of the test: `name`, `label`, `part` and `score`, four lists in one order.
        facts: machine, date, versions, commit, times.
    """

    name: str
    config: dict[str, Any]
    figures: dict[str, Any]
    pictures: dict[str, list[Any]]
    facts: dict[str, Any]

    @property
    def seed(self) -> int:
        """The seed it was made with."""
        return int(self.config["seed"])


def digest(config: dict[str, Any]) -> str:
    """sha256 of a configuration, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()


def code_digest(files: Iterable[Path]) -> str:
    """sha256 of what Python files do: comments, docstrings and layout don't count, so that rewording costs no row."""
    return digest({file.name: _behaviour(file.read_text(encoding="utf-8")) for file in files})


def _behaviour(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = body[1:]  # type: ignore[index]
    return ast.dump(tree)


class Results:
    """A folder of rows."""

    def __init__(self, folder: Path = RESULTS) -> None:
        self._folder = folder

    def get(self, name: str, config: dict[str, Any], make: Callable[[], Row]) -> Row:
        """The row of that configuration: the one that is there, or a new one, kept."""
        path = self._path(name, config)
        if path.is_file():
            return _read(path)
        return self.keep(make())

    def keep(self, row: Row) -> Row:
        """Write a row, whole or not at all, in place of one of the same configuration."""
        path = self._path(row.name, row.config)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(row), default=str) + "\n", encoding="utf-8")
        os.replace(draft, path)
        return row

    def rows(self) -> list[Row]:
        """All rows, oldest first; of rows with one name, case and seed only the newest."""
        found = sorted((_read(path) for path in self._folder.glob("*.json")), key=lambda row: str(row.facts["date"]))
        return list({(row.name, digest(row.config["case"]), row.seed): row for row in found}.values())

    def _path(self, name: str, config: dict[str, Any]) -> Path:
        plain = re.sub(r"[^a-z0-9]+", "_", f"{name} {config['case']['dataset']}".lower())
        return self._folder / f"{plain}-{digest(config)[:16]}.json"


def _read(path: Path) -> Row:
    return Row(**json.loads(path.read_text(encoding="utf-8")))
