"""What the commands share: options that many have, and how results are shown."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from calibration.errors import CalibrationError
from engines.errors import EngineError
from inspector.errors import ConfigError, InspectorError

ERRORS = (InspectorError, CalibrationError, EngineError)

DataDir = Annotated[
    Path, typer.Option("--data-dir", envvar="INSPECTOR_DATA_DIR", help="Where products and history are.")
]
ConfigFile = Annotated[
    Path, typer.Option("--config", help="The site's line.toml; deploy/line.example.toml explains it.")
]
Json = Annotated[bool, typer.Option("--json", help="For a machine to read.")]
Good = Annotated[Path, typer.Option("--good", help="Folder of pictures of good parts; a sub-folder is one session.")]
Operator = Annotated[str, typer.Option("--operator", help="Who does this, for the record; default: the login name.")]
Report = Annotated[Path | None, typer.Option(help="Page to write, with charts and heat maps: .html.")]
PRODUCTION_DIR = Path("/var/lib/inspector")


def writable(path: Path) -> Any:
    try:
        return open(path, "w", encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; give another --out") from error


def one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{option} {value!r}: choose one of {', '.join(allowed)}")


def check_report(path: Path | None) -> None:
    """Before the long part of the work: a page that can't be written is known at once."""
    if path is not None and (path.suffix != ".html" or not path.parent.is_dir()):
        raise ConfigError(f"--report {path}: give a name that ends in .html, in a folder that exists")


def operator_name(given: str) -> str:
    """Who acts: the name given, or the login's; a name, not yet an identity."""
    try:
        return given or getpass.getuser()
    except (OSError, KeyError):  # no entry for this user id, as in some containers
        return f"uid {os.getuid()}"


def show(facts: dict[str, Any], as_json: bool, closing: str = "") -> None:
    if as_json:
        print_json(facts)
        return
    table = Table(show_header=False, box=box.SIMPLE)
    for key, value in facts.items():
        table.add_row(key, str(value))
    plain().print(table)
    if closing:
        typer.echo(closing)


def show_rows(rows: list[dict[str, Any]], as_json: bool, when_empty: str) -> None:
    if as_json:
        print_json(rows)
    elif not rows:
        typer.echo(when_empty)
    else:
        table = Table(*rows[0], box=None, pad_edge=False)
        for row in rows:
            table.add_row(*("" if value is None else str(value) for value in row.values()))
        plain().print(table)


def plain() -> Console:
    """Square brackets in a message are its own, not markup."""
    return Console(markup=False, highlight=False)


def print_json(value: Any) -> None:
    typer.echo(msgspec.json.encode(value).decode())


def fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    sys.exit(1)
