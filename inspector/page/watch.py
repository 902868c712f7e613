"""Watch: how the line is now, from the history and the control socket. Asked for by who looks, and by nobody else."""

from __future__ import annotations

import datetime
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from inspector.control import Ask, Listed, ask
from inspector.errors import ControlError, HistoryError
from inspector.history.database import data_file, open_for_reading
from inspector.history.ledger import summarise
from inspector.history.queries import Filter, Row, list_parts

LOOK_S = 0.2  # one look serves everybody for so long, however many look
ASK_S = 1.0  # between questions to the line itself
ANSWER_S = 0.3  # the control thread comes round every 0.2 s at the latest
RECENT = 100  # parts for rate and margin


@dataclass(frozen=True, slots=True)
class Sight:
    """The line at one moment.

    Attributes:
        part: the newest of the history; None: there is none.
        age_s: since the newest part was seen; None: not known.
        counts: of today in the box's own time zone, as `summarise` gives them; empty: not known.
        per_minute: over the newest parts; None: too few.
        margin_ms: the smallest of the newest parts; None: none was acknowledged.
        listed: what the line says of itself; None: it doesn't answer.
        trouble: why it doesn't, or why the history can't be read.
    """

    part: Row | None = None
    age_s: float | None = None
    counts: Row = field(default_factory=dict)
    per_minute: float | None = None
    margin_ms: float | None = None
    listed: Listed | None = None
    trouble: str = ""


class Watch:
    """Looks at the line of a data directory. Any thread."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._lock = threading.Lock()
        self._seen, self._seen_at = Sight(), float("-inf")
        self._listed: Listed | None = None
        self._silence, self._asked_at = "", float("-inf")

    def look(self) -> Sight:
        """The line as it is, at most `LOOK_S` old."""
        with self._lock:
            if time.monotonic() - self._seen_at > LOOK_S:
                self._ask_line()
                self._seen = self._read_history()
                self._seen_at = time.monotonic()
            return self._seen

    def _ask_line(self) -> None:
        if time.monotonic() - self._asked_at < ASK_S:
            return
        try:
            answer = ask(self._data_dir, Ask(), ANSWER_S)
            self._listed, self._silence = (answer if isinstance(answer, Listed) else None), ""
        except ControlError as error:
            self._listed, self._silence = None, str(error)
        self._asked_at = time.monotonic()

    def _read_history(self) -> Sight:
        now_us = time.time_ns() // 1000
        try:
            engine = open_for_reading(data_file(self._data_dir))
            rows = list_parts(engine, Filter(), RECENT)
            counts = summarise(engine, Filter(since_us=midnight_us(now_us)))
        except (HistoryError, sa.exc.SQLAlchemyError, sqlite3.Error) as error:
            return Sight(listed=self._listed, trouble=self._silence or str(error))
        newest = rows[0]["captured_us"] if rows else None
        return Sight(
            part=rows[0] if rows else None,
            age_s=None if newest is None else max(0.0, (now_us - newest) / 1e6),
            counts=counts,
            per_minute=per_minute(rows),
            margin_ms=min((row["margin_ms"] for row in rows if row["margin_ms"] is not None), default=None),
            listed=self._listed,
            trouble=self._silence,
        )


def per_minute(rows: list[dict[str, Any]]) -> float | None:
    """Parts per minute over rows of the history; None: fewer than two have a time."""
    times = [row["captured_us"] for row in rows if row["captured_us"] is not None]
    took_us = max(times) - min(times) if times else 0
    return 60e6 * (len(times) - 1) / took_us if took_us else None


def midnight_us(now_us: int) -> int:
    """When today began in the box's own time zone, UTC microseconds."""
    now = datetime.datetime.fromtimestamp(now_us / 1e6).astimezone()
    return round(now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1e6)
