"""What the line costs besides inference: from the picture to the acknowledgement, less the inference itself.

    python benchmarks/overhead.py --parts 1000 --json

Default architecture with seeded weights (they don't change the time) at 256 px, the emulated camera, the real link, the
ejector in its own process. The belt runs at half of what inference alone would hold.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from calibration.calibrate import Contract
from calibration.samples import Sample
from inspector.cameras.synthetic import draw_part
from inspector.demo import belt_rate, emulated_camera, hold_against_truth, run_processes, write_config
from inspector.history.database import data_file, open_for_reading
from inspector.history.queries import Filter, each_part
from inspector.products import product
from inspector.teaching import calibrate_on, teach_samples, training_config

PRODUCT = "overhead"
PICTURES = 64
STAGES = ("queue_ms", "prepare_ms", "infer_ms", "score_ms", "verdict_ms", "ack_ms")


def main() -> None:
    """Run the benchmark and print one object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, default=1000)
    parser.add_argument("--engine", default="", help="runtime; default: the best installed")
    parser.add_argument("--json", action="store_true", help="print JSON (it always does)")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    folder = Path(tempfile.mkdtemp(prefix="overhead-"))
    try:
        print(json.dumps(measure(folder, arguments.parts, arguments.engine, console)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(folder: Path, parts: int, engine: str, console: Console) -> dict[str, object]:
    """Run the belt and take the figures from the history."""
    camera = emulated_camera(folder / "belt", (draw_part(1, number, defective=False) for number in range(PICTURES)))
    samples = [Sample(path, path.stem) for path in sorted((folder / "belt").iterdir())]
    taught = product(folder, PRODUCT)
    teach_samples(taught, samples[:16], samples[16:24], training_config(steps=2), False, console)
    calibrate_on(taught, samples[24:], engine, Contract(0.1), console)
    rate = belt_rate(taught)
    run_processes(write_config(folder, PRODUCT, camera, parts, rate), folder, parts, console)
    result = hold_against_truth(folder, [False] * PICTURES, 1.0)
    rows = list(each_part(open_for_reading(data_file(folder)), Filter()))
    return {
        "overhead_ms": result.as_dict()["overhead_ms"],
        "stages_p50_ms": {
            name: sorted(row[name] for row in rows if row[name] is not None)[len(rows) // 2] for name in STAGES
        },
        "parts": result.triggers,
        "balanced": result.is_balanced,
        "belt_hz": round(rate, 1),
        "machine": {"python": platform.python_version(), "system": platform.platform()},
    }


if __name__ == "__main__":
    sys.exit(main())
