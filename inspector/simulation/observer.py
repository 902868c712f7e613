"""Observer: the plant's own witness. It knows belt, camera, inference bench, wire and bin, none of the program's state.

At the end it reads the books that the program has written, history and fates, and holds them against what it saw. One
column per fact and an entry per part, laid out at the start: a million parts take no more memory at the end.
"""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from inspector.history.database import open_for_reading
from inspector.history.tables import parts, verdicts
from inspector.messages import Entry
from inspector.protocol import MS
from inspector.tracking import Fate

SETTLING_NS = 1_000 * MS  # window, grace and commit: what a kill of the line may cost a part's own row
TOLD, PASSED = 1, 2  # of a sequence: it has a fate; the fate was to be let through
KNOWN, LET_THROUGH, CONTRADICTED = 1, 2, 4  # of a part: the history has it; a fate let it through; as no GOOD


class Observer:
    """Every physical part by its place in the row, from 0."""

    def __init__(self, parts: int, window_ns: int) -> None:
        self.bad = bytearray(parts)
        self.pictured = array("q", bytes(8 * parts))  # when a running line got its picture; 0: never
        self.proven = array("q", bytes(8 * parts))  # when inference found it good, for the first time; 0: never
        self.passed, self.binned = bytearray(parts), bytearray(parts)  # how often
        self.interrupted: set[int] = set()  # the gate lost its ejector or its line while the part was in it
        self.line_kills: list[int] = []  # ascending
        self.acknowledged: dict[int, Entry] = {}  # heard on the wire since the ejector's last start
        self.crossed = self.unproven = self.lost_acks = 0
        self._window_ns = window_ns
        self._stamps, self._stamped = array("q"), array("q")  # calendar times of pictures, and whose, as taken

    def exposed(self, part: int, now_ns: int, captured_us: int) -> None:
        """A running line got a picture of the part, or the news that there is none."""
        self.pictured[part] = self.pictured[part] or now_ns
        self._stamps.append(captured_us)
        self._stamped.append(part)

    def found_good(self, part: int, now_ns: int) -> None:
        """Inference found the part good."""
        self.proven[part] = self.proven[part] or now_ns

    def at_gate(self, part: int, is_open: bool) -> None:
        """The part is at the gate, which is open or not."""
        self.crossed += 1
        (self.passed if is_open else self.binned)[part] += 1
        if is_open and not self._is_proven(part):
            self.unproven += 1

    def _is_proven(self, part: int) -> bool:
        seen, proven = self.pictured[part], self.proven[part]
        return not self.bad[part] and seen > 0 and proven > 0 and proven - seen <= self._window_ns

    def verdict(self, folder: Path) -> dict[str, Any]:
        """The books held against the belt: `one_fate`, `unproven_good`, `wrong_ejections`, `ledger_balanced`, and why
        not."""
        fates, doubled = _read_fates(folder)
        known, trouble = self._read_history(folder, fates)
        unknown = [part for part in range(len(known)) if not known[part] & KNOWN and not self._may_be_unknown(part)]
        trouble["fates_doubled"] = doubled
        trouble["acknowledged_and_lost"] = self.lost_acks
        trouble["pictured_without_row"] = len(unknown)
        twice = sum(self.passed[part] + self.binned[part] != 1 for part in range(len(known)))
        return {
            "one_fate": len(known) - twice - len(unknown),
            "unproven_good": self.unproven,
            "wrong_ejections": sum(self._is_wrong(part, known[part]) for part in range(len(known))),
            "ledger_balanced": not any(trouble.values()),
            "trouble": {name: count for name, count in trouble.items() if count},
            "passed": sum(self.passed),
            "ejected": sum(self.binned),
        }

    def _is_wrong(self, part: int, known: int) -> bool:
        """What happened is not what the books say: passed without GOOD, or in the bin though it was let through."""
        if self.passed[part]:
            return not known & LET_THROUGH or bool(known & CONTRADICTED)
        return bool(known & LET_THROUGH) and part not in self.interrupted

    def _may_be_unknown(self, part: int) -> bool:
        """No running line saw it, or the line was killed before it could say anything of it."""
        seen = self.pictured[part]
        kill = bisect.bisect_left(self.line_kills, seen)
        return seen == 0 or (kill < len(self.line_kills) and self.line_kills[kill] - seen <= SETTLING_NS)

    def _read_history(self, folder: Path, fates: bytearray) -> tuple[bytearray, dict[str, int]]:
        known, place = bytearray(len(self.bad)), 0
        last = count = unacknowledged = strangers = 0
        for last, outcome, acknowledged, captured_us in _rows(folder):
            count += 1
            unacknowledged += not acknowledged
            if captured_us is None:
                continue
            part, place = self._whose(captured_us, place)
            fate = fates[last] if last < len(fates) else 0
            if part is None:
                strangers += 1
            else:
                known[part] |= KNOWN
                known[part] |= LET_THROUGH if fate & PASSED else 0
                known[part] |= CONTRADICTED if fate & PASSED and outcome != "GOOD" else 0
        trouble = {"numbers_without_row": last - count, "never_acknowledged": unacknowledged, "strangers": strangers}
        return known, trouble

    def _whose(self, captured_us: int, after: int) -> tuple[int | None, int]:
        """The part that was before the camera at that time of the calendar, and where to look for the next row's.

        Numbers follow pictures, so both are gone through once: a calendar that was set back repeats no time."""
        try:
            place = self._stamps.index(captured_us, after)
        except ValueError:
            return None, after
        return self._stamped[place], place + 1


def _rows(folder: Path) -> Iterator[Any]:
    """(sequence, outcome, acknowledged, captured_us), ascending."""
    query = sa.select(verdicts.c.sequence, verdicts.c.outcome, verdicts.c.acknowledged, parts.c.captured_us)
    database = open_for_reading(folder / "history.sqlite")
    with database.connect() as connection:
        yield from connection.execution_options(yield_per=1000).execute(query.join(parts).order_by("sequence"))
    database.dispose()


def _read_fates(folder: Path) -> tuple[bytearray, int]:
    """By sequence: `TOLD`, `PASSED`; and how often one was told twice."""
    fates = bytearray()
    doubled = 0
    decoder = msgspec.json.Decoder(Fate)
    with open(folder / "fates.jsonl", "rb") as file:
        for fate in map(decoder.decode, file):
            if fate.sequence is None:
                continue
            if fate.sequence >= len(fates):
                fates.extend(bytes(fate.sequence - len(fates) + 1))
            doubled += bool(fates[fate.sequence])
            fates[fate.sequence] |= TOLD | (PASSED if fate.passed else 0)
    return fates, doubled
