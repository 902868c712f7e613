"""The whole line on real pictures of magnetic tiles: taught, calibrated, and test parts through the emulated camera.

    python benchmarks/magnetic_tile_line.py --data DIR --json

DIR holds the Magnetic Tile pictures with their index.csv. Roles are given by physical tile; the `dev` test parts
run past the camera, their truth matched by block id against the sorted list. Final pictures are `detection.py`'s alone.
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
from calibration.samples import Sample, split_roles
from engines.datasets.labelled import Labelled
from engines.datasets.magnetic_tile import read_magnetic_tile
from engines.image import read_image
from engines.metrics import auroc
from inspector.demo import belt_rate, emulated_camera, hold_against_truth, run_processes, show, write_config
from inspector.history.database import data_file, open_for_reading
from inspector.history.queries import Filter, each_part
from inspector.products import product
from inspector.teaching import calibrate_on, teach_samples, training_config

PRODUCT = "magnetic_tile"
ASKED, CONFIDENCE = 0.08, 0.95  # by tile: some forty independent parts support no less


def main() -> None:
    """Run the benchmark and print one object, or a table."""
    arguments = parse_arguments()
    console = Console(stderr=True)
    folder = Path(tempfile.mkdtemp(prefix="magnetic-tile-"))
    try:
        pictures = read_magnetic_tile(arguments.data, "tile")
        parts = sorted((entry for entry in pictures if entry.role == "dev"), key=lambda entry: str(entry.path))
        bound = teach(pictures, folder, arguments.steps, arguments.seed, console)
        serve(parts, folder, console)
        result = hold_against_truth(folder, [not part.is_good for part in parts], bound)
        if arguments.json:
            facts = {**result.as_dict(), "auroc_by_label": by_label(folder, parts), "machine": machine()}
            print(json.dumps(facts))
        else:
            show(result, console)
    finally:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)


def teach(pictures: list[Labelled], folder: Path, steps: int, seed: int, console: Console) -> float:
    """Train and calibrate on the training tiles; return the bound on false rejects."""
    samples = [Sample(entry.path, entry.part) for entry in pictures if entry.split == "train"]
    roles = split_roles(samples)
    taught = product(folder, PRODUCT)
    teach_samples(taught, roles["fit"], roles["select"], training_config(steps=steps, seed=seed), True, console)
    made = calibrate_on(taught, roles["calibrate"], "", Contract(ASKED, CONFIDENCE), console)
    console.print(made.recipe.evidence.sentence())
    return made.recipe.evidence.bound


def serve(parts: list[Labelled], folder: Path, console: Console) -> None:
    """Let the emulated camera show the parts, in their order, to the real line."""
    camera = emulated_camera(folder / "belt", (read_image(part.path) for part in parts)) | {"frame_size": "any"}
    config = write_config(folder, PRODUCT, camera, len(parts), belt_rate(product(folder, PRODUCT)))
    run_processes(config, folder, len(parts), console)


def by_label(folder: Path, parts: list[Labelled]) -> dict[str, float]:
    """AUROC of each kind of defect against all good parts."""
    scores: dict[str, list[float]] = {}
    for row in each_part(open_for_reading(data_file(folder)), Filter()):
        if row["score"] is not None:
            scores.setdefault(parts[row["block_id"]].label, []).append(row["score"])
    good = scores.pop("good", [])
    return {label: round(auroc(good, bad), 4) for label, bad in sorted(scores.items())}


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    return {"python": platform.python_version(), "system": platform.platform(), "processor": platform.machine()}


def parse_arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", action="store_true", help="keep the data directory")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
