"""Facts of frames beside the score: brightness, focus, position."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAMES = ("frame_brightness", "frame_focus", "frame_x", "frame_y")


def upgrade() -> None:
    for name in NAMES:
        op.add_column("verdicts", sa.Column(name, sa.Float))


def downgrade() -> None:
    with op.batch_alter_table("verdicts") as table:
        for name in NAMES:
            table.drop_column(name)
