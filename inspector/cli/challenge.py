"""Challenge parts: define them, run them past the line, look back at what came of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from inspector.cli.common import (
    PRODUCTION_DIR,
    ConfigFile,
    DataDir,
    Json,
    Operator,
    fail,
    operator_name,
    print_json,
    show,
    show_rows,
)
from inspector.clock import utc_text
from inspector.config import Config, load_config
from inspector.errors import SiteError

app = typer.Typer(no_args_is_help=True, help="Known good and known bad parts that must come out right before release.")


@app.command(
    "define", epilog="Example: inspector challenge define gasket --part g1=good --part cut=bad --engineer Moser"
)
def challenge_define(
    name: Annotated[str, typer.Argument(metavar="PRODUCT")],
    part: Annotated[list[str], typer.Option(metavar="NAME=good|bad", help="In the order in which they are put in.")],
    engineer: Annotated[str, typer.Option(help="Who vouches for the parts. A name, not yet an identity.")],
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """Say which challenge parts a product has; an earlier set is replaced."""
    from inspector.products import product
    from inspector.site.challenge import define
    from inspector.site.database import writing

    product(data_dir, name)
    parts = [(label, kind) for label, _, kind in (text.rpartition("=") for text in part)]
    if not all(label for label, _ in parts):
        raise SiteError(f"--part {part}: write NAME=good or NAME=bad")
    with writing(data_dir) as site:
        row = define(site, name, parts, engineer)
    show(row, as_json)


@app.command(
    "run",
    epilog="Examples: inspector challenge run --config /etc/inspector/line.toml --operator 'A. Reyes'; "
    "inspector challenge run --config /etc/inspector/line.toml --pictures pictures/challenge",
)
def challenge_run(
    config: ConfigFile,
    wait_s: Annotated[float, typer.Option(min=0, help="How long to wait for the parts.")] = 120.0,
    pictures: Annotated[
        Path | None, typer.Option(help="Judge these, named as the parts are, in place of parts; releases no line.")
    ] = None,
    operator: Operator = "",
    as_json: Json = False,
) -> None:
    """Hold the running line, take its next parts for the challenge parts, and release it when all came out right.

    The belt must be empty; exit code 1 when the challenge failed. With --pictures no line is needed, none is held and
    none is released: what is on record says that no camera saw the parts.
    """
    if pictures is not None:
        row = _from_pictures(load_config(config), pictures, operator_name(operator))
        _tell(row, as_json, "The line was not asked: camera, light and ejector are not shown by pictures.")
        if row["state"] != "passed":
            fail(f"challenge {row['id']} from pictures failed; don't produce with this recipe until you know why")
        return
    row = _on_the_line(config, wait_s, operator_name(operator))
    _tell(row, as_json, "")
    if row["state"] != "passed":
        fail(f"challenge {row['id']} failed and the line stays held; find out why, then run it again")


def _from_pictures(config: Config, folder: Path, operator: str) -> dict[str, Any]:
    from inspector.challenge_pictures import find_pictures, judge_pictures
    from inspector.changeover import product_to_start
    from inspector.clock import SystemClock
    from inspector.engine import open_engine
    from inspector.job import make_job
    from inspector.products import product
    from inspector.site.challenge import PICTURES, begin, finish
    from inspector.site.database import writing

    data_dir = config.line.data_dir
    name = product_to_start(data_dir, config.line.product)
    job = make_job(*open_engine(config, product(data_dir, name)))
    try:
        with writing(data_dir) as site:
            begun = begin(site, PICTURES, name, job.recipe.checksum, operator)
            found = find_pictures(folder, begun["parts"])  # none are there: nothing was begun
        findings = judge_pictures(job, begun["parts"], found, SystemClock())
    finally:
        job.close()
    with writing(data_dir) as site:
        return finish(site, begun, findings)


def _on_the_line(config: Path, wait_s: float, operator: str) -> dict[str, Any]:
    from inspector.control import Ask, Listed, ask
    from inspector.history.database import data_file, open_for_reading
    from inspector.release import STALE_S
    from inspector.site.challenge import begin, examine, finish, next_parts
    from inspector.site.database import writing

    line = load_config(config).line
    if not line.challenge:
        raise SiteError(f"{config} asks for no challenge, so the line is never held; give [line] challenge")
    told = ask(line.data_dir, Ask())
    assert isinstance(told, Listed)
    history = open_for_reading(data_file(line.data_dir))
    with writing(line.data_dir) as site:
        begun = begin(site, line.name, told.in_force, told.recipe, operator)
    time.sleep(STALE_S)  # from here on no part is judged by what the line knew before
    since_us = time.time_ns() // 1000
    typer.echo("Put in, in this order: " + ", ".join(name for name, _ in begun["parts"]), err=True)
    rows = next_parts(history, since_us, len(begun["parts"]), wait_s)
    with writing(line.data_dir) as site:
        return finish(site, begun, examine(begun["parts"], begun["recipe"], rows))


def _tell(row: dict[str, Any], as_json: bool, closing: str) -> None:
    if as_json:
        print_json(row)
    else:
        show_rows(row["findings"], False, "")
        typer.echo(f"Challenge {row['id']} {row['state']}. {closing}".strip())


@app.command("list", epilog="Example: inspector challenge list --limit 5 --json")
def challenge_list(
    limit: Annotated[int, typer.Option(min=1)] = 20, data_dir: DataDir = PRODUCTION_DIR, as_json: Json = False
) -> None:
    """The newest challenges, newest first."""
    from inspector.site.challenge import list_challenges
    from inspector.site.database import reading

    with reading(data_dir) as site:
        rows = list_challenges(site, limit) if site else []
    show_rows(rows if as_json else [_readable(row) for row in rows], as_json, "No challenge was run yet.")


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    faults = "; ".join(f"{found['name']}: {found['fault']}" for found in row["findings"] or () if found["fault"])
    names = ("id", "state", "line", "product", "operator")
    facts = {name: row[name] for name in names} | {"line": row["line"] or "(pictures)"}
    return {**facts, "time": utc_text(row["started_us"]), "faults": faults}
