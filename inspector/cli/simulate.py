"""The belt simulator: inspector simulate."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from inspector.cli.common import Json, fail, one_of, show
from inspector.errors import ConfigError

app = typer.Typer()
BUGS = ("no_dedupe", "no_deadline", "ack_before_write", "shift_by_one", "drop_error")


@app.command(epilog="Example: inspector simulate --parts 20000 --faults --seed 1 --json")
def simulate(
    parts: Annotated[int, typer.Option(min=1, help="Parts on the belt.")] = 10_000,
    faults: Annotated[bool, typer.Option("--faults", help="With faults of every kind, by lot.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed, the same day.")] = 1,
    bug: Annotated[str, typer.Option("--break", help=f"Plant a bug: {', '.join(BUGS)}.")] = "",
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Empty folder for history and journal; default: a temporary one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run line and ejector on a simulated belt, and hold their books against it; exit 1 when they are wrong."""
    from inspector.simulation.run import Simulation, is_sound

    if bug:
        one_of("--break", bug, BUGS)
    with tempfile.TemporaryDirectory(prefix="inspector-simulate-") as temporary:
        folder = data_dir or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigError(f"--data-dir {folder} is not empty; another run's books would be counted, give a new one")
        report = Simulation(folder, parts, seed, faults, bug or None).run()
    show(report, as_json)
    if not is_sound(report):
        fail("the books do not agree with the belt")
