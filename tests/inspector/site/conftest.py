"""A site's database on the disk, and one in memory for what is tried a hundred times."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from inspector.site.tables import metadata


@pytest.fixture
def site() -> Iterator[sa.Connection]:
    """Tables without the triggers against slips, so that a forger can be played."""
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()
