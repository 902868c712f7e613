"""What a whole line holds on this box, stage by stage, beside the bare runtime on the same graph, in turns.

Camera --> Acquisition --> Line --> RejectLink <--> ejector (a process of its own)      the program's own, on one box
   |                                    |
   +-- a frame per free place           +-- a verdict makes place for the next part

Rounds of the line and of the bare runtime take turns in one process, so that whatever else the machine does slows both;
the ratio is taken round by round. The camera holds its frames in memory: what a real one costs is not in here.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomlkit

from calibration.evidence import Evidence
from calibration.recipe import Recipe
from calibration.thresholds import Thresholds
from engines.bundle import Bundle, load_bundle, newest_bundle
from engines.errors import TrainingError
from engines.image import Image, list_images, read_image
from engines.runtimes.base import Runtime, graph_of, open_runtime
from engines.tiling import cut_tiles
from inspector.bench_line import BenchLine
from inspector.cameras.synthetic import draw_part
from inspector.certify import kept_pictures
from inspector.config import LineSection, parse_config
from inspector.demo import free_port, process
from inspector.engine import open_detectors
from inspector.errors import ConfigError
from inspector.history.database import data_file, open_for_reading
from inspector.history.queries import Filter, Row, each_part
from inspector.inspection import Outcome
from inspector.products import Product

ROUND_S = 2.0  # long against the filling of the line, short against what else the machine does
WINDOW_MS = 60_000.0  # asked is how many parts a line holds, not whether they are in time
SEEDED_FRAME = (320, 320)  # width, height
FRAMES = 16  # kept in memory and shown over and over

Rates = tuple[float, float]  # parts per second of the line, of the bare runtime


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Of a stage's time per part, ms."""

    p50: float
    p99: float
    p99_9: float
    max: float


@dataclass(frozen=True, slots=True)
class Bench:
    """What was measured.

    Attributes:
        threads, in_flight: of the line; threads 0: every core.
        inferences: per part, in line and bare runtime.
        line_hz, bare_hz: parts per second, median of the rounds.
        line_over_bare: median of the rounds' ratios; `lowest` and `highest` of them.
        resident_mb, peak_mb: of this process, which runs all of the line but the ejector.
        is_balanced: every part was judged, acknowledged and recorded, none as ERROR.
    """

    bundle: str
    engine: str
    threads: int
    in_flight: int
    inferences: int
    stages: dict[str, Quantiles]
    line_hz: float
    bare_hz: float
    line_over_bare: float
    lowest: float
    highest: float
    rounds: int
    parts: int
    resident_mb: float
    peak_mb: float
    is_balanced: bool


def bench(
    bundle: Bundle,
    recipe: Recipe,
    images: Sequence[Image],
    threads: int = 0,
    in_flight: int = 1,
    seconds: float = 30.0,
    on_round: Callable[[int, int], None] = lambda done, total: None,
) -> Bench:
    """Run line and bare runtime in turns, about so many seconds each.

    Args:
        threads, in_flight: as in the site's config; the bare runtime has all threads and one inference at a time.
        recipe: its engine runs, its scoring and limit judge. Nothing is ejected, so no certificate is asked for.
        images: frames (H, W, 3) BGR uint8.
        on_round: told how many rounds of how many are done.

    Raises:
        RuntimeUnavailable: the engine can't run here.
        LineStopped: the line failed, or a part got no verdict.
    """
    spec = bundle.manifest.input
    tiles = list(cut_tiles(np.zeros((*spec.canvas[::-1], 3), np.uint8), spec))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        document = _site(folder, recipe.product, threads, in_flight)
        (folder / "line.toml").write_text(tomlkit.dumps(document), encoding="utf-8")
        stack.enter_context(process("ejector", folder / "line.toml", folder))
        runtime = open_runtime(recipe.engine, graph_of(bundle, recipe.engine), threads)
        stack.callback(runtime.close)
        config = parse_config(document, "bench")
        detectors = open_detectors(bundle, recipe.engine, config.line, any_size=True)
        for detector in detectors:
            stack.callback(detector.close)
        line = stack.enter_context(BenchLine(config, recipe, detectors, images))
        parts = max(line.places + 2, round(ROUND_S * _bare(runtime, tiles, 4)))
        rates = _in_turns(line, runtime, tiles, parts, max(2, round(seconds / ROUND_S)), on_round)
        resident_mb = _resident_mb()
        line.finish()
        rows = list(each_part(open_for_reading(data_file(folder)), Filter()))
        return _summary(bundle, detectors[0].engine, config.line, rates, line, rows, resident_mb)


def seeded_product() -> tuple[Bundle, list[Image]]:
    """A bundle of the default architecture with random weights, and frames for it.

    It is made by another process: PyTorch would count in this one's memory.

    Raises:
        TrainingError: PyTorch is not installed, or the export failed.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        frame = [str(length) for length in SEEDED_FRAME]
        command = [sys.executable, "-m", "engines.dskd.seeded", "--out", folder, "--frame", *frame]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        if said.returncode:
            raise TrainingError(
                f"no seeded bundle: {said.stderr.strip()[-300:]}; "
                "pip install 'line-inspector[train]', or name a PRODUCT"
            )
        bundle = load_bundle(newest_bundle(Path(folder)))
    return bundle, [draw_part(1, number, False, SEEDED_FRAME[0]) for number in range(FRAMES)]


def product_frames(product: Product, bundle: Bundle, good: Path | None) -> list[Image]:
    """Frames to show: from a folder, or those that training kept, or noise, which takes as long.

    Raises:
        ImageError: the folder holds no picture.
        ConfigError: parts are located, and there is no picture of one.
    """
    paths = list_images(good) if good is not None else kept_pictures(product)
    if paths:
        return [read_image(path) for path in paths[:FRAMES]]
    spec = bundle.manifest.input
    if spec.locate is not None:
        raise ConfigError(f"{product.name} is located, and no picture of it was kept; give some with --good DIR")
    width, height = spec.frame_size or spec.canvas
    return list(np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8))


def passing_recipe(bundle: Bundle, engine: str) -> Recipe:
    """A recipe by which every part is good, for a bundle that was never calibrated."""
    limit = float(np.finfo(np.float32).max)
    evidence = Evidence(parts=1, pictures=1, above=0, bound=0.95, confidence=0.95, asked=0.95)
    return Recipe(
        "bench", bundle.id, engine, "", bundle.scoring, Thresholds(limit, limit), evidence, (), (), checksum="bench"
    )


def _in_turns(
    line: BenchLine,
    runtime: Runtime,
    tiles: Sequence[Image],
    parts: int,
    rounds: int,
    on_round: Callable[[int, int], None],
) -> list[Rates]:
    line.run(parts)  # the first round opens files and fills caches
    rates = []
    for number in range(rounds):
        if number % 2 == 0:
            whole, bare = line.run(parts), _bare(runtime, tiles, parts)
        else:
            bare, whole = _bare(runtime, tiles, parts), line.run(parts)
        rates.append((whole, bare))
        on_round(number + 1, rounds)
    return rates


def _bare(runtime: Runtime, tiles: Sequence[Image], parts: int) -> float:
    """Parts per second of nothing but inference."""
    started = time.perf_counter()
    for _ in range(parts):
        for tile in tiles:
            runtime.infer(tile)
    return parts / (time.perf_counter() - started)


def _summary(
    bundle: Bundle,
    engine: str,
    settings: LineSection,
    rates: Sequence[Rates],
    line: BenchLine,
    rows: Sequence[Row],
    resident_mb: float,
) -> Bench:
    ratios = [whole / bare for whole, bare in rates]
    settled = [row for row in rows if row["acknowledged"] and row["outcome"] != Outcome.ERROR]
    return Bench(
        bundle=bundle.id,
        engine=engine,
        threads=settings.threads,
        in_flight=settings.in_flight,
        inferences=bundle.manifest.input.inferences,
        stages={name: _quantiles(times) for name, times in _stages(line, rows).items()},
        line_hz=round(statistics.median(whole for whole, _ in rates), 2),
        bare_hz=round(statistics.median(bare for _, bare in rates), 2),
        line_over_bare=round(statistics.median(ratios), 4),
        lowest=round(min(ratios), 4),
        highest=round(max(ratios), 4),
        rounds=len(rates),
        parts=len(rows),
        resident_mb=resident_mb,
        peak_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1),
        is_balanced=len(settled) == len(line.link.sent) == len(rows),
    )


def _stages(line: BenchLine, rows: Sequence[Row]) -> dict[str, list[float]]:
    """Milliseconds of every part by stage, in the order that a part goes through them; `ack` begins with `send`."""
    ack_ms = {row["sequence"]: row["ack_ms"] for row in rows}  # from the picture on
    sent = line.link.sent
    timings = [entry.inspection.timings for entry in sent]
    told = [(ack_ms.get(entry.inspection.part.sequence), entry.told_ms) for entry in sent]
    return {
        "grab": line.camera.grab_ms,
        "preprocess": [entry.prepare_ms for entry in timings],
        "infer": [entry.infer_ms for entry in timings],
        "score": [entry.score_ms for entry in timings],
        "judge": [entry.judge_ms for entry in sent],
        "send": [entry.send_ms for entry in sent],
        "ack": [known - told_ms for known, told_ms in told if known is not None],
    }


def _quantiles(times: Sequence[float]) -> Quantiles:
    return Quantiles(*(round(float(value), 4) for value in np.percentile(times, (50, 99, 99.9, 100))))


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * resource.getpagesize() / 1e6, 1)


def _site(folder: Path, name: str, threads: int, in_flight: int) -> dict[str, Any]:
    line = {"name": "bench", "product": name, "data_dir": str(folder), "threads": threads, "in_flight": in_flight}
    return {
        "line": line,
        "camera": {"kind": "synthetic"},
        "ejector": {
            "endpoint": f"tcp://127.0.0.1:{free_port()}",
            "window_ms": WINDOW_MS,
            "data_dir": str(folder / "ejector"),
        },
    }
