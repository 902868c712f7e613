"""Drift of a line: the history's parts, oldest first, held against the calibration of the recipe that judged them.

Beside the line a thread does so with every settled part, and now and then keeps where it stands. A restart goes on from
there with the parts since, and comes to the same state: the history alone decides.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa
import structlog

from calibration.drift import RUN_LENGTH, SCORE, Drift, DriftMonitor, Snapshot
from calibration.frames import SERIES
from calibration.recipe import Recipe
from inspector.history.queries import Filter, list_next
from inspector.inspection import Reason

ROUND_S = 0.5  # between two looks at the history
PAGE = 200  # parts at a time: 10 ms of Python, which the line's threads would have to wait for
KEEP_EVERY = 1000  # numbers; replaying so many takes a tenth of a second
FORMAT = 1  # of what is kept; raise it when the monitor's bets change, so that all is computed anew

log = structlog.get_logger("drift")


@dataclass(frozen=True, slots=True)
class Kept:
    """A monitor on disk: it has seen the recipe's parts up to `sequence`."""

    format: int
    sequence: int
    monitor: Snapshot


class RecipeWatch:
    """Where one recipe stands after its parts so far."""

    def __init__(self, recipe: Recipe, run_length: float = RUN_LENGTH) -> None:
        """Args:
        run_length: parts; the mean time to a false RECALIBRATE is at least this.
        """
        known = {SCORE: recipe.scores}
        if recipe.frames is not None:
            known |= {name: tuple(column) for name, column in zip(SERIES, recipe.frames.values.T.tolist())}
        self.recipe = recipe
        self.sequence = 0
        self.drift = Drift("OK", "", "", 0.0, 0)
        self._monitor = DriftMonitor(known, run_length)

    @classmethod
    def resume(cls, recipe: Recipe, folder: Path) -> RecipeWatch:
        """Go on from what was kept for this recipe; from its first part where that is missing or can't be read."""
        watch = cls(recipe)
        try:
            kept = msgspec.msgpack.decode(_file(folder, recipe).read_bytes(), type=Kept)
        except FileNotFoundError:
            return watch
        except (OSError, msgspec.DecodeError) as error:
            log.warning("drift is computed anew from the history", recipe=recipe.checksum, error=str(error))
            return watch
        if kept.format == FORMAT:
            watch.sequence, watch._monitor = kept.sequence, DriftMonitor.resume(kept.monitor)
            watch.drift = watch._monitor.drift
        return watch

    def keep(self, folder: Path) -> None:
        """Write where it stands. It need not be durable, only whole: the history has it all.

        Raises:
            OSError: it can't be written.
        """
        folder.mkdir(exist_ok=True)
        kept = Kept(FORMAT, self.sequence, self._monitor.snapshot())
        beside = _file(folder, self.recipe).with_suffix(".new")
        beside.write_bytes(msgspec.msgpack.encode(kept))
        os.replace(beside, _file(folder, self.recipe))

    def update(self, rows: Iterable[Mapping[str, Any]]) -> Drift:
        """The state after more parts.

        Args:
            rows: as `each_part` gives them; those that another recipe judged, those without a look, and those of a
                held line (challenge parts are no production) don't count.
        """
        for row in rows:
            values = _values(row) if row["recipe"] == self.recipe.checksum else {}
            if values:
                self.drift = self._monitor.update(values)
            self.sequence = row["sequence"]
        return self.drift


class Settles(Protocol):
    """What is asked of the recorder."""

    @property
    def settled(self) -> int:
        """All parts up to this sequence are durable and acknowledged."""


class LiveDrift:
    """The thread that watches the recipe in force. It only reads, and its faults are logged: no verdict hangs on it."""

    def __init__(self, database: sa.Engine, recorder: Settles, in_force: Callable[[], Recipe], folder: Path) -> None:
        """Args:
        in_force: the recipe whose parts are watched from now on.
        folder: where it keeps how far it came, a file for each recipe.
        """
        self._database, self._recorder, self._in_force, self._folder = database, recorder, in_force, folder
        self._watch: RecipeWatch | None = None
        self._kept = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drift", daemon=True)

    @property
    def drift(self) -> Drift | None:
        """Where the recipe in force stands; None before the first look."""
        return self._watch.drift if self._watch else None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self, timeout_s: float = 5.0) -> None:
        """End the thread and keep where it stands."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        is_behind = False
        while not self._stopping.wait(0.01 if is_behind else ROUND_S):
            is_behind = self._guarded(self.look)
        self._guarded(self._keep)

    def _guarded(self, step: Callable[[], bool]) -> bool:
        try:
            return step()
        except (sa.exc.SQLAlchemyError, OSError) as error:
            log.warning("drift can't be watched now", error=str(error))
            return False

    def look(self) -> bool:
        """One page of settled parts; True where more may wait."""
        watch = self._current()
        before, settled = watch.drift, self._recorder.settled
        wanted = Filter(recipe=watch.recipe.checksum, after=watch.sequence, last=settled)
        rows = list_next(self._database, wanted, PAGE)
        drift = watch.update(rows)
        if (drift.state, drift.cause) != (before.state, before.cause):
            product, tell = watch.recipe.product, log.info if drift.state == "OK" else log.warning
            tell("drift", product=product, recipe=watch.recipe.checksum, **msgspec.to_builtins(drift))
        if watch.sequence - self._kept >= KEEP_EVERY:
            self._keep()
        return len(rows) == PAGE

    def _current(self) -> RecipeWatch:
        recipe = self._in_force()
        if self._watch is None or self._watch.recipe.checksum != recipe.checksum:
            self._keep()
            self._watch = RecipeWatch.resume(recipe, self._folder)
            self._kept = self._watch.sequence
        return self._watch

    def _keep(self) -> bool:
        if self._watch is not None and self._watch.sequence > self._kept:
            self._watch.keep(self._folder)
            self._kept = self._watch.sequence
        return False


def drift_folder(data_dir: Path) -> Path:
    """Where a line keeps how far it watched."""
    return data_dir / "drift"


def _file(folder: Path, recipe: Recipe) -> Path:
    return folder / f"{recipe.checksum}.msgpack"


def _values(row: Mapping[str, Any]) -> dict[str, float]:
    if row["reason"] == Reason.NOT_RELEASED:
        return {}
    score = math.inf if row["reason"] == Reason.PART_NOT_FOUND else row["score"]
    values = {SCORE: score, **{name: row[f"frame_{name}"] for name in SERIES}}
    return {name: float(value) for name, value in values.items() if value is not None}
