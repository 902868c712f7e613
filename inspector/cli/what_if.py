"""What proposed limits would have done to parts that were already judged."""

from __future__ import annotations

import datetime
from typing import Annotated

import msgspec
import typer

from calibration.recipe import Recipe
from calibration.thresholds import Thresholds
from calibration.versions import read_named
from inspector.cli.common import PRODUCTION_DIR, DataDir, Json, print_json, show_rows
from inspector.cli.history import PartRef, SinceFilter, UntilFilter, open_history, utc_us
from inspector.errors import ConfigError
from inspector.products import product
from inspector.what_if import Change, Proposal

app = typer.Typer()


@app.command("what-if", epilog="Example: inspector what-if gasket --review 3.4 --since 2026-01-30 --until 2026-01-31")
def run_what_if(
    name: Annotated[str, typer.Argument(metavar="PRODUCT")],
    review: Annotated[float | None, typer.Option(help="Proposed review limit.")] = None,
    reject: Annotated[float | None, typer.Option(help="Proposed reject limit; default: as in the recipe.")] = None,
    version: Annotated[str, typer.Option(help="Propose the limits of this version, such as 0002.")] = "",
    zone: Annotated[
        list[str] | None, typer.Option(metavar="NAME=LIMIT", help="Proposed limit of a zone; may be repeated.")
    ] = None,
    since: SinceFilter = None,
    until: UntilFilter = None,
    part_ref: PartRef = None,
    limit: Annotated[int, typer.Option(min=0, help="Changed parts that are listed.")] = 50,
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """Judge stored scores again under proposed limits; nothing is changed."""
    from inspector.history.queries import Filter, each_part
    from inspector.what_if import what_if

    if (review is None and reject is None and not zone) == (not version):
        raise ConfigError("propose either limits (--review, --reject, --zone) or a version (--version 0002)")
    recipe = read_named(product(data_dir, name).recipes, version)
    wanted = Filter(name, None, utc_us(since), utc_us(until), None, None, part_ref)
    found = what_if(each_part(open_history(data_dir), wanted), _proposal(recipe, review, reject, zone), recipe.bundle)
    if as_json:
        print_json({**msgspec.to_builtins(found), "sentence": found.sentence()})
        return
    show_rows([_readable(change) for change in found.changes[:limit]], False, "No part changes.")
    typer.echo(found.sentence())


def _proposal(recipe: Recipe, review: float | None, reject: float | None, zone: list[str] | None) -> Proposal:
    known = recipe.thresholds
    low = known.review if review is None else review
    limits = Thresholds(low, max(known.reject, low) if reject is None else reject)
    if not limits.review <= limits.reject:
        raise ConfigError(f"--review {limits.review} and --reject {limits.reject}: review must not be above reject")
    zones = {}
    for text in zone or []:
        name, _, value = text.partition("=")
        try:
            zones[name] = float(value)
        except ValueError as error:
            raise ConfigError(f"--zone {text!r}: write NAME=LIMIT, such as rim=2.5") from error
    return Proposal(limits, zones)


def _readable(change: Change) -> dict[str, object]:
    moment = change.captured_us and datetime.datetime.fromtimestamp(change.captured_us / 1e6, datetime.timezone.utc)
    return {
        "part": change.sequence, "time": f"{moment:%Y-%m-%d %H:%M:%S}" if moment else None,
        "score": f"{change.score:.4g}", "was": change.was.value, "becomes": change.becomes.value, "why": change.why,
        "part_ref": change.part_ref,
    }  # fmt: skip
