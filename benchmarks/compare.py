"""Ours against the peers, from the rows that were made: prints the tables, with --write into docs/BENCHMARKS.md.

    python benchmarks/compare.py [--write]

A method's figure is its mean over seeds. The difference is paired: in each bootstrap resample the same physical parts
are drawn for both methods, and both means over seeds are taken on them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.facts import ROOT
from harness.report import document, page
from harness.results import Results

DOCUMENT = ROOT / "docs" / "BENCHMARKS.md"


def main() -> None:
    """Print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"also write {DOCUMENT.relative_to(ROOT)}")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    arguments = parser.parse_args()
    tables = page(Results().rows())
    print(tables)
    if arguments.write:
        known = arguments.document.read_text(encoding="utf-8") if arguments.document.is_file() else ""
        arguments.document.write_text(document(known, tables), encoding="utf-8")


if __name__ == "__main__":
    main()
