"""Feedback: operators mark parts that were judged wrongly, engineers accept or refuse. No recipe changes by it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from inspector.cli.common import (
    PRODUCTION_DIR,
    DataDir,
    Json,
    Operator,
    one_of,
    operator_name,
    print_json,
    show,
    show_rows,
)
from inspector.cli.history import open_history
from inspector.errors import SiteError

app = typer.Typer(no_args_is_help=True, help="Mark parts that were judged wrongly; engineers accept or refuse.")

Mark = Annotated[int, typer.Argument(metavar="MARK", help="Its number, as feedback list shows it.")]
Engineer = Annotated[str, typer.Option(help="Who decides. A name, not yet an identity.")]
Why = Annotated[str, typer.Option("--reason", help="Why; it is kept for ever.")]


@app.command("mark", epilog="Example: inspector feedback mark 1344 good --note 'only dust'")
def feedback_mark(
    number: Annotated[int, typer.Argument(metavar="PART", help="Its number in the history.")],
    says: Annotated[str, typer.Argument(metavar="good|bad", help="What the part really is.")],
    note: Annotated[str, typer.Option(help="For the engineer.")] = "",
    operator: Operator = "",
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """Say that a reject is good or that a passed part is bad. It waits for an engineer and changes nothing."""
    from inspector.history.queries import find_part
    from inspector.site.database import writing
    from inspector.site.feedback import mark

    one_of("good|bad", says, ("good", "bad"))
    part = find_part(open_history(data_dir), number)
    if part is None:
        raise SiteError(f"the history has no part {number}; inspector history list shows the newest")
    with writing(data_dir) as site:
        row = mark(site, part, "good" if says == "good" else "bad", operator_name(operator), note)
    show(row, as_json, "It waits for an engineer: inspector feedback accept|refuse.")


@app.command("list", epilog="Example: inspector feedback list --state open --json")
def feedback_list(
    product: Annotated[str, typer.Option(help="Default: all.")] = "",
    state: Annotated[str, typer.Option(help="open, accepted or refused; default: all.")] = "",
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """Marks, oldest first."""
    from inspector.site.database import reading
    from inspector.site.feedback import list_marks

    one_of("--state", state, ("", "open", "accepted", "refused"))
    with reading(data_dir) as site:
        rows = list_marks(site, product, state) if site else []
    if as_json:
        print_json(rows)
        return
    names = ("id", "state", "product", "sequence", "outcome", "says", "operator", "note", "engineer", "reason")
    show_rows([{name: row[name] for name in names} for row in rows], False, "No part is marked.")


@app.command("accept", epilog="Example: inspector feedback accept 3 --engineer Moser --reason 'dust, wiped off'")
def feedback_accept(
    mark: Mark, engineer: Engineer, reason: Why, data_dir: DataDir = PRODUCTION_DIR, as_json: Json = False
) -> None:
    """Agree with a mark. The next `recipe confirm` of a stretch with this part uses it; nothing changes until then."""
    show(_decide(data_dir, mark, True, engineer, reason), as_json)


@app.command("refuse", epilog="Example: inspector feedback refuse 3 --engineer Moser --reason 'it is a scratch'")
def feedback_refuse(
    mark: Mark, engineer: Engineer, reason: Why, data_dir: DataDir = PRODUCTION_DIR, as_json: Json = False
) -> None:
    """Disagree with a mark. It stays on record and has no effect."""
    show(_decide(data_dir, mark, False, engineer, reason), as_json)


def _decide(data_dir: Path, number: int, is_accepted: bool, engineer: str, reason: str) -> dict[str, Any]:
    from inspector.site.database import writing
    from inspector.site.feedback import decide

    with writing(data_dir) as site:
        return decide(site, number, is_accepted, engineer, reason)
