"""Does drift detection keep its stated run length, and how soon does it see a change, and name it rightly?

    python benchmarks/drift.py --json [--quick]

Pictures: rings that the program draws (pose, light and texture vary), and real solar cells where `elpv-dataset` is
installed. Their frame facts are those of the product, the score is a stand-in that reacts to frames as a network's
does: the mean of the largest deviations from the mean picture. A stream is calibrated with CALIBRATED pictures drawn
from the pool, and goes on drawing from it; after CHANGE_AT parts every picture is changed: 5 % darker, out of focus by
a Gaussian of 1 px, moved by 2 px; or, with the frame as it was, its score's excess over the median is doubled, or the
tenth of the largest scores comes twice as often. Run lengths without change are simulated for the rings only: ranks
do not know what they are ranks of.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from calibration.drift import SCORE, DriftMonitor, Snapshot
from calibration.frames import SERIES, FrameGauge, find_reference, glimpse
from engines.datasets.elpv import read_elpv
from engines.errors import ImageError
from engines.image import Image, read_image
from inspector.cameras.synthetic import draw_part

Table = NDArray[np.float64]  # (pictures, series)

NAMES = (SCORE, *SERIES)
CALIBRATED, CHANGE_AT, DELAY_CAP = 300, 500, 3000  # parts
STREAMS, RUN_LENGTH = 200, 20_000
QUICK_RUN_LENGTH = 1_000
POOL = 400  # pictures of each product
CAUSES = {
    "brightness -5 %": "frame",
    "defocus 1 px": "frame",
    "shift 2 px": "frame",
    "doubled tail": "part",
    "doubled tail share": "part",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"stated run length {QUICK_RUN_LENGTH} for {RUN_LENGTH}")
    parser.add_argument("--json", action="store_true", help="for a machine to read")
    options = parser.parse_args()
    started, run_length = time.perf_counter(), QUICK_RUN_LENGTH if options.quick else RUN_LENGTH
    rows = []
    for product, pictures in pools().items():
        tables = {change: facts_of(pictures, change) for change in ("", *CAUSES)}
        if not rows:
            rows.append({"product": product, "change": "none", **unchanged(tables[""], run_length)})
        begun = [begin(tables[""], stream, run_length) for stream in range(STREAMS)]
        rows += [
            {"product": product, "change": change, **changed(begun, tables[change], cause, run_length)}
            for change, cause in CAUSES.items()
        ]
    seconds = round(time.perf_counter() - started, 1)
    if options.json:
        print(json.dumps({"stated_run_length": run_length, "streams": STREAMS, "rows": rows, "seconds": seconds}))
        return
    for row in rows:
        print(row)
    print(f"stated run length {run_length}, {STREAMS} streams a row, {seconds} s")


def pools() -> dict[str, list[Image]]:
    """Pictures of good parts by product."""
    made = {"drawn ring": [draw_part(1, number, False, 320) for number in range(POOL)]}
    try:
        cells = [entry for entry in read_elpv() if entry.is_good][:POOL]
    except ImageError:
        return made
    return {**made, "solar cell": [read_image(entry.path) for entry in cells]}


def facts_of(pictures: list[Image], change: str) -> Table:
    """Score and frame facts of each picture after a change."""
    mean = find_reference([glimpse(picture).small for picture in pictures])
    spread = np.std([glimpse(picture).small for picture in pictures], 0) + 2.0
    gauge = FrameGauge(mean)
    rows = []
    for picture in pictures:
        seen = CHANGES.get(change, lambda image: image)(picture)
        away = cv2.GaussianBlur(np.abs(glimpse(seen).small - mean) / spread, (0, 0), 1.5)
        score = float(np.sort(away.ravel())[-46:].mean())  # 0.5 % of the positions
        rows.append([score, *dataclasses.astuple(gauge.measure(seen))])
    table = np.asarray(rows)
    if change == "doubled tail":
        middle = np.median(table[:, 0])
        table[:, 0] = np.where(table[:, 0] > middle, 2 * table[:, 0] - middle, table[:, 0])
    if change == "doubled tail share":
        order = np.argsort(table[:, 0])
        top, rest = order[len(table) * 9 // 10 :], order[: len(table) * 9 // 10]
        table = np.concatenate([table[rest[::2]], table[rest[1::2]], *[table[top]] * 2, table[top[: len(top) // 4]]])
    return table


def moved(image: Image) -> Image:
    """2 px to the right."""
    shift = np.array([[1, 0, 2], [0, 1, 0]], np.float32)
    return np.asarray(cv2.warpAffine(image, shift, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE), np.uint8)


CHANGES: dict[str, Callable[[Image], Image]] = {
    "brightness -5 %": lambda image: np.asarray(np.round(image * 0.95), np.uint8),
    "defocus 1 px": lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0), np.uint8),
    "shift 2 px": moved,
}


def unchanged(table: Table, run_length: float) -> dict[str, Any]:
    """Run lengths while nothing changes, cut off at twice the stated one: the mean is understated."""
    lengths = []
    for stream in range(STREAMS):
        rng = np.random.default_rng((7, stream))
        lengths.append(run(start(table, rng, run_length), table, rng, 2 * round(run_length))[0])
    mean, error = float(np.mean(lengths)), float(np.std(lengths, ddof=1) / np.sqrt(STREAMS))
    low = mean - float(stats.t.ppf(0.95, STREAMS - 1)) * error
    return {"mean_run_length": mean, "lower_95": low, "holds": low >= run_length}


def begin(table: Table, stream: int, run_length: float) -> Snapshot | None:
    """A stream up to its change, the same for all changes; None where it gave an alarm before."""
    rng = np.random.default_rng((8, stream))
    monitor = start(table, rng, run_length)
    return monitor.snapshot() if run(monitor, table, rng, CHANGE_AT)[1] is None else None


def changed(begun: list[Snapshot | None], after: Table, cause: str, run_length: float) -> dict[str, Any]:
    """Delays after a change, and how often its cause was named rightly."""
    delays, named = [], 0
    for stream, snapshot in enumerate(begun):
        if snapshot is not None:
            rng = np.random.default_rng((9, stream))
            delay, found = run(DriftMonitor.resume(snapshot, run_length), after, rng, DELAY_CAP)
            delays.append(delay)
            named += found == cause
    return {
        "cause": cause, "median_delay": float(np.median(delays)), "p90_delay": float(np.quantile(delays, 0.9)),
        "named_rightly": named / len(delays), "false_before_change": begun.count(None),
    }  # fmt: skip


def start(table: Table, rng: np.random.Generator, run_length: float) -> DriftMonitor:
    """A monitor calibrated with pictures drawn from the table."""
    drawn = table[rng.integers(len(table), size=CALIBRATED)]
    return DriftMonitor(dict(zip(NAMES, drawn.T.tolist())), run_length, int(rng.integers(2**31)))


def run(monitor: DriftMonitor, table: Table, rng: np.random.Generator, most: int) -> tuple[int, str | None]:
    """Parts until RECALIBRATE and the cause it names; (most, None) when it does not come."""
    rows = table.tolist()
    for number, index in enumerate(rng.integers(len(rows), size=most).tolist()):
        drift = monitor.update(dict(zip(NAMES, rows[index])))
        if drift.state == "RECALIBRATE":
            return number + 1, drift.cause
    return most, None


if __name__ == "__main__":
    main()
