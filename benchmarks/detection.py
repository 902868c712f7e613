"""One row of ours: train with the default configuration, evaluate, print one object.

    python benchmarks/detection.py --dataset magnetic_tile --data DIR --split tile --role final --json

Of the training parts, by physical part, 90 % train and 10 % choose the stopping point and the scoring; none is kept for
calibration, since no threshold is set: misses are counted at the threshold that rejects 1 % of the good TEST pictures.
Every run that sees pictures kept for figures to report is appended to benchmarks/final_runs.jsonl.
"""

from __future__ import annotations

import json
import sys

from harness.configurations import CONFIGURATIONS, DEFAULT, seeded
from harness.options import case_parser, chosen_case, guard, peers_environment
from harness.ours import run
from harness.results import Results, Row

from calibration.errors import CalibrationError
from engines.dskd.train import Progress
from engines.errors import EngineError

HEADLINES = ("image_auroc", "pixel_auroc", "aupro", "missed_at_1pct_false_rejects")
EVERY_STEPS = 25


def main() -> None:
    """Run and print."""
    parser = case_parser(__doc__)
    parser.add_argument("--configuration", default=DEFAULT, choices=sorted(CONFIGURATIONS))
    parser.add_argument("--cached", action="store_true", help="take the row if it was made before")
    arguments = parser.parse_args()
    case, training = chosen_case(arguments), seeded(arguments.configuration, arguments.seed)
    try:
        made = run(
            arguments.configuration,
            case,
            arguments.data,
            training,
            Results(),
            guard(arguments),
            peers_environment(),
            again=not arguments.cached,
            on_step=report,
        )
    except (EngineError, CalibrationError) as error:
        raise SystemExit(str(error)) from error
    print(json.dumps(as_object(made)))


def as_object(row: Row) -> dict[str, object]:
    """One flat object: headline figures first, then where they come from."""
    return {
        **{name: row.figures[name] for name in HEADLINES},
        **{name: row.facts[name] for name in ("train_s", "infer_ms", "infer_ratio_vs_stfpm", "bundle_sha256")},
        **row.config["case"],
        "seed": row.seed,
        "configuration": row.name,
        **{name: value for name, value in row.figures.items() if name not in HEADLINES},
        **{name: row.facts[name] for name in ("machine", "date", "versions", "commit", "dirty", "engine", "training")},
    }


def report(progress: Progress) -> None:
    """A line on stderr now and then: training takes minutes."""
    if progress.step % EVERY_STEPS == 0 or progress.step == progress.steps:
        left = f"{progress.remaining_s:.0f} s left"
        print(f"step {progress.step}/{progress.steps}  loss {progress.loss:.4f}  {left}", file=sys.stderr)


if __name__ == "__main__":
    main()
