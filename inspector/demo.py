"""The demo: teach, calibrate, run a belt of parts through the real program, and hold the ledger against the truth.

Solar cells come through the real pylon driver and its emulated Basler camera; synthetic parts through our own. Line and
ejector are processes of their own, as in production.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import sqlalchemy as sa
import tomlkit
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from calibration.calibrate import Contract
from calibration.samples import Sample
from engines.datasets.elpv import read_elpv
from engines.detector import open_detector
from engines.image import Image, read_image
from engines.metrics import auroc
from inspector.cameras.synthetic import draw_part, is_defective
from inspector.errors import InspectorError, LineStopped
from inspector.history.database import data_file, open_for_reading
from inspector.history.ledger import count_recorded, summarise
from inspector.history.queries import Filter, Row, each_part
from inspector.products import Product, product
from inspector.teaching import calibrate_on, teach_samples, training_config

Input = Literal["solar_cells", "synthetic"]

SEED = 7
ASKED, CONFIDENCE = 0.05, 0.95
STEPS = {"solar_cells": 300, "synthetic": 80}  # parts drawn by rule are learnt sooner than real ones
FIT, SELECT, CALIBRATE = 240, 48, 125  # 124 is the fewest that support 5 % with two parts above the limit
SYNTHETIC_FIT = 160
SYNTHETIC_PARTS, SYNTHETIC_DEFECTS = 400, 0.3
LOAD = 0.5  # of the rate that inference alone would hold: belts run with a reserve
WINDOW_MS = 500.0


@dataclass(frozen=True, slots=True)
class Belt:
    """What runs past the camera: the truth by block id, and the camera's table of the config."""

    defective: list[bool]
    camera: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spread:
    """p50, p99 and largest of a duration, ms."""

    p50: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Result:
    """The ledger of one run, held against the known truth."""

    triggers: int
    good: int
    reject: int
    error: int
    acknowledged: int
    recorded: int
    defects: int
    missed_defects: int
    good_parts: int
    false_rejects: int
    false_reject_bound: float
    auroc: float
    parts_per_s: float
    verdict_ms: Spread
    ack_ms: Spread
    overhead_ms: Spread
    data_dir: str
    history_command: str

    @property
    def is_balanced(self) -> bool:
        """Every trigger has one verdict, acknowledged and recorded."""
        judged = self.good + self.reject + self.error
        return self.triggers == judged == self.acknowledged == self.recorded

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Demo:
    """One run in a fresh data directory."""

    def __init__(self, folder: Path, source: Input, console: Console) -> None:
        self._folder = folder.absolute()
        self._source: Input = source
        self._console = console

    def run(self) -> Result:
        """Everything, start to end.

        Raises:
            InspectorError: the data directory is not fresh, or line or ejector failed.
        """
        if self._folder.exists() and any(self._folder.iterdir()):
            raise InspectorError(f"{self._folder} is not empty; each demo needs a fresh --data-dir")
        self._folder.mkdir(parents=True, exist_ok=True)
        samples, belt = _solar_cells(self._folder) if self._source == "solar_cells" else _synthetic(self._folder)
        taught = product(self._folder, self._source)
        config = training_config(steps=STEPS[self._source], seed=SEED)
        teach_samples(taught, samples["fit"], samples["select"], config, False, self._console)
        made = calibrate_on(taught, samples["calibrate"], "", Contract(ASKED, CONFIDENCE), self._console)
        self._console.print(f"calibrated: {made.recipe.evidence.sentence()}")
        site = write_config(self._folder, self._source, belt.camera, len(belt.defective), belt_rate(taught))
        run_processes(site, self._folder, len(belt.defective), self._console)
        return hold_against_truth(self._folder, belt.defective, made.recipe.evidence.bound)


def belt_rate(taught: Product) -> float:
    """Parts per second that leave inference `LOAD` busy on this machine."""
    recipe, bundle = taught.active()
    spec = bundle.manifest.input
    detector = open_detector(bundle, recipe.engine, any_size=True)
    picture = np.full((spec.height, spec.width, 3), 128, np.uint8)
    times = sorted(detector.detect(picture).infer_ms for _ in range(20))
    detector.close()
    return max(1.0, min(200.0, LOAD * 1000 / times[len(times) // 2]))


def write_config(folder: Path, name: str, camera: dict[str, Any], parts: int, rate_hz: float) -> Path:
    """line.toml of the run, in its data directory."""
    document = {
        "line": {"name": "demo", "product": name, "data_dir": str(folder), "queue": 16, "stop_after": parts},
        "camera": {**camera, "rate_hz": round(rate_hz, 1)},
        "ejector": {
            "endpoint": f"tcp://127.0.0.1:{free_port()}",
            "window_ms": WINDOW_MS,
            "data_dir": str(folder / "ejector"),
        },
    }
    path = folder / "line.toml"
    path.write_text(tomlkit.dumps(document), encoding="utf-8")
    return path


def emulated_camera(folder: Path, pictures: Iterable[Image]) -> dict[str, Any]:
    """Lay grey pictures out for pylon's emulated camera; its table of the config.

    As bitmaps: the emulator decodes a file per trigger, which no real camera does; a PNG would cost 2 ms of it.
    """
    folder.mkdir()
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number:05d}.bmp"), cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))
    return {"kind": "basler", "emulated": True, "trigger": "software", "images": str(folder)}


def free_port() -> int:
    """A TCP port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_processes(config: Path, folder: Path, parts: int, console: Console) -> None:
    """Run ejector and line until the belt is empty, showing how far it is.

    Raises:
        LineStopped: the line or the ejector ended with an error; the message ends with its log.
    """
    with (
        process("ejector", config, folder) as ejector,
        process("run", config, folder) as line,
        Progress(console=console) as bar,
    ):
        task = bar.add_task("running the belt", total=parts)
        while line.poll() is None:
            if ejector.poll() is not None:
                raise LineStopped(f"the ejector ended with {ejector.returncode}:\n{_tail(folder / 'ejector.log')}")
            counts = _counts(folder)
            shown = ", ".join(f"{outcome} {count}" for outcome, count in sorted(counts.items()))
            bar.update(task, completed=sum(counts.values()), description=f"running the belt: {shown or 'starting'}")
            time.sleep(0.25)
        bar.update(task, completed=sum(_counts(folder).values()))
        if line.returncode:
            raise LineStopped(f"the line ended with {line.returncode}:\n{_tail(folder / 'run.log')}")


def hold_against_truth(folder: Path, defective: Sequence[bool], bound: float) -> Result:
    """Compare the history with what is known of each part, matched by the camera's block id."""
    engine = open_for_reading(data_file(folder))
    rows = list(each_part(engine, Filter()))
    ledger = summarise(engine, Filter(), recount=True)
    known = [(row, defective[row["block_id"] % len(defective)]) for row in rows if row["block_id"] is not None]
    good = [row for row, is_bad in known if not is_bad]
    bad = [row for row, is_bad in known if is_bad]
    seconds = (max(row["captured_us"] for row in rows) - min(row["captured_us"] for row in rows)) / 1e6 if rows else 0
    overhead = [row["ack_ms"] - row["infer_ms"] for row in rows if row["ack_ms"] and row["infer_ms"]]
    return Result(
        **{name: ledger[name] for name in ("triggers", "good", "reject", "error", "acknowledged", "recorded")},
        defects=len(bad),
        missed_defects=sum(row["outcome"] == "GOOD" for row in bad),
        good_parts=len(good),
        false_rejects=sum(row["outcome"] == "REJECT" for row in good),
        false_reject_bound=bound,
        auroc=auroc(_scores(good), _scores(bad)),
        parts_per_s=(len(rows) - 1) / seconds if seconds else 0.0,
        verdict_ms=_spread([row["verdict_ms"] for row in rows]),
        ack_ms=_spread([row["ack_ms"] for row in rows]),
        overhead_ms=_spread(overhead),
        data_dir=str(folder),
        history_command=f"inspector history list --data-dir {folder}",
    )


def show(result: Result, console: Console) -> None:
    """The table at the end."""
    table = Table(title="The ledger", show_header=False)
    sign = "=" if result.is_balanced else "≠"
    table.add_row(
        "triggers", f"{result.triggers} {sign} {result.good} GOOD + {result.reject} REJECT + {result.error} ERROR"
    )
    table.add_row("acknowledged, recorded", f"{result.acknowledged}, {result.recorded}")
    table.add_row("missed defects", f"{result.missed_defects} of {result.defects}")
    table.add_row("false rejects", f"{result.false_rejects} of {result.good_parts} good parts")
    table.add_row("bound on false rejects", f"{result.false_reject_bound:.1%} at {CONFIDENCE:.0%} confidence")
    table.add_row("AUROC", f"{result.auroc:.3f}")
    for name, spread in (
        ("frame to verdict", result.verdict_ms),
        ("frame to acknowledgement", result.ack_ms),
        ("all but inference", result.overhead_ms),
    ):
        table.add_row(name, f"p50 {spread.p50:.1f}, p99 {spread.p99:.1f}, max {spread.max:.1f} ms")
    table.add_row("rate", f"{result.parts_per_s:.1f} parts/s")
    table.add_row("data directory", result.data_dir)
    console.print(table)
    console.print(f"Look back: {result.history_command}", soft_wrap=True)


# -- the two inputs ------------------------------------------------------------------------------------------------


def _solar_cells(folder: Path) -> tuple[dict[str, list[Sample]], Belt]:
    cells = read_elpv()
    rng = np.random.default_rng(SEED)
    good = [cell for cell in cells if cell.is_good]
    order = [good[index] for index in rng.permutation(len(good))]
    ends = (0, FIT, FIT + SELECT, FIT + SELECT + CALIBRATE)
    samples = {
        role: [Sample(cell.path, cell.part) for cell in order[start:end]]
        for role, start, end in zip(("fit", "select", "calibrate"), ends, ends[1:])
    }
    parts = [*order[ends[-1] :], *(cell for cell in cells if not cell.is_good)]
    belt = [parts[index] for index in rng.permutation(len(parts))]
    camera = emulated_camera(folder / "belt", (read_image(cell.path) for cell in belt))
    return samples, Belt([not cell.is_good for cell in belt], camera)


def _synthetic(folder: Path) -> tuple[dict[str, list[Sample]], Belt]:
    counts = {"fit": SYNTHETIC_FIT, "select": SELECT, "calibrate": CALIBRATE}
    samples: dict[str, list[Sample]] = {}
    number = 0
    for role, count in counts.items():
        samples[role] = []
        (folder / "good" / role).mkdir(parents=True)
        for _ in range(count):
            path = folder / "good" / role / f"{number:05d}.png"
            # Another belt's seed: the parts that are inspected are none of those that taught.
            cv2.imwrite(str(path), draw_part(SEED + 1, number, defective=False))
            samples[role].append(Sample(path, path.stem))
            number += 1
    camera = {"kind": "synthetic", "seed": SEED, "defect_share": SYNTHETIC_DEFECTS, "parts": SYNTHETIC_PARTS}
    truth = [is_defective(SEED, number, SYNTHETIC_DEFECTS) for number in range(SYNTHETIC_PARTS)]
    return samples, Belt(truth, camera)


# -- processes and figures -----------------------------------------------------------------------------------------


@contextmanager
def process(command: str, config: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`inspector COMMAND --config FILE` while the block runs, its log in the folder."""
    call = [sys.executable, "-m", "inspector.cli", command, "--config", str(config)]
    with open(folder / f"{command}.log", "wb") as log:
        process = subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ})
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _counts(folder: Path) -> Row:
    if not data_file(folder).is_file():
        return {}
    try:
        return count_recorded(open_for_reading(data_file(folder)))
    except sa.exc.OperationalError:  # the first milliseconds: the file is there, its tables are not
        return {}


def _tail(path: Path, lines: int = 12) -> str:
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _scores(rows: Sequence[Row]) -> list[float]:
    return [row["score"] for row in rows if row["score"] is not None]


def _spread(values: Sequence[float | None]) -> Spread:
    known = [value for value in values if value is not None]
    if not known:
        return Spread(float("nan"), float("nan"), float("nan"))
    p50, p99, largest = np.percentile(known, (50, 99, 100))
    return Spread(round(float(p50), 3), round(float(p99), 3), round(float(largest), 3))
