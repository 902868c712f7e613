"""The one writer of the history: records in, one durable transaction per batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from calibration.frames import SERIES
from calibration.recipe import Recipe
from inspector.errors import HistoryError
from inspector.history.database import reason
from inspector.history.tables import parts, progress, recipes, sessions, verdicts
from inspector.history.tallies import counted
from inspector.inspection import Outcome, Reason, Record
from inspector.messages import Entry


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the line, as the history names it."""

    boot: str
    line: str
    started_us: int
    product: str
    camera: str
    engine: str
    version: str


class HistoryWriter:
    """Writes for one session. Used by one thread at a time."""

    def __init__(self, engine: sa.Engine, session: Session, recipe: Recipe) -> None:
        """Register session and recipe.

        Args:
            recipe: in force at the start; that of parts which know no job.

        Raises:
            HistoryError: the database refuses.
        """
        self._engine = engine
        self._session = session
        self._recipe = recipe
        self._session_ids: dict[str, int] = {}
        self._recipe_ids: dict[str, int] = {}  # by checksum
        try:
            with engine.begin() as connection:
                self._session_ids[session.boot] = _session_id(connection, session)
                self._recipe_ids[recipe.checksum] = _recipe_id(connection, recipe)
                advance(connection)
        except sa.exc.SQLAlchemyError as error:
            raise HistoryError(f"cannot start a session in the history: {reason(error)}") from error

    def write(self, records: Sequence[Record]) -> None:
        """Insert or complete rows, all in one durable transaction.

        A row that is there already keeps what it knows: a part that expired and is acknowledged later gets the
        journal's outcome, an inspection that finished late adds its score.

        Raises:
            HistoryError: nothing of the batch was written.
        """
        try:
            with self._engine.begin() as connection:
                with counted(connection, [record.sequence for record in records]):
                    connection.execute(_upsert_parts, [self._part_row(connection, record) for record in records])
                    connection.execute(_upsert_verdicts, [self._verdict_row(connection, record) for record in records])
                advance(connection)
        except sa.exc.SQLAlchemyError as error:
            # What the refused transaction registered was never kept.
            self._session_ids = {self._session.boot: self._session_ids[self._session.boot]}
            self._recipe_ids = {self._recipe.checksum: self._recipe_ids[self._recipe.checksum]}
            raise HistoryError(f"cannot write {len(records)} verdicts: {reason(error)}") from error

    def settled(self) -> int:
        """The largest sequence up to which every part has an acknowledged verdict."""
        with self._engine.connect() as connection:
            return settled(connection)

    def expired(self) -> dict[int, Entry]:
        """Parts above `settled` that are kept without an acknowledgement, as they would be told again."""
        with self._engine.connect() as connection:
            query = sa.select(parts.c.sequence, parts.c.captured_us, parts.c.part_ref, verdicts).join(verdicts)
            rows = connection.execute(query.where(~verdicts.c.acknowledged)).mappings().all()
        return {row["sequence"]: _entry(row) for row in rows}

    def _part_row(self, connection: sa.Connection, record: Record) -> dict[str, Any]:
        capture = record.part.capture if record.part else None
        return {
            "sequence": record.sequence,
            "session_id": self._session_of(connection, record.boot),
            "captured_us": record.captured_us,
            "camera": capture.camera if capture else None,
            "block_id": capture.block_id if capture else None,
            "part_ref": record.part_ref,
        }

    def _verdict_row(self, connection: sa.Connection, record: Record) -> dict[str, Any]:
        verdict, job = record.verdict, record.part.job if record.part else None
        recipe = job.recipe if job else self._recipe
        detail = verdict.detail[:500] if verdict and verdict.detail else None
        return {
            "sequence": record.sequence,
            # Also where nothing was judged in time: the part belongs to the product that it was numbered under.
            "recipe_id": self._recipe_of(connection, recipe) if verdict or job else None,
            "outcome": record.outcome.value,
            "band": verdict.band.value if verdict else None,
            "reason": record.reason.value if record.reason else None,
            "detail": detail,
            "acknowledged": record.acknowledged,
            "judged": (verdict.judged or verdict.outcome).value if verdict else None,
            "threshold": recipe.thresholds.review if verdict else None,
            **_seen(record),
            **_frame(record),
            **_times(record),
        }

    def _recipe_of(self, connection: sa.Connection, recipe: Recipe) -> int:
        if recipe.checksum not in self._recipe_ids:
            self._recipe_ids[recipe.checksum] = _recipe_id(connection, recipe)
        return self._recipe_ids[recipe.checksum]

    def _session_of(self, connection: sa.Connection, boot: str) -> int:
        if boot not in self._session_ids:
            # A run that the journal knows and this history does not: it was restored or replaced.
            stranger = Session(boot, self._session.line, self._session.started_us, "", "", "", "")
            self._session_ids[boot] = _session_id(connection, stranger)
        return self._session_ids[boot]


def settled(connection: sa.Connection) -> int:
    """The largest sequence up to which every part has an acknowledged verdict; 0 when there is none."""
    kept = connection.scalar(_KEPT) or 0
    unacknowledged = connection.scalar(_UNACKNOWLEDGED)
    last = _unbroken(connection, kept, unacknowledged)
    return last if unacknowledged is None else min(last, unacknowledged - 1)


def advance(connection: sa.Connection) -> None:
    """Keep how far the parts are settled, so that nobody walks over them again."""
    connection.execute(_KEEP, {"id": 1, "settled": settled(connection)})


def _unbroken(connection: sa.Connection, start: int, before: int | None) -> int:
    """The last of the parts that follow `start` without a gap, looked for below `before`."""
    if connection.scalar(_NEXT, {"start": start}) is None:
        return start  # from 0: without part 1 it is a beginning with a gap, or a history that replaces one
    # What lies at or beyond an unacknowledged part can't be settled: without this bound every batch would walk it.
    end = connection.scalar(_END, {"start": start, "before": _NO_BOUND if before is None else before})
    return int(end) if end is not None else max(start, (before or 0) - 1)


# Built once: that takes longer than to run them.
_NO_BOUND = 2**63 - 1
_KEPT = sa.select(progress.c.settled)
_UNACKNOWLEDGED = sa.select(sa.func.min(verdicts.c.sequence)).where(~verdicts.c.acknowledged)
_NEXT = sa.select(verdicts.c.sequence).where(verdicts.c.sequence == sa.bindparam("start") + 1)
_follower = verdicts.alias()
_END = (
    sa.select(verdicts.c.sequence)
    .where(
        verdicts.c.sequence > sa.bindparam("start"),
        verdicts.c.sequence < sa.bindparam("before"),
        ~sa.exists().where(_follower.c.sequence == verdicts.c.sequence + 1),
    )
    .order_by(verdicts.c.sequence)
    .limit(1)
)
_KEEP = insert(progress)
_KEEP = _KEEP.on_conflict_do_update(index_elements=["id"], set_={"settled": _KEEP.excluded.settled})


def _upsert(table: sa.Table, overwritten: frozenset[str]) -> sa.Insert:
    """Insert; on a row that is there, overwrite some columns and only fill the empty ones of the rest."""
    statement = insert(table)
    new = statement.excluded
    changes = {
        column.name: new[column.name] if column.name in overwritten else sa.func.coalesce(column, new[column.name])
        for column in table.columns
        if not column.primary_key and column.name != "session_id"
    }
    return statement.on_conflict_do_update(index_elements=["sequence"], set_=changes)


_upsert_parts = _upsert(parts, frozenset())
_upsert_verdicts = _upsert(verdicts, frozenset({"outcome", "reason", "acknowledged"}))


def _session_id(connection: sa.Connection, session: Session) -> int:
    connection.execute(
        insert(sessions).on_conflict_do_nothing(index_elements=["boot"]),
        {name: getattr(session, name) or None for name in Session.__slots__},
    )
    return int(connection.execute(sa.select(sessions.c.id).where(sessions.c.boot == session.boot)).scalar_one())


def _recipe_id(connection: sa.Connection, recipe: Recipe) -> int:
    row = {
        "checksum": recipe.checksum,
        "product": recipe.product,
        "bundle": recipe.bundle,
        "engine": recipe.engine,
        "review_limit": recipe.thresholds.review,
        "reject_limit": recipe.thresholds.reject,
        "bound": recipe.evidence.bound,
        "confidence": recipe.evidence.confidence,
    }
    connection.execute(insert(recipes).on_conflict_do_nothing(index_elements=["checksum"]), row)
    query = sa.select(recipes.c.id).where(recipes.c.checksum == recipe.checksum)
    return int(connection.execute(query).scalar_one())


def _seen(record: Record) -> dict[str, Any]:
    score = record.inspection.score if record.inspection else None
    if score is None:
        return {"score": record.score, "zone_scores": None, "peak_x": None, "peak_y": None, "area": None}
    return {
        "score": score.value if score.value == score.value else None,  # NaN: SQLite would keep NULL without saying so
        "zone_scores": score.zones or None,
        "peak_x": score.peak[0],
        "peak_y": score.peak[1],
        "area": score.area,
    }


def _frame(record: Record) -> dict[str, Any]:
    facts = record.inspection.frame if record.inspection else None
    return {f"frame_{name}": None if facts is None else getattr(facts, name) for name in SERIES}


def _times(record: Record) -> dict[str, Any]:
    names = ("queue_ms", "prepare_ms", "infer_ms", "score_ms")
    inspection, part = record.inspection, record.part
    row: dict[str, Any] = {name: getattr(inspection.timings, name) if inspection else None for name in names}
    captured_ns = part.capture.captured_ns if part else 0
    row["verdict_ms"] = (inspection.finished_ns - captured_ns) / 1e6 if inspection else None
    acknowledged_ns = record.acknowledged_ns
    row["ack_ms"] = (acknowledged_ns - captured_ns) / 1e6 if part and acknowledged_ns else None
    row["margin_ms"] = (part.deadline_ns - acknowledged_ns) / 1e6 if part and acknowledged_ns else None
    return row


def _entry(row: sa.RowMapping) -> Entry:
    return Entry(
        sequence=row["sequence"],
        boot="",
        outcome=Outcome(row["outcome"]),
        reason=Reason(row["reason"]) if row["reason"] else None,
        captured_us=row["captured_us"],
        part_ref=row["part_ref"],
        score=row["score"],
    )
