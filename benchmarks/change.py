"""Changing the product of a running line: how long it takes, and what becomes of the parts meanwhile.

    python benchmarks/change.py --changes 100 --json

Two products of the default architecture with random weights, kept warm; a line, an ejector and a belt as in use. First
a change to a product that is cold, then back and forth between warm ones. `took_ms` is the line's own measure, from the
request to the new product in force, the durable note included; `round_trip_ms` is the client's.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tomlkit

from calibration.recipe import save_recipe
from engines.bundle import load_bundle, newest_bundle
from engines.runtimes.base import REFERENCE
from inspector.bench import passing_recipe
from inspector.control import Ask, Change, Changed, Listed, ask
from inspector.demo import free_port, process
from inspector.errors import ControlError
from inspector.history.database import data_file, open_for_reading
from inspector.history.queries import Filter, each_part
from inspector.products import product

PRODUCTS = ("first", "second")
PATIENCE_S = 120.0
FRAME = 320


def main() -> None:
    """Run the benchmark and print one object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=100)
    parser.add_argument("--rate", type=float, default=10.0, help="parts per second")
    parser.add_argument("--window-ms", type=float, default=500.0)
    parser.add_argument("--json", action="store_true", help="print JSON (it always does)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="change-") as folder:
        print(json.dumps(measure(Path(folder), given.changes, given.rate, given.window_ms)))


def measure(folder: Path, changes: int, rate: float, window_ms: float) -> dict[str, Any]:
    """Run the belt while the product is changed, and read what the history says of every part."""
    for name in PRODUCTS:
        seeded(folder, name)
    ejector = {"endpoint": f"tcp://127.0.0.1:{free_port()}", "window_ms": window_ms, "data_dir": str(folder / "gate")}
    line = {"name": "change", "product": PRODUCTS[0], "data_dir": str(folder), "threads": 1, "warm_mb": 500.0}
    camera = {"kind": "synthetic", "size": FRAME, "rate_hz": rate, "defect_share": 0.0}
    config = folder / "line.toml"
    config.write_text(tomlkit.dumps({"line": line, "camera": camera, "ejector": ejector}), encoding="utf-8")
    with process("ejector", config, folder), process("run", config, folder):
        wait_until(folder, PRODUCTS[0])
        started = time.perf_counter()
        ask(folder, Change(PRODUCTS[1], "benchmark"))
        wait_until(folder, PRODUCTS[1])
        cold_s = time.perf_counter() - started
        told, round_trips = [], []
        for number in range(changes):
            started = time.perf_counter()
            answer = ask(folder, Change(PRODUCTS[number % 2], "benchmark"))
            round_trips.append((time.perf_counter() - started) * 1e3)
            assert isinstance(answer, Changed)
            assert answer.state == "changed", answer.detail
            told.append(answer)
            time.sleep(2 / rate)
        listed = ask(folder, Ask())
    assert isinstance(listed, Listed)
    return {
        "cold_s": round(cold_s, 2),
        "changes": changes,
        "took_ms": quantiles([answer.took_ms for answer in told]),
        "round_trip_ms": quantiles(round_trips),
        "open_mb": listed.open_mb,
        **books(folder, told),
        "machine": {"python": platform.python_version(), "system": platform.platform()},
    }


def seeded(folder: Path, name: str) -> None:
    """A product by which every part is good; its checksum differs from another's by the name."""
    home = product(folder, name)
    side = str(FRAME)
    command = [sys.executable, "-m", "engines.dskd.seeded", "--out", str(home.bundles), "--frame", side, side]
    subprocess.run(command, check=True, stdout=sys.stderr)
    home.recipes.mkdir()
    save_recipe(
        home.recipes, replace(passing_recipe(load_bundle(newest_bundle(home.bundles)), REFERENCE), product=name)
    )


def wait_until(folder: Path, name: str) -> None:
    """Until this product is in force."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            listed = ask(folder, Ask())
        except ControlError:
            if time.monotonic() > deadline:
                raise
            continue
        assert isinstance(listed, Listed)
        if listed.in_force == name:
            return
        if listed.failure or time.monotonic() > deadline:
            raise SystemExit(f"{name} does not come in force: {listed.failure}")
        time.sleep(0.02)


def books(folder: Path, told: list[Changed]) -> dict[str, Any]:
    """Whether every part was judged by the product that was in force when it was numbered."""
    rows = list(each_part(open_for_reading(data_file(folder)), Filter()))
    by_number = {row["sequence"]: row["product"] for row in rows}
    wrong = 0
    for number, (now, following) in enumerate(pairwise(told)):
        expected = PRODUCTS[number % 2]
        wrong += sum(by_number.get(part, expected) != expected for part in range(now.first, following.first))
    return {
        "parts": len(rows),
        "judged_by_another": wrong,
        "infer_ms": quantiles([row["infer_ms"] for row in rows if row["infer_ms"]]),
        "errors": dict(Counter(row["reason"] for row in rows if row["outcome"] == "ERROR")),
    }


def quantiles(times: list[float]) -> dict[str, float]:
    """Median, 99 % and the largest."""
    return dict(zip(("p50", "p99", "max"), (round(float(value), 3) for value in np.percentile(times, (50, 99, 100)))))


if __name__ == "__main__":
    sys.exit(main())
