"""Opening the site's database: as the history is, with tables of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from inspector.errors import HistoryError, SiteError
from inspector.history import database as history

NAME = "site.sqlite"
MIGRATIONS = Path(__file__).parent / "migrations"


def site_file(data_dir: Path) -> Path:
    """Where a site keeps what people decided."""
    return Path(os.path.abspath(data_dir)) / NAME


@contextmanager
def writing(data_dir: Path) -> Iterator[sa.Connection]:
    """One transaction: all of what is written in it, or nothing, durable at its end. Creates the database.

    It begins IMMEDIATE, so what is read in it is still true when it is written.

    Raises:
        HistoryError: the database can't be opened.
        SiteError: it refuses.
    """
    engine = history.open_for_writing(site_file(data_dir), MIGRATIONS)
    try:
        with engine.begin() as connection:
            yield connection
    except sa.exc.SQLAlchemyError as error:
        raise SiteError(
            f"{site_file(data_dir)} refuses: {history.reason(error)}; check disk and permissions"
        ) from error
    finally:
        engine.dispose()


@contextmanager
def reading(data_dir: Path) -> Iterator[sa.Connection | None]:
    """A connection that can't change anything; None: nobody has decided anything yet.

    Raises:
        HistoryError: the schema is not this program's, and can't be made so.
        SiteError: it can't be read.
    """
    path = site_file(data_dir)
    if not path.is_file():
        yield None
        return
    engine = _reader(path)
    try:
        with engine.connect() as connection:
            yield connection
    except sa.exc.SQLAlchemyError as error:
        raise SiteError(f"cannot read {path}: {history.reason(error)}; restore it from a backup") from error
    finally:
        engine.dispose()


def _reader(path: Path) -> sa.Engine:
    try:
        return history.open_for_reading(path, MIGRATIONS)
    except HistoryError:
        # Written by the program before an update. Nobody owns this file as the line owns its history, and a line that
        # waits for a challenge must not be held until somebody happens to write.
        history.open_for_writing(path, MIGRATIONS).dispose()
        return history.open_for_reading(path, MIGRATIONS)
