"""Look back: every part and its verdict."""

from __future__ import annotations

import csv
import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from inspector.cli.common import PRODUCTION_DIR, DataDir, Json, print_json, show, show_rows, writable
from inspector.errors import ConfigError
from inspector.inspection import Outcome

app = typer.Typer(no_args_is_help=True, help="Look back: every part and its verdict.")

ProductFilter = Annotated[str | None, typer.Option("--product")]
OutcomeFilter = Annotated[Outcome | None, typer.Option("--verdict", case_sensitive=False)]
SinceFilter = Annotated[str | None, typer.Option("--since", help="UTC, such as 2026-01-31 or 2026-01-31T06:00.")]
UntilFilter = Annotated[str | None, typer.Option("--until", help="UTC, exclusive.")]
MinScore = Annotated[float | None, typer.Option("--min-score")]
MaxScore = Annotated[float | None, typer.Option("--max-score")]
PartRef = Annotated[str | None, typer.Option("--part-ref", help="Serial number or DMC code.")]
Camera = Annotated[str | None, typer.Option("--camera", help="Its name in the site config.")]


@app.command("list", epilog="Example: inspector history list --verdict reject --since 2026-01-31 --limit 20")
def history_list(
    data_dir: DataDir = PRODUCTION_DIR, product: ProductFilter = None, verdict: OutcomeFilter = None,
    since: SinceFilter = None, until: UntilFilter = None, min_score: MinScore = None, max_score: MaxScore = None,
    part_ref: PartRef = None, camera: Camera = None, limit: Annotated[int, typer.Option(min=1)] = 50,
    as_json: Json = False,
) -> None:  # fmt: skip
    """The newest parts that fit, newest first."""
    from inspector.history.queries import list_parts

    wanted = _filter(product, verdict, since, until, min_score, max_score, part_ref, camera)
    rows = list_parts(open_history(data_dir), wanted, limit)
    if as_json:
        print_json(rows)
        return
    shown = ("part", "time", "outcome", "reason", "score", "threshold", "ack_ms", "part_ref")
    show_rows([_readable(row, shown) for row in rows], False, "No part fits.")


@app.command("summary", epilog="Example: inspector history summary --since 2026-01-31T06:00 --json")
def history_summary(
    data_dir: DataDir = PRODUCTION_DIR, product: ProductFilter = None, verdict: OutcomeFilter = None,
    since: SinceFilter = None, until: UntilFilter = None, min_score: MinScore = None, max_score: MaxScore = None,
    part_ref: PartRef = None, camera: Camera = None, as_json: Json = False,
) -> None:  # fmt: skip
    """The ledger: triggers = GOOD + REJECT + ERROR, acknowledged, and errors by reason."""
    from inspector.history.queries import summarise

    wanted = _filter(product, verdict, since, until, min_score, max_score, part_ref, camera)
    show(summarise(open_history(data_dir), wanted), as_json)


@app.command("export", epilog="Example: inspector history export --out parts.csv --product gasket")
def history_export(
    out: Annotated[Path, typer.Option(help="File to write: .csv, or .jsonl.")],
    data_dir: DataDir = PRODUCTION_DIR, product: ProductFilter = None, verdict: OutcomeFilter = None,
    since: SinceFilter = None, until: UntilFilter = None, min_score: MinScore = None, max_score: MaxScore = None,
    part_ref: PartRef = None, camera: Camera = None,
) -> None:  # fmt: skip
    """All parts that fit, oldest first."""
    from inspector.history.queries import each_part

    if out.suffix not in (".csv", ".jsonl"):
        raise ConfigError(f"--out {out}: give a name that ends in .csv or .jsonl")
    wanted = _filter(product, verdict, since, until, min_score, max_score, part_ref, camera)
    count = 0
    with writable(out) as file:
        writer = csv.writer(file)
        for row in each_part(open_history(data_dir), wanted):
            if out.suffix == ".jsonl":
                file.write(msgspec.json.encode(row).decode() + "\n")
            else:
                if count == 0:
                    writer.writerow(row)
                writer.writerow(row.values())
            count += 1
    typer.echo(f"{count} parts to {out}")


def open_history(data_dir: Path) -> Any:
    """The history below a data directory, for reading."""
    from inspector.history.database import data_file, open_for_reading

    return open_for_reading(data_file(data_dir))


def _filter(
    product: str | None, outcome: Outcome | None, since: str | None, until: str | None,
    min_score: float | None, max_score: float | None, part_ref: str | None, camera: str | None,
) -> Any:  # fmt: skip
    from inspector.history.queries import Filter

    return Filter(product, outcome, utc_us(since), utc_us(until), min_score, max_score, part_ref, camera)


def utc_us(text: str | None) -> int | None:
    """Microseconds since 1970 of what a user wrote.

    Raises:
        ConfigError: it is no time.
    """
    if text is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is not a time; write 2026-01-31 or 2026-01-31T06:00 (UTC)") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return round(moment.timestamp() * 1e6)


def _readable(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    captured = row["captured_us"]
    moment = datetime.datetime.fromtimestamp(captured / 1e6, datetime.timezone.utc) if captured else None
    known = {**row, "part": row["sequence"], "time": f"{moment:%Y-%m-%d %H:%M:%S}" if moment else None}
    return {name: f"{known[name]:.4g}" if isinstance(known[name], float) else known[name] for name in names}
