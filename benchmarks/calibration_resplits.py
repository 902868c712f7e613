"""Does the calibration of real good parts keep to its own law, and what does the maximum rule do in its place?

    python benchmarks/calibration_resplits.py --data MAGNETIC_TILE_DIR --json [--again]

One network per data set is taught on a fixed pool of good parts, and scores all the others once; the scores are kept
below benchmarks/resplits/, so that without --again nothing is taught and the answer takes seconds. Then the others are
split 50 times at random, by physical part, into calibrate and test, and `find_thresholds` sets a limit each time. Final
test pictures are left out altogether.

The interval: with n parts calibrated and k of them above the limit, the number of m test parts above it is
beta-binomial with k + 1 and n - k (the mean of a binomial whose share has the beta law of the bound), whatever the
scores' distribution. A rate is inside when it lies between its 2.5 % and 97.5 % quantiles. Parts are counted by one
picture each, drawn by lot anew in each split, on both sides: pictures of one part are not independent, and for their
share no law is known. The share of all test pictures stands beside it.

The maximum rule (anomalib's without defective pictures) puts the limit at the largest score of all calibrate pictures
and states nothing; here its rate is held against the same interval with k = 0, as if each picture were a part.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from harness.facts import facts
from numpy.typing import NDArray
from rich.console import Console
from scipy import stats

from calibration.samples import Sample, Shares, split_roles
from calibration.thresholds import find_thresholds
from engines.datasets.table import read_dataset
from engines.detector import open_detector
from engines.image import read_image
from engines.runtimes.base import preferred_engine
from engines.scoring import score
from inspector.products import product
from inspector.teaching import teach_samples, training_config

Values = NDArray[np.float64]
Names = NDArray[np.str_]

KEPT = Path(__file__).parent / "resplits"
BOUNDS = {"magnetic_tile": 0.08, "elpv": 0.05}  # what the good parts there are can support with a half of them
POOL = Shares(fit=0.3, select=0.04, calibrate=0.66)  # the last is split again and again
CONFIDENCE = 0.95
INSIDE = 0.95  # of the law lies in the interval
SPLITS, ENOUGH = 50, 45
SEED = 2026


@dataclass(frozen=True, slots=True)
class Pool:
    """Scores of good pictures that the network has not seen: (N,) each."""

    scores: Values
    parts: Names


@dataclass(frozen=True, slots=True)
class Split:
    """What one split gave.

    Attributes:
        rate, maximum: share of the test parts above our limit and above the largest calibrate picture.
        pictures, maximum_pictures: the same of all test pictures.
        inside, maximum_inside: whether the shares of parts lie in their intervals.
    """

    rate: float
    pictures: float
    inside: bool
    maximum: float
    maximum_pictures: float
    maximum_inside: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of Magnetic Tile, needed to teach it again")
    parser.add_argument("--dataset", choices=sorted(BOUNDS), help="this one only")
    parser.add_argument("--minutes", type=float, help="for each training; default: as `inspector train`")
    parser.add_argument("--again", action="store_true", help="teach and score again")
    parser.add_argument("--json", action="store_true", help="for a machine to read")
    options = parser.parse_args()
    rows = []
    for name in [options.dataset] if options.dataset else BOUNDS:
        path = KEPT / f"{name}.json"
        if options.again or not path.is_file():
            keep(path, scored(name, options.data if name == "magnetic_tile" else None, options.minutes))
        rows.append(resplit(name, json.loads(path.read_text(encoding="utf-8"))))
    if options.json:
        print(json.dumps({"rows": rows, "passed": all(row["passed"] for row in rows)}))
        return
    for row in rows:
        print("\n".join(f"{key:>24} {value}" for key, value in row.items()), end="\n\n")


def scored(name: str, data: Path | None, minutes: float | None) -> dict[str, Any]:
    """Teach on the fixed pool and score every other good picture."""
    started = time.monotonic()
    entries = [entry for entry in read_dataset(name, data) if entry.is_good and entry.role != "final"]
    roles = split_roles([Sample(entry.path, entry.part) for entry in entries], POOL)
    place = product(KEPT / "work", name)  # a training that was killed goes on here
    config = training_config(minutes=minutes)
    bundle = teach_samples(place, roles["fit"], roles["select"], config, True, Console(stderr=True))
    detector = open_detector(bundle, preferred_engine(), any_size=True)
    pictures = []
    for sample in roles["calibrate"]:
        seen = score(detector.detect(read_image(sample.path)).maps, bundle.scoring)
        pictures.append([sample.path.name, sample.part, seen.value])
    detector.close()
    used = {role: len(samples) for role, samples in roles.items()}
    return {**facts(), "bundle": bundle.id, "training": bundle.manifest.training, "pictures": used,
            "seconds": round(time.monotonic() - started), "scores": pictures}  # fmt: skip


def keep(path: Path, found: dict[str, Any]) -> None:
    """Write scores, one picture a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = ",\n".join(json.dumps(row) for row in found.pop("scores"))
    head = json.dumps(found, default=str)
    path.write_text(f'{head[:-1]}, "scores": [\n{rows}\n]}}\n', encoding="utf-8")


def resplit(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """One row: fifty splits of one data set."""
    _, parts, scores = zip(*found["scores"])
    pool, bound = Pool(np.asarray(scores), np.asarray(parts)), BOUNDS[name]
    splits = [one(pool, bound, np.random.default_rng((SEED, number))) for number in range(SPLITS)]
    inside, total = sum(split.inside for split in splits), np.unique(pool.parts).size
    return {
        "dataset": name, "bound": bound, "confidence": CONFIDENCE, "pictures": len(scores), "calibrate": total // 2,
        "test": total - total // 2, "splits": SPLITS, "inside": inside, "passed": inside >= ENOUGH,
        "mean_rate": mean(split.rate for split in splits), "above_bound": over(bound, [s.rate for s in splits]),
        "mean_rate_of_pictures": mean(split.pictures for split in splits),
        "maximum_inside": sum(split.maximum_inside for split in splits),
        "maximum_mean_rate": mean(split.maximum for split in splits),
        "maximum_mean_rate_of_pictures": mean(split.maximum_pictures for split in splits),
        "maximum_largest_rate_of_pictures": max(split.maximum_pictures for split in splits),
        "rates": [round(split.rate, 5) for split in splits],
        **{key: found[key] for key in ("bundle", "training", "machine", "date", "commit")},
    }  # fmt: skip


def one(pool: Pool, bound: float, rng: np.random.Generator) -> Split:
    """Split the pool in halves by part, calibrate on one, and count in the other."""
    order = rng.permutation(np.unique(pool.parts))
    is_calibrate = np.isin(pool.parts, order[: order.size // 2])
    lots = np.array([f"{lot:.15f}" for lot in rng.random(pool.scores.size)])
    known, parts = pool.scores[is_calibrate], pool.parts[is_calibrate]
    thresholds, evidence = find_thresholds(
        known.tolist(), parts.tolist(), bound, CONFIDENCE, strict=True, lots=lots[is_calibrate].tolist()
    )
    test, drawn = pool.scores[~is_calibrate], drawn_scores(pool, ~is_calibrate, lots)
    largest = float(known.max())
    low, high = interval(evidence.parts, evidence.above, drawn.size)
    low_of_max, high_of_max = interval(known.size, 0, drawn.size)
    above, above_max = int((drawn > thresholds.review).sum()), int((drawn > largest).sum())
    return Split(
        above / drawn.size, float((test > thresholds.review).mean()), low <= above <= high,
        above_max / drawn.size, float((test > largest).mean()), low_of_max <= above_max <= high_of_max,
    )  # fmt: skip


def drawn_scores(pool: Pool, chosen: NDArray[np.bool_], lots: Names) -> Values:
    """One score per chosen part, that with the smallest lot."""
    order = np.flatnonzero(chosen)[np.argsort(lots[chosen])]
    _, first = np.unique(pool.parts[order], return_index=True)
    return pool.scores[order[first]]


def interval(parts: int, above: int, tested: int) -> tuple[int, int]:
    """Fewest and most of `tested` parts above the limit that `above` of `parts` lie above."""
    law = stats.betabinom(tested, above + 1, parts - above)
    return int(law.ppf((1 - INSIDE) / 2)), int(law.ppf((1 + INSIDE) / 2))


def over(bound: float, rates: Sequence[float]) -> int:
    """Splits whose rate is above the bound; sampling m test parts alone lifts some of them there."""
    return sum(rate > bound for rate in rates)


def mean(values: Any) -> float:
    return round(float(np.mean(list(values))), 5)


if __name__ == "__main__":
    sys.exit(main())
