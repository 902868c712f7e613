"""First schema: audit, feedback, challenges."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    # Against slips; whoever means to forge can drop them, and then the chain tells.
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        )
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("product", sa.String(64), nullable=False),
        sa.Column("bundle", sa.String(64), nullable=False),
        sa.Column("boot", sa.String(32), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.String(6), nullable=False),
        sa.Column("says", sa.String(4), nullable=False),
        sa.Column("marked_us", sa.BigInteger, nullable=False),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("note", sa.String(500), nullable=False),
        sa.Column("decided_us", sa.BigInteger),
        sa.Column("engineer", sa.String(64)),
        sa.Column("reason", sa.String(500)),
    )
    op.create_index("feedback_by_part", "feedback", ["boot", "sequence"])
    op.create_index("feedback_by_state", "feedback", ["product", "state"])
    op.create_table(
        "challenge_sets",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("product", sa.String(64), nullable=False),
        sa.Column("defined_us", sa.BigInteger, nullable=False),
        sa.Column("engineer", sa.String(64), nullable=False),
        sa.Column("parts", sa.JSON, nullable=False),
    )
    op.create_table(
        "challenges",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("line", sa.String(32), nullable=False),
        sa.Column("product", sa.String(64), nullable=False),
        sa.Column("set_id", sa.Integer, sa.ForeignKey("challenge_sets.id"), nullable=False),
        sa.Column("recipe", sa.String(64), nullable=False),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("started_us", sa.BigInteger, nullable=False),
        sa.Column("finished_us", sa.BigInteger),
        sa.Column("findings", sa.JSON),
    )
    op.create_index("challenges_by_line", "challenges", ["line", "id"])


def downgrade() -> None:
    for name in ("challenges", "challenge_sets", "feedback", "audit"):
        op.drop_table(name)
