"""Users of the page. Whoever may run these commands owns the data directory: that is who makes the first admin."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from inspector.cli.common import (
    PRODUCTION_DIR,
    DataDir,
    Json,
    Operator,
    one_of,
    operator_name,
    show,
    show_rows,
)
from inspector.clock import utc_text

app = typer.Typer(no_args_is_help=True, help="Who may use the page: operators, engineers, admins.")

Name = Annotated[str, typer.Argument(metavar="NAME")]
Stdin = Annotated[bool, typer.Option("--stdin", help="Read the password from standard input instead of asking.")]


@app.command("add", epilog="Example: inspector user add Berta --role engineer")
def user_add(
    name: Name,
    role: Annotated[str, typer.Option(help="operator, engineer or admin.")] = "operator",
    stdin: Stdin = False,
    operator: Operator = "",
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """Let somebody use the page. There is no default password, and no user before this."""
    from inspector.site.database import writing
    from inspector.site.users import ROLES, add

    one_of("--role", role, ROLES)
    password = _password(stdin)
    with writing(data_dir) as site:
        user = add(site, name, role, password, operator_name(operator))
    show({"name": user.name, "role": user.role}, as_json)


@app.command("list", epilog="Example: inspector user list --json")
def user_list(data_dir: DataDir = PRODUCTION_DIR, as_json: Json = False) -> None:
    """Everybody who may use the page."""
    from inspector.site.database import reading
    from inspector.site.users import list_users

    with reading(data_dir) as site:
        rows = list_users(site) if site else []
    if not as_json:
        rows = [{"name": row["name"], "role": row["role"], "since": utc_text(row["since_us"])} for row in rows]
    show_rows(rows, as_json, "Nobody yet; inspector user add NAME --role admin")


@app.command("remove", epilog="Example: inspector user remove Otto")
def user_remove(name: Name, operator: Operator = "", data_dir: DataDir = PRODUCTION_DIR, as_json: Json = False) -> None:
    """Let somebody use the page no more, at once. What the user did stays on record."""
    from inspector.site.database import writing
    from inspector.site.users import remove

    with writing(data_dir) as site:
        remove(site, name, operator_name(operator))
    show({"removed": name}, as_json)


@app.command("password", epilog="Example: inspector user password Otto")
def user_password(
    name: Name, stdin: Stdin = False, operator: Operator = "", data_dir: DataDir = PRODUCTION_DIR, as_json: Json = False
) -> None:
    """Give a user another password, and log the user out everywhere."""
    from inspector.site.database import writing
    from inspector.site.users import set_password

    password = _password(stdin)
    with writing(data_dir) as site:
        set_password(site, name, password, operator_name(operator))
    show({"changed": name}, as_json)


def _password(stdin: bool) -> str:
    if stdin:
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
