"""First schema: sessions, recipes, parts, verdicts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("boot", sa.String(32), nullable=False, unique=True),
        sa.Column("line", sa.String(32), nullable=False),
        sa.Column("started_us", sa.BigInteger, nullable=False),
        sa.Column("product", sa.String(64)),
        sa.Column("camera", sa.String(64)),
        sa.Column("engine", sa.String(64)),
        sa.Column("version", sa.String(32)),
    )
    op.create_table(
        "recipes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("checksum", sa.String(64), nullable=False, unique=True),
        sa.Column("product", sa.String(64), nullable=False),
        sa.Column("bundle", sa.String(64), nullable=False),
        sa.Column("engine", sa.String(64), nullable=False),
        sa.Column("review_limit", sa.Float, nullable=False),
        sa.Column("reject_limit", sa.Float, nullable=False),
        sa.Column("bound", sa.Float, nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
    )
    op.create_table(
        "parts",
        sa.Column("sequence", Sequence, primary_key=True, autoincrement=False),
        sa.Column("session_id", sa.Integer, sa.ForeignKey("sessions.id"), nullable=False),
        sa.Column("captured_us", sa.BigInteger),
        sa.Column("camera", sa.String(64)),
        sa.Column("block_id", sa.BigInteger),
        sa.Column("part_ref", sa.String(128)),
        sa.Index("parts_by_time", "captured_us"),
        sa.Index("parts_by_ref", "part_ref"),
    )
    op.create_table(
        "verdicts",
        sa.Column("sequence", Sequence, sa.ForeignKey("parts.sequence"), primary_key=True, autoincrement=False),
        sa.Column("recipe_id", sa.Integer, sa.ForeignKey("recipes.id")),
        sa.Column("outcome", sa.String(6), nullable=False),
        sa.Column("band", sa.String(6)),
        sa.Column("reason", sa.String(32)),
        sa.Column("detail", sa.String(500)),
        sa.Column("acknowledged", sa.Boolean, nullable=False),
        sa.Column("judged", sa.String(6)),
        sa.Column("score", sa.Float),
        sa.Column("zone_scores", sa.JSON),
        *(sa.Column(name, sa.Float) for name in ("peak_x", "peak_y", "area", "threshold")),
        *(sa.Column(name, sa.Float) for name in ("queue_ms", "prepare_ms", "infer_ms", "score_ms")),
        *(sa.Column(name, sa.Float) for name in ("verdict_ms", "ack_ms", "margin_ms")),
        sa.Index("verdicts_by_outcome", "outcome", "sequence"),
    )


def downgrade() -> None:
    for table in ("verdicts", "parts", "recipes", "sessions"):
        op.drop_table(table)
