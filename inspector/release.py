"""Release: a line on which a challenge is due never says GOOD. It judges and ejects, until a challenge passed.

held --challenge passed for this line and recipe--> released --due again, open, failed, unreadable, stale--> held
"""

from __future__ import annotations

import datetime
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa
import structlog

from inspector.clock import Clock
from inspector.errors import InspectorError
from inspector.inspection import Outcome, Reason, Verdict
from inspector.site.challenge import passed
from inspector.site.database import reading, site_file

STALE_S = 2.0  # an answer older than this holds; it is asked for twice a second
SETTLED_US = 1_000_000  # files changed since may change again without a later time: some file systems count seconds

Stamp = tuple[tuple[int, ...], ...]

log = structlog.get_logger("release")


class Release:
    """Which recipes may say GOOD. `refresh` asks, `hold` uses the answer; any thread."""

    def __init__(self, data_dir: Path, line: str, moments: Sequence[str], clock: Clock) -> None:
        """
        Args:
            moments: when a challenge is due: "start", "changeover", or a time of day; none: the line is never held.
        """
        self._data_dir, self._line, self._moments, self._clock = data_dir, line, moments, clock
        self._started_us = clock.utc_us()
        self._in_force_us: dict[str, int] = {}  # since when, by recipe; only what changed while the line runs
        self._released: frozenset[str] = frozenset()
        self._passed: dict[str, int] = {}
        self._stamp: Stamp | None = None  # of the files when `_passed` was read from them; None: read again
        self._asked_ns = clock.now_ns()
        self._trouble = ""
        self._lock = threading.Lock()

    def put_in_force(self, recipe: str) -> None:
        """A product change is about to take effect; nothing read before it counts."""
        with self._lock:
            self._in_force_us[recipe] = self._clock.utc_us()
            self._released = self._released if "changeover" not in self._moments else self._released - {recipe}

    def refresh(self) -> None:
        """Ask the site's database; whatever goes wrong holds the line."""
        if not self._moments:
            return
        with self._lock:
            asked_ns, before, trouble = self._clock.now_ns(), self._released, ""
            try:
                now_us = self._clock.utc_us()
                started = self._read(now_us)
                released = frozenset(
                    recipe for recipe, at in started.items() if self._due_us(recipe, now_us) <= at <= now_us
                )
            except (InspectorError, OSError, ValueError, sqlite3.Error, sa.exc.SQLAlchemyError) as error:
                trouble, released = str(error), frozenset()
            self._released, self._asked_ns = released, asked_ns
        if trouble and trouble != self._trouble:
            log.error("held: the site's database can't be read", why=trouble)
        self._trouble = trouble
        if released != before:
            log.info("released", recipes=sorted(released))

    def hold(self, verdict: Verdict, recipe: str) -> Verdict:
        """The verdict as it may be told; of a held recipe neither GOOD nor REJECT, but what was judged is kept.

        Args:
            recipe: checksum of the one that judged the part.
        """
        if not self._moments or verdict.outcome is Outcome.ERROR:
            return verdict
        is_fresh = self._clock.now_ns() - self._asked_ns <= STALE_S * 1e9
        if is_fresh and recipe in self._released:
            return verdict
        told = "no challenge has passed since it was due; inspector challenge run"
        return replace(verdict, outcome=Outcome.ERROR, reason=Reason.NOT_RELEASED, detail=told, judged=verdict.outcome)

    def _read(self, now_us: int) -> dict[str, int]:
        """What passed, read again only where the files may have changed since."""
        stamp = _stamp(self._data_dir)
        if stamp != self._stamp:
            self._stamp = None
            with reading(self._data_dir) as site:
                self._passed = passed(site, self._line) if site else {}
            is_settled = all(changed_ns < 1000 * (now_us - SETTLED_US) for *_, changed_ns in stamp)
            self._stamp = stamp if stamp and is_settled else None
        return self._passed

    def _due_us(self, recipe: str, now_us: int) -> int:
        return due_us(self._moments, now_us, self._started_us, self._in_force_us.get(recipe, 0))


def _stamp(data_dir: Path) -> Stamp:
    """What changes with every write to the site's database, a few us to look at; empty: there is none."""
    path = site_file(data_dir)
    found = []
    for file in (path, path.with_name(f"{path.name}-wal")):
        try:
            status = file.stat()
        except FileNotFoundError:
            continue
        if status.st_size:  # every reader touches the empty one that it opens
            found.append((status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return tuple(found)


def due_us(moments: Sequence[str], now_us: int, started_us: int, in_force_us: int) -> int:
    """When a challenge was due last, UTC microseconds.

    Args:
        moments: "start"; "changeover", which a start is too; "HH:MM" in the box's local time.
        started_us, in_force_us: the line; the recipe, while the line ran.
    """
    now = datetime.datetime.fromtimestamp(now_us / 1e6)
    due = [0]
    for moment in moments:
        if moment == "start":
            due.append(started_us)
        elif moment == "changeover":
            due.append(max(started_us, in_force_us))
        else:
            hour, minute = map(int, moment.split(":"))
            at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
            at -= datetime.timedelta(days=1) if at > now else datetime.timedelta(0)
            due.append(round(at.timestamp() * 1e6))
    return max(due)
