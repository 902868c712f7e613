"""The ablation table on dev pictures: every named configuration one row per test, made once, resumed at will.

    python benchmarks/ablation.py --data DIR [--seeds 1] [--steps N] [--only NAME ...] [--dataset NAME ...]

DIR holds the Magnetic Tile pictures; solar cells and drawn parts with painted defects come beside them. Choices are
made here, so that none is made on final pictures. Without --steps every row gets the default's minutes, so that a
dearer switch gets fewer steps, and the machine must be quiet; with it every row gets as many steps on any machine.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from harness.cases import PAINTED, Case, complete
from harness.configurations import CONFIGURATIONS, seeded
from harness.final_runs import Guard
from harness.ours import run
from harness.report import case_table
from harness.results import Results, Row

from calibration.errors import CalibrationError
from engines.dskd.train import lasting
from engines.errors import EngineError

CASES = (
    Case("magnetic_tile", role="dev", split="tile"),
    Case("elpv", role="dev"),
    Case(PAINTED, role="dev"),
)


def main() -> None:
    """Make what is missing, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the Magnetic Tile pictures")
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0 to N - 1")
    parser.add_argument("--steps", type=int, help="so many training steps for every row, instead of the minutes")
    parser.add_argument("--dataset", nargs="+", choices=[case.dataset for case in CASES], help="only these")
    parser.add_argument("--only", nargs="+", default=list(CONFIGURATIONS), choices=sorted(CONFIGURATIONS))
    parser.add_argument("--limit", type=int, default=0, help="only so many pictures, to try it out")
    arguments = parser.parse_args()
    for chosen in (case for case in CASES if case.dataset in (arguments.dataset or (case.dataset,))):
        case = complete(replace(chosen, limit=arguments.limit))
        data = arguments.data if case.dataset == "magnetic_tile" else None
        rows = [
            made(name, case, data, seed, arguments.steps) for seed in range(arguments.seeds) for name in arguments.only
        ]
        if trained := [row for row in rows if row is not None]:
            print(case_table(case, trained), end="\n\n", flush=True)


def made(name: str, case: Case, data: Path | None, seed: int, steps: int | None) -> Row | None:
    """The row, new or from before; None for a configuration that could not be trained: the others go on."""
    try:
        return run(name, case, data, lasting(seeded(name, seed), steps, None), Results(), Guard())
    except (EngineError, CalibrationError) as error:
        print(f"{name}, {case.title}, seed {seed}: {error}", file=sys.stderr)
        return None


if __name__ == "__main__":
    main()
