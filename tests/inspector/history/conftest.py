"""A history on disk, and a writer in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from inspector.history.database import open_for_reading, open_for_writing
from inspector.history.writer import HistoryWriter, Session
from inspector.inspection import Outcome, Reason, Record

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


START = 1_000_000


def record(make: Make, sequence: int, outcome: Outcome, value: float | None, reference: str | None = None) -> Record:
    kept = make.record(sequence, outcome, value=value)
    return replace(kept, captured_us=START + sequence, part_ref=reference)


@pytest.fixture
def shift(writer: HistoryWriter, reader: sa.Engine, database: sa.Engine, session: Session, make: Make) -> sa.Engine:
    """Parts 1 to 5 are rings: three good, a reject, and an error that was never judged; part 6 is a disc."""
    unjudged = replace(record(make, 5, Outcome.ERROR, None), verdict=None, inspection=None, reason=Reason.LATE)
    writer.write(
        [
            record(make, 1, Outcome.GOOD, 0.5),
            record(make, 2, Outcome.GOOD, 1.0, "DMC2"),
            record(make, 3, Outcome.REJECT, 4.0, "DMC3"),
            record(make, 4, Outcome.GOOD, 1.5),
            unjudged,
        ]
    )
    other = HistoryWriter(database, replace(session, boot="boot2", product="disc"), make.recipe("disc"))
    other.write([replace(record(make, 6, Outcome.GOOD, 0.1), boot="boot2")])
    return reader
