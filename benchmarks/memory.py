"""Resident memory of the running line and its ejector, over many parts: how much, and whether it grows.

    python benchmarks/memory.py --parts 100000 --size 64 --json     # growth: a small network, so that it takes minutes
    python benchmarks/memory.py --parts 2000 --json                 # how much: the default network at its own size

Default architecture with random weights (they change neither time nor memory), parts that the program draws, line and
ejector as systemd starts them. `slope_mb_per_100k` is a straight line through the samples after the first fifth, in
which caches and allocators fill up.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import tomlkit

from calibration.recipe import save_recipe
from engines.bundle import load_bundle, newest_bundle
from engines.runtimes.base import REFERENCE
from inspector.bench import passing_recipe
from inspector.cameras.synthetic import draw_part
from inspector.certify import keep_pictures, make_certificate, save_certificate
from inspector.demo import free_port, process
from inspector.history.database import data_file, open_for_reading
from inspector.history.ledger import count_recorded, summarise
from inspector.history.queries import Filter
from inspector.products import product

PRODUCT = "memory"
EVERY_S = 1.0
WARM_SHARE = 0.2  # of the parts, before growth is looked for
Sample = tuple[int, float, float]  # parts recorded, MB of the line, MB of the ejector
PICTURES = 12  # kept for the certificate of an engine that is not the reference


def main() -> None:
    """Run the benchmark and print one object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, default=2000)
    parser.add_argument("--size", type=int, default=0, help="side of the network's input in px; default: its own")
    parser.add_argument("--rate", type=float, default=10.0, help="parts per second")
    parser.add_argument("--engine", default=REFERENCE)
    parser.add_argument("--json", action="store_true", help="print JSON (it always does)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memory-") as folder:
        frame = seeded_product(Path(folder), given.size, given.engine)
        print(json.dumps(measure(Path(folder), frame, given.parts, given.rate, given.engine)))


def seeded_product(folder: Path, size: int, engine: str) -> int:
    """A product by which every part is good; the side of its frames. PyTorch stays in a process of its own."""
    home, frame = product(folder, PRODUCT), size or 320
    command = [
        sys.executable,
        "-m",
        "engines.dskd.seeded",
        "--out",
        str(home.bundles),
        "--frame",
        str(frame),
        str(frame),
    ]
    subprocess.run([*command, *(["--size", str(size)] if size else [])], check=True, stdout=sys.stderr)
    bundle = load_bundle(newest_bundle(home.bundles))
    home.recipes.mkdir()
    recipe = save_recipe(home.recipes, replace(passing_recipe(bundle, engine), product=PRODUCT))
    if engine != REFERENCE:
        paths = [folder / f"{number}.png" for number in range(PICTURES)]
        for number, path in enumerate(paths):
            cv2.imwrite(str(path), draw_part(1, number, False, frame))
        keep_pictures(home, paths)
        save_certificate(home, make_certificate(home, recipe, bundle))
    return frame


def measure(folder: Path, frame: int, parts: int, rate: float, engine: str) -> dict[str, object]:
    """Run the belt to its end, and look at both processes every second."""
    ejector = {"endpoint": f"tcp://127.0.0.1:{free_port()}", "window_ms": 5000, "data_dir": str(folder / "ejector")}
    site = {
        "line": {"name": "memory", "product": PRODUCT, "data_dir": str(folder), "threads": 1, "queue": 64},
        "camera": {"kind": "synthetic", "size": frame, "rate_hz": rate, "defect_share": 0.0, "parts": parts},
        "ejector": ejector,
    }
    config = folder / "line.toml"
    config.write_text(tomlkit.dumps(site), encoding="utf-8")
    with ExitStack() as stack:
        gate = stack.enter_context(process("ejector", config, folder))
        line = stack.enter_context(process("run", config, folder))
        samples = list(sample(folder, line, gate))
        if line.returncode:
            raise SystemExit(f"the line ended with {line.returncode}; see {folder}")
    ledger = summarise(open_for_reading(data_file(folder)), Filter(), recount=True)
    return {
        "engine": engine,
        "frame_px": frame,
        "parts": ledger["triggers"],
        "balanced": ledger["balanced"],
        "errors": ledger["errors"],
        "line": growth(samples, 1),
        "ejector": growth(samples, 2),
        "samples": len(samples),
        "machine": {"python": platform.python_version(), "system": platform.platform()},
    }


def sample(
    folder: Path, line: subprocess.Popen[bytes], gate: subprocess.Popen[bytes]
) -> list[tuple[int, float, float]]:
    """As long as the line lives."""
    seen = []
    history = None
    while line.poll() is None:
        time.sleep(EVERY_S)
        if history is None and data_file(folder).exists():
            history = open_for_reading(data_file(folder))
        try:
            recorded = sum(count_recorded(history).values()) if history is not None else 0
            seen.append((recorded, resident_mb(line.pid), resident_mb(gate.pid)))
        except (OSError, IndexError):
            break  # it ended in between
    line.wait()
    return [entry for entry in seen if min(entry) > 0]  # a process that just ended has 0


def resident_mb(pid: int) -> float:
    """Of a process, MB."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize() / 1e6


def growth(samples: list[Sample], column: int) -> dict[str, float | list[float]]:
    """Of one process: the largest figure, those after each fifth of the parts, and the slope after the first, MB."""
    table = np.asarray(samples, np.float64)
    fifths = table[-1, 0] * np.arange(1, 6) / 5
    settled = table[table[:, 0] >= WARM_SHARE * table[-1, 0]]
    slope = float(np.polyfit(settled[:, 0], settled[:, column], 1)[0]) if len(settled) > 2 else float("nan")
    return {
        "max_mb": round(float(table[:, column].max()), 1),
        "fifths_mb": [round(float(value), 1) for value in np.interp(fifths, table[:, 0], table[:, column])],
        "slope_mb_per_100k": round(slope * 1e5, 3),
    }


if __name__ == "__main__":
    sys.exit(main())
