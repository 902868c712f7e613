"""Parts counted by the hour instead of an index of times; how far they are settled; an index of the unacknowledged."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Over many millions of parts it takes a while; every later start finds it done.
COUNT = """
    INSERT INTO tallies
    SELECT coalesce(captured_us - captured_us % 3600000000, -1), session_id, coalesce(recipe_id, 0),
           coalesce(camera, ''), coalesce(outcome, ''), coalesce(reason, ''), coalesce(acknowledged, 0),
           count(*), min(parts.sequence), max(parts.sequence)
    FROM parts LEFT JOIN verdicts ON verdicts.sequence = parts.sequence
    GROUP BY 1, 2, 3, 4, 5, 6, 7
"""


def upgrade() -> None:
    key = [sa.Column(name, sa.Integer, primary_key=True, autoincrement=False) for name in ("session_id", "recipe_id")]
    texts = (("camera", 64), ("outcome", 6), ("reason", 32))
    op.create_table(
        "tallies",
        sa.Column("hour_us", sa.BigInteger, primary_key=True, autoincrement=False),
        *key,
        *(sa.Column(name, sa.String(size), primary_key=True) for name, size in texts),
        sa.Column("acknowledged", sa.Boolean, primary_key=True, autoincrement=False),
        sa.Column("parts", sa.Integer, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("first_sequence", "last_sequence")),
    )
    op.create_table(
        "progress",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("settled", sa.BigInteger, nullable=False),
    )
    unacknowledged = sa.text("acknowledged = 0")
    op.create_index("verdicts_unacknowledged", "verdicts", ["sequence"], sqlite_where=unacknowledged)
    op.execute(COUNT)
    op.drop_index("parts_by_time", "parts")  # the tallies lead to an hour's parts


def downgrade() -> None:
    op.create_index("parts_by_time", "parts", ["captured_us"])
    op.drop_index("verdicts_unacknowledged", "verdicts")
    for table in ("progress", "tallies"):
        op.drop_table(table)
