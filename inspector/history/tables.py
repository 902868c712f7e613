"""Tables of the history. One database per line; the recorder is its only writer.

    sessions   one run of the line
    recipes    every recipe that ever judged a part
    parts      every trigger, one row for ever, by its sequence
    verdicts   exactly one per part
    tallies    how many parts of each hour have what in common; kept with the rows, in the same transaction
    progress   one row: how far the parts are settled

Times are microseconds since 1970, UTC; durations are milliseconds. Positions and areas are fractions of the
inspected region.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table

metadata = MetaData()

# SQLite makes only INTEGER PRIMARY KEY the row's own address; BIGINT would cost a second index.
Sequence = BigInteger().with_variant(Integer, "sqlite")

sessions = Table(
    "sessions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("boot", String(32), nullable=False, unique=True),
    Column("line", String(32), nullable=False),
    Column("started_us", BigInteger, nullable=False),
    Column("product", String(64)),
    Column("camera", String(64)),
    Column("engine", String(64)),
    Column("version", String(32)),
)

recipes = Table(
    "recipes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("checksum", String(64), nullable=False, unique=True),
    Column("product", String(64), nullable=False),
    Column("bundle", String(64), nullable=False),
    Column("engine", String(64), nullable=False),
    Column("review_limit", Float, nullable=False),
    Column("reject_limit", Float, nullable=False),
    Column("bound", Float, nullable=False),
    Column("confidence", Float, nullable=False),
)

parts = Table(
    "parts",
    metadata,
    Column("sequence", Sequence, primary_key=True, autoincrement=False),
    Column("session_id", ForeignKey("sessions.id"), nullable=False),
    Column("captured_us", BigInteger),  # NULL: the part left no trace but its number
    Column("camera", String(64)),
    Column("block_id", BigInteger),
    Column("part_ref", String(128)),
    Index("parts_by_ref", "part_ref"),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("sequence", Sequence, ForeignKey("parts.sequence"), primary_key=True, autoincrement=False),
    Column("recipe_id", ForeignKey("recipes.id")),
    Column("outcome", String(6), nullable=False),
    Column("band", String(6)),
    Column("reason", String(32)),
    Column("detail", String(500)),
    Column("acknowledged", Boolean, nullable=False),
    Column("judged", String(6)),  # what the line itself decided, where it did; differs from outcome when late or held
    Column("score", Float),
    Column("zone_scores", JSON(none_as_null=True)),
    Column("peak_x", Float),
    Column("peak_y", Float),
    Column("area", Float),
    Column("threshold", Float),
    Column("frame_brightness", Float),
    Column("frame_focus", Float),
    Column("frame_x", Float),
    Column("frame_y", Float),
    Column("queue_ms", Float),
    Column("prepare_ms", Float),
    Column("infer_ms", Float),
    Column("score_ms", Float),
    Column("verdict_ms", Float),  # from the picture to the verdict
    Column("ack_ms", Float),  # from the picture to the acknowledgement
    Column("margin_ms", Float),  # from the acknowledgement to the deadline; negative: late
    Index("verdicts_by_outcome", "outcome", "sequence"),
)
# What a restart must tell again: a handful among millions.
Index(
    "verdicts_unacknowledged",
    verdicts.c.sequence,
    sqlite_where=~verdicts.c.acknowledged,
    postgresql_where=~verdicts.c.acknowledged,
)

# The key's columns hold "" or 0 where the part's row has NULL: a NULL equals nothing, not even itself.
tallies = Table(
    "tallies",
    metadata,
    Column("hour_us", BigInteger, primary_key=True, autoincrement=False),  # its beginning; -1: time not known
    Column("session_id", Integer, primary_key=True, autoincrement=False),
    Column("recipe_id", Integer, primary_key=True, autoincrement=False),
    Column("camera", String(64), primary_key=True),
    Column("outcome", String(6), primary_key=True),
    Column("reason", String(32), primary_key=True),
    Column("acknowledged", Boolean, primary_key=True, autoincrement=False),
    Column("parts", Integer, nullable=False),
    Column("first_sequence", BigInteger, nullable=False),  # of all parts that were ever counted here
    Column("last_sequence", BigInteger, nullable=False),
)

progress = Table(
    "progress",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("settled", BigInteger, nullable=False),
)
