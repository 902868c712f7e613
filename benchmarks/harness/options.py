"""Options that every benchmark command takes."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from harness.cases import Case, complete
from harness.facts import ROOT
from harness.final_runs import Guard

PEERS_VARIABLE = "PEERS"


def case_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that knows which case, where the data is, and which seed."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, help="any reader of engines.datasets")
    parser.add_argument("--data", type=Path, help="folder of the data set; elpv: default its package")
    parser.add_argument("--category", default="")
    parser.add_argument("--split", default="")
    parser.add_argument("--role", default="", help="dev, final; default: every test picture")
    parser.add_argument("--input", dest="mode", default="", help="mvtec3d: rgb, depth or both")
    parser.add_argument("--limit", type=int, default=0, help="only so many pictures, to try it out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reason", default="", help="why final pictures are looked at; goes into final_runs.jsonl")
    parser.add_argument("--allow-dirty", action="store_true", help="final pictures with uncommitted changes")
    parser.add_argument("--json", action="store_true", help="print one JSON object (it always does)")
    return parser


def chosen_case(arguments: argparse.Namespace) -> Case:
    """The case that the options name."""
    a = arguments
    return complete(Case(a.dataset, a.category, a.split, a.role, a.mode, a.limit))


def guard(arguments: argparse.Namespace) -> Guard:
    """The guard of final pictures that the options ask for."""
    return Guard(arguments.reason, arguments.allow_dirty)


def peers_environment() -> Path | None:
    """Folder of the peers' environment: $PEERS, or .venv-peers beside this program; None if there is none."""
    folder = Path(os.environ.get(PEERS_VARIABLE) or ROOT / ".venv-peers")
    return folder if (folder / "bin" / "python").exists() else None
