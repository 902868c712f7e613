"""A history on disk, and a writer in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from inspector.history.database import open_for_reading, open_for_writing
from inspector.history.writer import HistoryWriter, Session

if TYPE_CHECKING:
    from tests.inspector.conftest import Make


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "history.sqlite"


@pytest.fixture
def database(path: Path) -> Iterator[sa.Engine]:
    engine = open_for_writing(path)
    yield engine
    engine.dispose()


@pytest.fixture
def session() -> Session:
    return Session("boot1", "line1", 1_700_000_000_000_000, "ring", "camera", "onnxruntime", "0.1.0")


@pytest.fixture
def writer(database: sa.Engine, session: Session, make: Make) -> HistoryWriter:
    return HistoryWriter(database, session, make.recipe())


@pytest.fixture
def reader(database: sa.Engine, path: Path) -> sa.Engine:
    return open_for_reading(path)
