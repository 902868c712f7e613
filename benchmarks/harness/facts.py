"""What figures were taken on: machine, versions, date, commit."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("numpy", "onnxruntime", "opencv-python-headless", "openvino", "torch")
# What runs write themselves doesn't make the program another one.
WRITTEN_BY_RUNS = ("benchmarks/final_runs.jsonl", "benchmarks/results", "docs/BENCHMARKS.md")


@dataclass(frozen=True, slots=True)
class Commit:
    """State of the source: `id` is "" outside a git repository."""

    id: str
    is_dirty: bool


def commit(root: Path = ROOT) -> Commit:
    """The commit checked out, and whether tracked files differ from it."""
    name = _git(root, "rev-parse", "HEAD")
    excluded = [f":(exclude){path}" for path in WRITTEN_BY_RUNS]
    return Commit(name, bool(_git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *excluded)))


def facts() -> dict[str, Any]:
    """Machine, versions, date and commit of this run."""
    state = commit()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "system": platform.system(),
        "versions": versions(),
        "commit": state.id,
        "dirty": state.is_dirty,
    }


def versions() -> dict[str, str | None]:
    """Of Python and of the packages that decide a figure; None: not installed."""
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def processor() -> str:
    """The processor's name, or its architecture where the system doesn't tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git(root: Path, *arguments: str) -> str:
    try:
        said = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return said.stdout.strip()
