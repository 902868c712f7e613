"""Does drift detection keep its stated run length, and how soon does it see a change, and name it rightly?

    python benchmarks/drift.py --json [--quick]

Pictures: rings that the program draws (pose, light and texture vary), and real solar cells where `elpv-dataset` is
installed. Their frame facts are those of the product, the score is a stand-in that reacts to frames as a network's
does: the mean of the largest deviations from the mean picture. A stream is calibrated with CALIBRATED pictures drawn
from the pool, and goes on drawing from it; after a while every picture is changed: 5 % darker, out of focus by a
Gaussian of 1 px, moved by 2 px; or, with the frame as it was, its score's excess over the median is doubled, or the
tenth of the largest scores comes twice as often. Run lengths without change are simulated for the rings only: ranks
do not know what they are ranks of.

A row `holds` where the lower 95 % limit of the mean run length reaches the stated one, or where the median delay is at
most MOST_DELAY parts and most streams (more than NAMED) name the cause rightly. `--quick` has as many streams, but
states a shorter run length, at which alarms come sooner and false ones more often, and changes sooner: see the JSON.
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

from calibration.drift import RUN_LENGTH, SCORE, DriftMonitor, Snapshot
from calibration.frames import SERIES, FrameGauge, Glimpse, find_reference, glimpse
from engines.datasets.elpv import read_elpv
from engines.errors import ImageError
from engines.image import Image, read_image
from inspector.cameras.synthetic import draw_part

Table = NDArray[np.float64]  # (pictures, series)

NAMES = (SCORE, *SERIES)
STREAMS = 200  # a row
CALIBRATED = 300  # parts of each stream
MOST_DELAY, NAMED = 200, 0.5  # parts; share of the streams
POOL = 400  # pictures of each product
CAUSES = {
    "brightness -5 %": "frame",
    "defocus 1 px": "frame",
    "shift 2 px": "frame",
    "doubled tail": "part",
    "doubled tail share": "part",
}


@dataclasses.dataclass(frozen=True)
class Plan:
    """How long the streams are, in parts.

    Attributes:
        run_length: stated.
        change_at: parts before the change.
        delay_cap: parts after it.
    """

    run_length: int
    change_at: int
    delay_cap: int


FULL, QUICK = Plan(RUN_LENGTH, 500, 3000), Plan(500, 100, 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} instead of {FULL}")
    parser.add_argument("--json", action="store_true", help="for a machine to read")
    options = parser.parse_args()
    started, plan = time.perf_counter(), QUICK if options.quick else FULL
    rows = []
    for product, pictures in pools().items():
        tables = facts_of(pictures)
        if not rows:
            rows.append({"product": product, "change": "none", **unchanged(tables[""], plan)})
        begun = [begin(tables[""], stream, plan) for stream in range(STREAMS)]
        rows += [
            {"product": product, "change": change, **changed(begun, tables[change], cause, plan)}
            for change, cause in CAUSES.items()
        ]
    facts = {
        "stated_run_length": plan.run_length, "streams": STREAMS, "calibrated": CALIBRATED,
        "change_at": plan.change_at, "delay_cap": plan.delay_cap, "most_delay": MOST_DELAY, "named": NAMED,
        "holds": all(row["holds"] for row in rows), "seconds": round(time.perf_counter() - started, 1),
    }  # fmt: skip
    if options.json:
        print(json.dumps({**facts, "rows": rows}))
        return
    for row in rows:
        print(row)
    print(facts)


def pools() -> dict[str, list[Image]]:
    """Pictures of good parts by product."""
    made = {"drawn ring": [draw_part(1, number, False, 320) for number in range(POOL)]}
    try:
        cells = [entry for entry in read_elpv() if entry.is_good][:POOL]
    except ImageError:
        return made
    return {**made, "solar cell": [read_image(entry.path) for entry in cells]}


def facts_of(pictures: list[Image]) -> dict[str, Table]:
    """Score and frame facts of each picture, by change; "": as it is."""
    seen = {"": [glimpse(picture) for picture in pictures]}
    seen |= {name: [glimpse(change(picture)) for picture in pictures] for name, change in CHANGES.items()}
    small = [entry.small for entry in seen[""]]
    mean, spread = find_reference(small), np.std(small, 0) + 2.0
    gauge = FrameGauge(mean)

    def row(entry: Glimpse) -> list[float]:
        away = cv2.GaussianBlur(np.abs(entry.small - mean) / spread, (0, 0), 1.5)
        score = float(np.sort(away.ravel())[-46:].mean())  # 0.5 % of the positions
        return [score, *dataclasses.astuple(gauge.place(entry))]

    tables = {name: np.array([row(entry) for entry in entries]) for name, entries in seen.items()}
    return {**tables, "doubled tail": larger_tail(tables[""]), "doubled tail share": more_tail(tables[""])}


def larger_tail(table: Table) -> Table:
    """Every score's excess over the median doubled."""
    middle, changed = np.median(table[:, 0]), table.copy()
    changed[:, 0] = np.where(table[:, 0] > middle, 2 * table[:, 0] - middle, table[:, 0])
    return changed


def more_tail(table: Table) -> Table:
    """The tenth with the largest scores twice as often as before."""
    order = np.argsort(table[:, 0])
    top, rest = order[len(table) * 9 // 10 :], order[: len(table) * 9 // 10]
    return np.concatenate([table[rest[::2]], table[rest[1::2]], *[table[top]] * 2, table[top[: len(top) // 4]]])


def moved(image: Image) -> Image:
    """2 px to the right."""
    shift = np.array([[1, 0, 2], [0, 1, 0]], np.float32)
    return np.asarray(cv2.warpAffine(image, shift, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE), np.uint8)


CHANGES: dict[str, Callable[[Image], Image]] = {
    "brightness -5 %": lambda image: np.asarray(np.round(image * 0.95), np.uint8),
    "defocus 1 px": lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0), np.uint8),
    "shift 2 px": moved,
}


def unchanged(table: Table, plan: Plan) -> dict[str, Any]:
    """Run lengths while nothing changes, cut off at twice the stated one: the mean is understated."""
    lengths = []
    for stream in range(STREAMS):
        rng = np.random.default_rng((7, stream))
        lengths.append(run(start(table, rng, plan), table, rng, 2 * plan.run_length)[0])
    mean, error = float(np.mean(lengths)), float(np.std(lengths, ddof=1) / np.sqrt(STREAMS))
    low = mean - float(stats.t.ppf(0.95, STREAMS - 1)) * error
    return {"mean_run_length": mean, "lower_95": low, "holds": low >= plan.run_length}


def begin(table: Table, stream: int, plan: Plan) -> Snapshot | None:
    """A stream up to its change, the same for all changes; None where it gave an alarm before."""
    rng = np.random.default_rng((8, stream))
    monitor = start(table, rng, plan)
    return monitor.snapshot() if run(monitor, table, rng, plan.change_at)[1] is None else None


def changed(begun: list[Snapshot | None], after: Table, cause: str, plan: Plan) -> dict[str, Any]:
    """Delays after a change, and how often its cause was named rightly."""
    delays, named = [], 0
    for stream, snapshot in enumerate(begun):
        if snapshot is not None:
            rng = np.random.default_rng((9, stream))
            delay, found = run(DriftMonitor.resume(snapshot, plan.run_length), after, rng, plan.delay_cap)
            delays.append(delay)
            named += found == cause
    median, named_rightly = float(np.median(delays)), named / len(delays)
    return {
        "cause": cause, "median_delay": median, "p90_delay": float(np.quantile(delays, 0.9)),
        "named_rightly": named_rightly, "false_before_change": begun.count(None),
        "holds": median <= MOST_DELAY and named_rightly > NAMED,
    }  # fmt: skip


def start(table: Table, rng: np.random.Generator, plan: Plan) -> DriftMonitor:
    """A monitor calibrated with pictures drawn from the table."""
    drawn = table[rng.integers(len(table), size=CALIBRATED)]
    return DriftMonitor(dict(zip(NAMES, drawn.T.tolist())), plan.run_length, int(rng.integers(2**31)))


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
