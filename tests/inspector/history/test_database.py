"""Opening the history: the right schema, the right safety, and errors that say what to do."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from inspector.errors import HistoryError
from inspector.history.database import data_file, open_for_reading, open_for_writing
from inspector.history.ledger import summarise
from inspector.history.queries import Filter
from inspector.history.tables import metadata, parts, sessions, tallies, verdicts


def pragma(engine: sa.Engine, name: str) -> object:
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def back_to_the_first_schema(connection: sa.Connection) -> None:
    for statement in (
        "DROP TABLE tallies",
        "DROP TABLE progress",
        "DROP INDEX verdicts_unacknowledged",
        "CREATE INDEX parts_by_time ON parts (captured_us)",
        *(f"ALTER TABLE verdicts DROP COLUMN frame_{name}" for name in ("brightness", "focus", "x", "y")),
        "UPDATE alembic_version SET version_num = '0001'",
    ):
        connection.exec_driver_sql(statement)


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(database: sa.Engine) -> None:
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_every_commit_is_synced_to_the_disk(database: sa.Engine) -> None:
    assert pragma(database, "journal_mode") == "wal"
    assert pragma(database, "synchronous") == 2  # FULL


def test_every_verdict_needs_its_part(database: sa.Engine) -> None:
    row = "INSERT INTO verdicts (sequence, outcome, acknowledged) VALUES (1, 'GOOD', 1)"
    with pytest.raises(sa.exc.IntegrityError, match="FOREIGN KEY"), database.begin() as connection:
        connection.exec_driver_sql(row)


def test_opening_again_keeps_what_is_there(path: Path) -> None:
    first = open_for_writing(path)
    with first.begin() as connection:
        connection.execute(sa.insert(sessions), {"boot": "b", "line": "line1", "started_us": 1})
    first.dispose()
    second = open_for_writing(path)
    with second.connect() as connection:
        assert connection.execute(sa.select(sessions.c.boot)).scalars().all() == ["b"]
    second.dispose()


def test_a_writer_takes_its_lock_at_the_beginning(database: sa.Engine, path: Path) -> None:
    """A transaction that reads first and writes later would fail with BUSY_SNAPSHOT."""
    with database.connect() as connection:
        connection.execute(sa.select(sessions)).all()
        other = sqlite3.connect(path, timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


def test_a_reader_sees_what_is_committed_while_a_writer_writes(database: sa.Engine, reader: sa.Engine) -> None:
    with database.begin() as connection:
        connection.execute(sa.insert(sessions), {"boot": "b", "line": "line1", "started_us": 1})
        with reader.connect() as other:
            assert other.execute(sa.select(sessions)).all() == []
    with reader.connect() as other:
        assert len(other.execute(sa.select(sessions)).all()) == 1


def test_a_reader_cannot_write(reader: sa.Engine) -> None:
    row = sa.insert(sessions).values(boot="b", line="line1", started_us=1)
    with reader.connect() as connection, pytest.raises(sa.exc.OperationalError, match="readonly"):
        connection.execute(row)


def test_a_missing_history_cannot_be_read_and_is_not_created(path: Path) -> None:
    with pytest.raises(HistoryError, match="--data-dir"):
        open_for_reading(path)
    assert not path.exists()


def test_a_history_that_the_line_has_not_brought_up_yet_says_so_to_a_reader(path: Path) -> None:
    open_for_writing(path).dispose()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(HistoryError, match=r"schema 0001.*start the line once"):
        open_for_reading(path)


def test_a_history_of_the_first_schema_is_brought_up_and_keeps_its_rows(path: Path) -> None:
    engine = open_for_writing(path)
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO sessions (boot, line, started_us) VALUES ('b', 'l', 1)")
        for sequence, captured_us in ((1, 5), (2, 7_200_000_001), (3, 7_200_000_002), (4, None)):
            connection.execute(
                sa.insert(parts), {"sequence": sequence, "session_id": 1, "captured_us": captured_us, "camera": "c"}
            )
        for sequence in (1, 2, 3):
            connection.execute(
                sa.insert(verdicts), {"sequence": sequence, "outcome": "GOOD", "acknowledged": sequence != 3}
            )
        back_to_the_first_schema(connection)
    engine.dispose()
    engine = open_for_writing(path)
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sessions.c.boot)) == "b"
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        columns = (tallies.c.hour_us, tallies.c.outcome, tallies.c.acknowledged, tallies.c.parts)
        assert [tuple(row) for row in connection.execute(sa.select(*columns).order_by(*columns))] == [
            (-1, "", False, 1),
            (0, "GOOD", True, 1),
            (7_200_000_000, "GOOD", False, 1),
            (7_200_000_000, "GOOD", True, 1),
        ]
    engine.dispose()
    assert summarise(open_for_reading(path), Filter()) == summarise(open_for_reading(path), Filter(), recount=True)


def test_a_history_of_a_newer_program_is_refused(path: Path) -> None:
    engine = open_for_writing(path)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(HistoryError, match="9999"):
        open_for_writing(path)


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"these are notes, not a database" * 100)
    with pytest.raises(HistoryError, match="not a database"):
        open_for_writing(path)
    assert path.read_bytes().startswith(b"these are notes")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(HistoryError, match="data"):
        open_for_writing(tmp_path / "data" / "history.sqlite")


def test_the_histories_place_does_not_depend_on_a_later_change_of_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = data_file(Path("data"))
    monkeypatch.chdir("/")
    assert place == Path(os.path.realpath(tmp_path)) / "data" / "history.sqlite"
