"""Gate: moves the ejector's gate for the part that is in it, as `tracking` decides, and keeps what became of each part.

Fates are appended to a file before the gate opens: a part whose fate is not in it was not let through. A full file
becomes fates-old.jsonl, in place of the one before.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from inspector.drivers import Driver
from inspector.errors import JournalError
from inspector.messages import Entry
from inspector.tracking import Close, Fate, Move, Odometer, Tracker

MEMORY_NS = 600_000_000_000  # how long ago a part may have been seen that a verdict still finds
FATES_BYTES = 64 * 1024 * 1024  # of one file; nearly a million parts
WAITING = 10_000  # entries kept for parts that are on their way

_encoder = msgspec.json.Encoder()


class Belt(Protocol):
    """The ejector's inputs."""

    def place(self, now_ns: int) -> int:
        """How far the belt has travelled, in pulses or ns; never less than before."""

    def seen(self) -> Sequence[int]:
        """Where the belt was at each part that the ejector's own sensor saw since the last call, ascending."""


class TimedBelt:
    """A belt of constant speed that never stands between camera and gate: its travel is time. No sensor."""

    def place(self, now_ns: int) -> int:
        return now_ns

    def seen(self) -> Sequence[int]:
        return ()


class Gate:
    """One thread."""

    def __init__(
        self, tracker: Tracker, belt: Belt, driver: Driver, fates: Path, limit_bytes: int = FATES_BYTES
    ) -> None:
        """
        Args:
            fates: file of fates, one JSON object per line, append only.
            limit_bytes: beyond it another file is begun, and the last but one deleted.

        Raises:
            JournalError: it can't be opened.
        """
        self.counts: Counter[str] = Counter()
        self._tracker, self._belt, self._driver = tracker, belt, driver
        self._odometer = Odometer(MEMORY_NS)
        self._entries: dict[int, Entry] = {}  # GOOD and not yet at the gate
        self._path, self._limit_bytes = fates, limit_bytes
        self._open()

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
            self._bytes = os.fstat(self._file).st_size
        except OSError as error:
            raise JournalError(f"cannot open {self._path}: {error.strerror}; check disk and permissions") from error

    def told(self, entry: Entry, seen_ns: int | None) -> None:
        """A verdict was written; `seen_ns`: when the line saw the part, ejector's clock; None: it no longer knows."""
        self._entries[entry.sequence] = entry
        if len(self._entries) > WAITING:  # of parts that never came
            del self._entries[next(iter(self._entries))]
        self._carry_out(self._tracker.told(entry.sequence, entry.outcome, self._at(seen_ns)))

    def can_pass(self, seen_ns: int | None) -> bool:
        """Has that part not yet come to the gate?"""
        return self._tracker.can_pass(self._at(seen_ns))

    def turn(self, now_ns: int, is_serving: bool) -> None:
        """Look at the belt, and move the gate for what has come to it."""
        place = self._belt.place(now_ns)
        self._odometer.sample(now_ns, place)
        for seen in self._belt.seen():
            self._tracker.saw(seen)
        self._carry_out(self._tracker.moved(place, is_serving))

    @property
    def next_place(self) -> int | None:
        """Where the belt will be when there is something to do; None: nothing is on its way."""
        return self._tracker.next_place

    def close(self) -> None:
        """Close the file of fates; may be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _at(self, seen_ns: int | None) -> int | None:
        return None if seen_ns is None else self._odometer.at(seen_ns)

    def _carry_out(self, moves: Sequence[Move]) -> None:
        for move in moves:
            if isinstance(move, Fate):
                self._keep(move)
            elif isinstance(move, Close):
                self._driver.rest()
            else:
                self._driver.let_pass(self._entries.pop(move.sequence))

    def _keep(self, fate: Fate) -> None:
        self.counts[fate.why.value] += 1
        if not fate.passed and fate.sequence is not None:
            entry = self._entries.pop(fate.sequence, None)
            if entry is not None:
                self._driver.eject(entry)
        if self._bytes >= self._limit_bytes:
            self._begin_file()
        line = _encoder.encode(fate) + b"\n"
        self._bytes += len(line)
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise JournalError(f"cannot write {self._path}: {error.strerror}; free the disk") from error
        if written != len(line):
            raise JournalError(f"{self._path} took {written} of {len(line)} bytes; free the disk")

    def _begin_file(self) -> None:
        self.close()
        try:
            self._path.replace(self._path.with_name(f"{self._path.stem}-old.jsonl"))
        except OSError as error:
            raise JournalError(f"cannot rename {self._path}: {error.strerror}; check disk and permissions") from error
        self._open()
