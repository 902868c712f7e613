"""Commands that systemd starts, and the demonstration of both: run, ejector, page, demo."""

from __future__ import annotations

import datetime
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from inspector.cli.common import ConfigFile, Json, fail, print_json
from inspector.config import load_config
from inspector.log import set_up_log

app = typer.Typer()


@app.command(epilog="Example: inspector demo --synthetic --json")
def demo(
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="Parts drawn by the program, no package needed.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Default: a fresh one below ./.inspector.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Teach a product, calibrate it, run a belt of parts past it, and show the ledger."""
    from inspector.demo import Demo, show

    set_up_log()
    console = Console(stderr=True)
    folder = data_dir or Path(".inspector") / f"demo-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    result = Demo(folder, "synthetic" if synthetic else "solar_cells", console).run()
    if as_json:
        print_json(result.as_dict())
    else:
        show(result, Console())
    if not result.is_balanced:
        fail("the ledger does not balance: see the table")


@app.command(epilog="Example: inspector run --config /etc/inspector/line.toml")
def run(config: ConfigFile) -> None:
    """Run the line until it is told to stop (SIGTERM, SIGINT)."""
    from inspector.assembly import run_line
    from inspector.watchdog import Notifier

    set_up_log()
    run_line(load_config(config), _stop_on_signal(), Notifier())


@app.command(epilog="Example: inspector ejector --config /etc/inspector/line.toml")
def ejector(config: ConfigFile) -> None:
    """Run the reference ejector: journal, acknowledge, actuate."""
    from inspector.assembly import run_ejector
    from inspector.watchdog import Notifier

    set_up_log()
    run_ejector(load_config(config), _stop_on_signal(), Notifier())


@app.command(epilog="Example: inspector page --config /etc/inspector/line.toml")
def page(config: ConfigFile) -> None:
    """Serve the operator's page, beside the line and without it (docs/PAGE.md)."""
    from inspector.watchdog import Notifier

    set_up_log()
    try:
        from inspector.page.server import run_page
    except ModuleNotFoundError as error:
        fail(f"the page needs {error.name}, which is not installed; pip install 'line-inspector[page]'")
    run_page(load_config(config), Notifier())


def _stop_on_signal() -> threading.Event:
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return stopping
