"""What is on this box: products, doctor, version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich import box
from rich.table import Table

from inspector import __version__, doctor
from inspector.certify import check_certified
from inspector.cli.common import ERRORS, PRODUCTION_DIR, DataDir, Json, plain, print_json, show_rows
from inspector.products import list_products, product

app = typer.Typer()


@app.command(epilog="Example: inspector products --data-dir ./data --json")
def products(data_dir: DataDir = PRODUCTION_DIR, as_json: Json = False) -> None:
    """What was taught, and whether it may run."""
    rows = [_product_row(entry.name, data_dir) for entry in list_products(data_dir)]
    show_rows(rows, as_json, f"No product below {data_dir}; teach one: inspector train PRODUCT --good DIR")


@app.command(name="doctor", epilog="Example: inspector doctor --config /etc/inspector/line.toml")
def run_doctor(
    config: Annotated[Path | None, typer.Option(help="Check this site's line too.")] = None,
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """What works on this box, and what to do about what doesn't. Exit code 1 when something must be done."""
    findings = doctor.examine(data_dir, config)
    if as_json:
        print_json([msgspec.to_builtins(finding) for finding in findings])
    else:
        table = Table("", "what", "found", "to do", box=box.SIMPLE)
        for finding in findings:
            table.add_row(
                {"ok": "ok", "note": "-", "bad": "BAD"}[finding.state], finding.what, finding.found, finding.todo
            )
        plain().print(table)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _product_row(name: str, data_dir: Path) -> dict[str, Any]:
    try:
        recipe, bundle = product(data_dir, name).active()
        check_certified(product(data_dir, name), recipe)
    except ERRORS as error:
        return {"product": name, "state": str(error), "bundle": None, "engine": None, "evidence": None}
    sentence = recipe.evidence.sentence()
    return {"product": name, "state": "ready", "bundle": bundle.id[:12], "engine": recipe.engine, "evidence": sentence}
