"""Tables of the site's database: written by people's commands, one short transaction each; the line only reads.

    audit       every decision, each entry chained to the one before
    feedback    what operators said about parts, and what engineers made of it
    challenge_sets  which challenge parts a product has
    challenges  every challenge of a line: open, passed or failed
    users       who may use the page
    logins      who is logged in at the page, and until when

Times are microseconds since 1970, UTC. `who` is a user of the page, or a name that was typed at the command line.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("action", String(32), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("detail", Text, nullable=False),  # JSON, kept as it was hashed
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("state", String(8), nullable=False),  # open, accepted, refused
    Column("product", String(64), nullable=False),
    Column("bundle", String(64), nullable=False),
    Column("boot", String(32), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("outcome", String(6), nullable=False),  # of the part, when it was marked
    Column("says", String(4), nullable=False),  # good, bad
    Column("marked_us", BigInteger, nullable=False),
    Column("operator", String(64), nullable=False),
    Column("note", String(500), nullable=False),
    Column("decided_us", BigInteger),
    Column("engineer", String(64)),
    Column("reason", String(500)),
    Index("feedback_by_part", "boot", "sequence"),
    Index("feedback_by_state", "product", "state"),
)

challenge_sets = Table(
    "challenge_sets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("product", String(64), nullable=False),
    Column("defined_us", BigInteger, nullable=False),
    Column("engineer", String(64), nullable=False),
    Column("parts", JSON, nullable=False),  # [[name, "good" | "bad"], ...] in the order in which they are put in
)

challenges = Table(
    "challenges",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("state", String(8), nullable=False),  # open, passed, failed
    Column("line", String(32), nullable=False),
    Column("product", String(64), nullable=False),
    Column("set_id", ForeignKey("challenge_sets.id"), nullable=False),
    Column("recipe", String(64), nullable=False),  # checksum
    Column("operator", String(64), nullable=False),
    Column("started_us", BigInteger, nullable=False),
    Column("finished_us", BigInteger),
    Column("findings", JSON),  # one per challenge part: what was expected, what came, which part of the history
    Index("challenges_by_line", "line", "id"),
)

users = Table(
    "users",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("role", String(16), nullable=False),  # operator, engineer, admin
    Column("password", String(255), nullable=False),  # argon2id, with its parameters and salt
    Column("since_us", BigInteger, nullable=False),
)

logins = Table(
    "logins",
    metadata,
    Column("token", String(64), primary_key=True),  # sha256 of what the browser has: a copy of the file opens nothing
    Column("name", String(64), ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Index("logins_by_name", "name"),
)
