"""Which product a running line judges: product list, product change."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from inspector.cli.common import PRODUCTION_DIR, DataDir, Json, Operator, operator_name, show, show_rows

app = typer.Typer(no_args_is_help=True, help="Which product the running line judges.")

POLL_S = 0.2


@app.command("list", epilog="Example: inspector product list --data-dir /var/lib/inspector --json")
def product_list(data_dir: DataDir = PRODUCTION_DIR, as_json: Json = False) -> None:
    """Every product of the running line: in force, warm, loading or cold."""
    from inspector.control import Ask, Listed, ask
    from inspector.products import list_products

    told = ask(data_dir, Ask())
    assert isinstance(told, Listed)
    states = dict.fromkeys(told.open_mb, "warm") | {told.loading: "loading"} | {told.in_force: "in force"}
    rows = [
        {
            "product": entry.name,
            "state": states.get(entry.name, "cold" if entry.is_calibrated else "not calibrated"),
            "memory_mb": told.open_mb.get(entry.name),
            "engine": told.engine if entry.name == told.in_force else None,
        }
        for entry in list_products(data_dir)
    ]
    show_rows(rows, as_json, "No product.")


@app.command("change", epilog="Example: inspector product change gasket --operator 'A. Reyes'")
def product_change(
    name: str,
    data_dir: DataDir = PRODUCTION_DIR,
    operator: Operator = "",
    wait_s: Annotated[float, typer.Option(min=0, help="For a product that must be loaded first.")] = 120.0,
    as_json: Json = False,
) -> None:
    """Put a product in force without stopping the line. Parts already numbered are judged as what they were."""
    from inspector.control import Ask, Change, Changed, Listed, ask
    from inspector.errors import ControlError

    started = time.monotonic()
    told = ask(data_dir, Change(name, operator_name(operator)))
    assert isinstance(told, Changed)
    if told.state == "failed":
        raise ControlError(told.detail)
    while told.state == "loading":
        now = ask(data_dir, Ask())
        assert isinstance(now, Listed)
        if now.loading != name:
            if now.failure:
                raise ControlError(now.failure)
            break
        if time.monotonic() - started > wait_s:
            raise ControlError(
                f"{name} is still being loaded, {now.in_force} goes on; look with: inspector product list"
            )
        time.sleep(POLL_S)
    facts: dict[str, Any] = {"product": name, "was": "warm" if told.state == "changed" else "cold"}
    if told.state == "changed":
        facts |= {"first": told.first, "took_ms": round(told.took_ms, 2)}
    show(facts, as_json)
