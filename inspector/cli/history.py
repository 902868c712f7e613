"""Look back: every part and its verdict, counts over time, and where rejects lie."""

from __future__ import annotations

import csv
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from inspector.cli.common import PRODUCTION_DIR, DataDir, Json, print_json, show, show_rows, writable
from inspector.clock import utc_text, utc_us
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
Position = Annotated[
    str | None,
    typer.Option("--position", help="LEFT,TOP,RIGHT,BOTTOM in shares of the inspected region: where the defect lies."),
]
Csv = Annotated[bool, typer.Option("--csv", help="For a spreadsheet to read.")]


class By(str, Enum):
    """Width of a period, UTC."""

    HOUR = "hour"
    DAY = "day"


class Where(str, Enum):
    """What rejects are counted by."""

    POSITION = "position"
    ZONE = "zone"


ByPlace = Annotated[Where, typer.Option("--by", case_sensitive=False)]
ByPeriod = Annotated[By, typer.Option("--by", case_sensitive=False, help="UTC.")]


@app.command("list", epilog="Example: inspector history list --verdict reject --since 2026-01-31 --limit 20")
def history_list(
    data_dir: DataDir = PRODUCTION_DIR, product: ProductFilter = None, verdict: OutcomeFilter = None,
    since: SinceFilter = None, until: UntilFilter = None, min_score: MinScore = None, max_score: MaxScore = None,
    part_ref: PartRef = None, camera: Camera = None, position: Position = None,
    limit: Annotated[int, typer.Option(min=1)] = 50, as_json: Json = False,
) -> None:  # fmt: skip
    """The newest parts that fit, newest first."""
    from inspector.history.queries import list_parts

    wanted = _filter(product, verdict, since, until, min_score, max_score, part_ref, camera, position)
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
    part_ref: PartRef = None, camera: Camera = None, position: Position = None, as_json: Json = False,
    recount: Annotated[bool, typer.Option("--recount", help="Trust no tally, count every row; slow.")] = False,
) -> None:  # fmt: skip
    """The ledger: triggers = GOOD + REJECT + ERROR, acknowledged, and errors by reason."""
    from inspector.history.ledger import summarise

    wanted = _filter(product, verdict, since, until, min_score, max_score, part_ref, camera, position)
    show(summarise(open_history(data_dir), wanted, recount), as_json)


@app.command("export", epilog="Example: inspector history export --out parts.csv --product gasket")
def history_export(
    out: Annotated[Path, typer.Option(help="File to write: .csv, or .jsonl.")],
    data_dir: DataDir = PRODUCTION_DIR, product: ProductFilter = None, verdict: OutcomeFilter = None,
    since: SinceFilter = None, until: UntilFilter = None, min_score: MinScore = None, max_score: MaxScore = None,
    part_ref: PartRef = None, camera: Camera = None, position: Position = None,
) -> None:  # fmt: skip
    """All parts that fit, oldest first."""
    from inspector.history.queries import each_part

    if out.suffix not in (".csv", ".jsonl"):
        raise ConfigError(f"--out {out}: give a name that ends in .csv or .jsonl")
    wanted = _filter(product, verdict, since, until, min_score, max_score, part_ref, camera, position)
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


@app.command("trend", epilog="Example: inspector history trend --by day --since 2026-01-01")
def history_trend(
    data_dir: DataDir = PRODUCTION_DIR, by: ByPeriod = By.HOUR, product: ProductFilter = None,
    since: SinceFilter = None, until: UntilFilter = None, camera: Camera = None,
    as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """Counts, yield and rejects per 1,000 of each hour or day that had parts."""
    _show_periods(_trend(data_dir, by, product, since, until, camera), as_json, as_csv)


@app.command("chart", epilog="Example: inspector history chart --by hour --since 2026-01-31 --product gasket")
def history_chart(
    data_dir: DataDir = PRODUCTION_DIR, by: ByPeriod = By.HOUR, product: ProductFilter = None,
    since: SinceFilter = None, until: UntilFilter = None, camera: Camera = None,
    as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """The p-chart: rejects per 1,000 with centre line and three-sigma limits; `outside` is more than chance."""
    from inspector.history.charts import p_chart

    _show_periods(p_chart(_trend(data_dir, by, product, since, until, camera)), as_json, as_csv)


@app.command("pareto", epilog="Example: inspector history pareto --by zone --since 2026-01-31")
def history_pareto(
    data_dir: DataDir = PRODUCTION_DIR, by: ByPlace = Where.POSITION,
    grid: Annotated[int, typer.Option(min=1, help="Cells along each side, for --by position.")] = 4,
    product: ProductFilter = None, since: SinceFilter = None, until: UntilFilter = None, camera: Camera = None,
    as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """Where rejects lie, most first: the cell of a grid over the inspected region, or the zone that scores highest."""
    from inspector.history.charts import pareto_by_position, pareto_by_zone

    wanted = _filter(product, None, since, until, None, None, None, camera, None)
    history = open_history(data_dir)
    rows = pareto_by_zone(history, wanted) if by is Where.ZONE else pareto_by_position(history, wanted, grid)
    _show_counts(rows, as_json, as_csv, "No reject fits.")


def _trend(
    data_dir: Path, by: By, product: str | None, since: str | None, until: str | None, camera: str | None
) -> list[dict[str, Any]]:
    from inspector.history.ledger import trend

    wanted = _filter(product, None, since, until, None, None, None, camera, None)
    return trend(open_history(data_dir), wanted, by.value)


def _show_periods(rows: list[dict[str, Any]], as_json: bool, as_csv: bool) -> None:
    named = [{"from": utc_text(row["start_us"]), **{key: row[key] for key in row if key != "start_us"}} for row in rows]
    _show_counts(named, as_json, as_csv, "No part fits.")


def _show_counts(rows: list[dict[str, Any]], as_json: bool, as_csv: bool, when_empty: str) -> None:
    if as_csv and not as_json:
        writer = csv.writer(sys.stdout)
        writer.writerows([rows[0].keys(), *(row.values() for row in rows)] if rows else [])
    else:
        readable = rows if as_json else [{key: _short(value) for key, value in row.items()} for row in rows]
        show_rows(readable, as_json, when_empty)


def open_history(data_dir: Path) -> Any:
    """The history below a data directory, for reading."""
    from inspector.history.database import data_file, open_for_reading

    return open_for_reading(data_file(data_dir))


def _filter(
    product: str | None, outcome: Outcome | None, since: str | None, until: str | None,
    min_score: float | None, max_score: float | None, part_ref: str | None, camera: str | None, position: str | None,
) -> Any:  # fmt: skip
    from inspector.history.queries import Filter

    times = utc_us(since), utc_us(until)
    return Filter(product, outcome, *times, min_score, max_score, part_ref, camera, _box(position))


def _box(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    try:
        left, top, right, bottom = (float(value) for value in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--position {text!r}: write four shares, such as 0.5,0,1,0.25") from error
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ConfigError(f"--position {text!r}: give shares from 0 to 1, left below right and top below bottom")
    return left, top, right, bottom


def _readable(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    known = {**row, "part": row["sequence"], "time": utc_text(row["captured_us"]) if row["captured_us"] else None}
    return {name: _short(known[name]) for name in names}


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value
