"""The history at scale: what a verdict costs to keep, and how long a question takes.

    python benchmarks/history_scale.py --parts 1000000 --json

Parts go through the real `Recorder` and `HistoryWriter` (every batch synced) while a second process keeps asking for
the last rejects. 500,000 parts a day, 1 % rejects, 0.2 % errors; one part in 1,000 is acknowledged only after its
window, so that rows are completed late. Every column that a line fills is filled; serial numbers are random, which is
the worst order for their index.

`cold`: a new connection after the system was asked to forget the file (`posix_fadvise`), median of 3. `warm`: a new
connection, the file in the system's memory, median of 20.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import median

import numpy as np

from calibration.evidence import Evidence
from calibration.frames import FrameFacts
from calibration.recipe import Recipe
from calibration.thresholds import Thresholds
from engines.scoring import Score, Scoring
from inspector.history.database import data_file, open_for_reading, open_for_writing
from inspector.history.ledger import summarise
from inspector.history.queries import Filter, list_parts
from inspector.history.writer import HistoryWriter, Session
from inspector.inspection import Band, Frame, Inspection, Outcome, Part, Reason, Record, Timings, Verdict
from inspector.recorder import Recorder

PER_DAY = 500_000
DAY_US = 86_400_000_000
START_US = 1_767_571_200_000_000  # 2026-01-05, a Monday, 00:00 UTC
REJECT_SHARE, ERROR_SHARE, LATE_SHARE = 0.01, 0.002, 0.001
WAITING = 10_000  # records handed over and not yet on disk; half the recorder's queue
IMAGE = np.zeros((1, 1, 3), np.uint8)  # the history keeps no picture
LIMIT = 1.0


def main() -> None:
    """Run the benchmark and print one object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data-dir", type=Path, help="keep the history here; default: a temporary folder")
    parser.add_argument("--json", action="store_true", help="print JSON (it always does)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="history-") as folder:
        print(json.dumps(measure(data_file(given.data_dir or Path(folder)), given.parts, given.seed)))


def measure(path: Path, parts: int, seed: int) -> dict[str, object]:
    """Fill a history, then ask it."""
    load = os.getloadavg()[0]
    rates = fill(path, parts, seed)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    started = time.perf_counter()
    database = open_for_writing(path)
    writer = HistoryWriter(database, session("boot2"), recipe())
    settled = writer.settled()
    restart_ms = (time.perf_counter() - started) * 1e3
    database.dispose()
    return {
        "parts": parts,
        "settled": settled,
        "insert_per_s": round(parts / sum(rates)),
        "insert_per_s_by_tenth": [round(parts / len(rates) / seconds) for seconds in rates],
        "bytes_per_part": round(path.stat().st_size / parts, 1),
        "restart_ms": round(restart_ms, 1),
        **{name: {"cold": cold(path, ask), "warm": warm(ask)} for name, ask in questions(path, parts, seed).items()},
        "machine": {
            "cores": os.cpu_count(),
            "load_before": round(load, 2),
            "load_after": round(os.getloadavg()[0], 2),
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "system": platform.platform(),
        },
    }


def fill(path: Path, parts: int, seed: int) -> list[float]:
    """Write all parts while a reader reads; seconds for each tenth of them, until they are on disk."""
    database = open_for_writing(path)
    writer = HistoryWriter(database, session("boot1"), recipe())
    recorder = Recorder(writer, 0, stop, lambda: None)
    context = multiprocessing.get_context("spawn")
    done = context.Event()
    reader = context.Process(target=read, args=(path, done), daemon=True)
    reader.start()
    recorder.start()
    rates, source = [], records(parts, seed)
    for tenth in range(1, 11):
        started, last = time.perf_counter(), parts * tenth // 10
        for record in source:
            recorder.submit(record)
            while record.sequence - recorder.settled > WAITING:
                time.sleep(0.001)
            if record.sequence == last and record.acknowledged:
                break
        while recorder.settled < last:
            time.sleep(0.001)
        rates.append(time.perf_counter() - started)
    done.set()
    reader.join()
    if not recorder.close() or reader.exitcode:
        raise SystemExit(f"recorder or reader failed (reader: {reader.exitcode})")
    database.dispose()
    return rates


def stop(reason: str) -> None:
    """The recorder's queue is full, which `WAITING` rules out."""
    raise SystemExit(reason)


def read(path: Path, done: Event) -> None:
    """Ask as a page does that is open all the time."""
    history = open_for_reading(path)
    while not done.wait(0.2):
        list_parts(history, Filter(outcome=Outcome.REJECT), 50)


def records(parts: int, seed: int) -> Iterator[Record]:
    """All parts in order; a late one first as it expires, then as it is acknowledged."""
    draw = random.Random(seed)
    for sequence in range(1, parts + 1):
        record = judged(sequence, draw)
        if draw.random() < LATE_SHARE:
            yield replace(record, outcome=Outcome.ERROR, reason=Reason.LATE, acknowledged=False, acknowledged_ns=None)
        yield record


def serial(draw: random.Random) -> str:
    """As a data matrix code carries it: lot and number, 20 characters."""
    return f"LOT{draw.randrange(10**5):05d}-{draw.randrange(16**11):011X}"


def judged(sequence: int, draw: random.Random) -> Record:
    """A part as a line hands it over."""
    captured_us = START_US + (sequence - 1) * DAY_US // PER_DAY
    captured_ns = captured_us * 1000
    chance, reference = draw.random(), serial(draw)
    outcome = (
        Outcome.REJECT
        if chance < REJECT_SHARE
        else Outcome.ERROR
        if chance < REJECT_SHARE + ERROR_SHARE
        else Outcome.GOOD
    )
    reason = {Outcome.GOOD: None, Outcome.REJECT: Reason.ABOVE_LIMIT, Outcome.ERROR: Reason.ENGINE_FAULT}[outcome]
    value = LIMIT * (1.0 + draw.random() if outcome is Outcome.REJECT else draw.random())
    score = Score(value, (draw.random(), draw.random()), draw.random() * 0.1, {"rim": value, "face": value / 2})
    part = Part(sequence, Frame("camera", sequence, captured_ns, captured_us, IMAGE), captured_ns + 10**8, reference)
    facts = FrameFacts(*(draw.random() for _ in FrameFacts.__slots__))
    timings = Timings(*(draw.random() * 10 for _ in range(4)))
    inspection = Inspection(part, score, None, "", timings, captured_ns + draw.randrange(10**7, 4 * 10**7), facts)
    verdict = Verdict(sequence, outcome, Band.CLEAR, reason)
    acknowledged_ns = captured_ns + draw.randrange(4 * 10**7, 6 * 10**7)
    seen = part, inspection, verdict, value
    return Record(sequence, "boot1", outcome, reason, captured_us, reference, *seen, True, acknowledged_ns)


def questions(path: Path, parts: int, seed: int) -> dict[str, Callable[[], object]]:
    """By the name of their figure; the day is the first whole one, the shift begins at half past."""
    history = open_for_reading(path)
    middle = next(record for record in records(parts, seed) if record.sequence == parts // 2)
    day = Filter(since_us=START_US, until_us=START_US + DAY_US)
    shift = Filter(since_us=START_US + DAY_US * 11 // 48, until_us=START_US + DAY_US * 27 // 48)
    return {
        "last_rejects_ms": lambda: list_parts(history, Filter(outcome=Outcome.REJECT), 50),
        "day_summary_ms": lambda: summarise(history, day),
        "shift_summary_ms": lambda: summarise(history, shift),
        "by_serial_ms": lambda: list_parts(history, Filter(part_ref=middle.part_ref), 50),
    }


def timed(ask: Callable[[], object]) -> float:
    """ms."""
    started = time.perf_counter()
    if not ask():
        raise SystemExit("a question found nothing: the figure would mean nothing")
    return (time.perf_counter() - started) * 1e3


def warm(ask: Callable[[], object]) -> float:
    """ms, median."""
    timed(ask)
    return round(median(timed(ask) for _ in range(20)), 2)


def cold(path: Path, ask: Callable[[], object]) -> float:
    """ms, median; the library is warmed up, the file is not."""
    timed(ask)
    took = []
    for _ in range(3):
        forget(path)
        took.append(timed(ask))
    return round(median(took), 2)


def forget(path: Path) -> None:
    """Ask the system to drop the file from its memory."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def session(boot: str) -> Session:
    """One run of the line."""
    return Session(boot, "line1", START_US, "ring", "camera", "onnxruntime", "0.1.0")


def recipe() -> Recipe:
    """One recipe for all parts."""
    zero, one = np.asarray(0, np.float32), np.asarray(1, np.float32)
    return Recipe(
        product="ring",
        bundle="b" * 12,
        engine="onnxruntime",
        created="2026-01-01T00:00:00Z",
        scoring=Scoring("level", (zero,), (one,), pixel_limit=3.0),
        thresholds=Thresholds(LIMIT, LIMIT * 1.5),
        evidence=Evidence(parts=100, pictures=100, above=0, bound=0.03, confidence=0.95, asked=0.05),
        calibrate=(),
        scores=(),
        checksum="c" * 64,
    )


if __name__ == "__main__":
    main()
