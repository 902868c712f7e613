"""The audit log: who decided what, and that nobody changed it since."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from inspector.cli.common import PRODUCTION_DIR, DataDir, Json, fail, show, show_rows
from inspector.clock import utc_text

app = typer.Typer(no_args_is_help=True, help="Who decided what, and that nobody changed the log since.")


@app.command("list", epilog="Example: inspector audit list --limit 20 --json")
def audit_list(
    limit: Annotated[int, typer.Option(min=1)] = 50, data_dir: DataDir = PRODUCTION_DIR, as_json: Json = False
) -> None:
    """The newest entries, newest first."""
    from inspector.site import audit
    from inspector.site.database import reading

    with reading(data_dir) as site:
        rows = audit.list_entries(site, limit) if site else []
    if not as_json:
        rows = [_readable(row) for row in rows]
    show_rows(rows, as_json, "Nobody has decided anything yet.")


@app.command("verify", epilog="Example: inspector audit verify --noted 3b0f...")
def audit_verify(
    noted: Annotated[str, typer.Option(help="A digest that was written down earlier: it must still be there.")] = "",
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """Check the whole chain; exit code 1 when it was changed. Write its head down now and then."""
    from inspector.site import audit
    from inspector.site.database import reading

    with reading(data_dir) as site:
        found = audit.verify(site, noted) if site else audit.check([], noted)
    show(msgspec.to_builtins(found), as_json)
    if found.fault:
        fail(f"{found.fault}; restore the site database from a backup and look for who changed it")


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    told = {name: row[name] for name in ("who", "role", "action", "subject")}
    return {"id": row["id"], "time": utc_text(row["at_us"]), **told, "digest": row["digest"][:12]}
