"""What proposed limits would have done to parts that were already judged."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from calibration.recipe import Recipe
from calibration.thresholds import Thresholds
from calibration.versions import comparable, read_named
from inspector.cli.common import PRODUCTION_DIR, DataDir, Json, print_json, show_rows
from inspector.cli.history import PartRef, SinceFilter, UntilFilter, open_history
from inspector.cli.rules import AreaMm2, AreaPx, ScaleConfig, ZoneLimits, rule_limits
from inspector.clock import utc_text, utc_us
from inspector.errors import ConfigError
from inspector.products import product
from inspector.what_if import Change

app = typer.Typer()


@app.command("what-if", epilog="Example: inspector what-if gasket --review 3.4 --since 2026-01-30 --until 2026-01-31")
def run_what_if(
    name: Annotated[str, typer.Argument(metavar="PRODUCT")],
    review: Annotated[float | None, typer.Option(help="Proposed review limit.")] = None,
    reject: Annotated[float | None, typer.Option(help="Proposed reject limit; default: as in the recipe.")] = None,
    version: Annotated[str, typer.Option(help="Propose the limits of this version, such as 0002.")] = "",
    zone: ZoneLimits = None,
    area_px: AreaPx = None,
    area_mm2: AreaMm2 = None,
    config: ScaleConfig = None,
    since: SinceFilter = None,
    until: UntilFilter = None,
    part_ref: PartRef = None,
    limit: Annotated[int, typer.Option(min=0, help="Changed parts that are listed.")] = 50,
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """Judge stored scores again under proposed limits; nothing is changed."""
    from inspector.history.queries import Filter, each_part
    from inspector.site.database import reading
    from inspector.site.feedback import words
    from inspector.what_if import what_if

    if (review, reject, zone, area_px, area_mm2) == (None,) * 5 and not version:
        raise ConfigError("propose limits (--review, --reject, --zone, --area-px) or those of a --version 0002")
    if (review, reject, zone, area_px, area_mm2) != (None,) * 5 and version:
        raise ConfigError("propose either limits or a version, not both")
    entry = product(data_dir, name)
    recipe = read_named(entry.recipes, version)
    rules = rule_limits(entry, recipe, zone, area_px, area_mm2, config)
    wanted = Filter(name, None, utc_us(since), utc_us(until), None, None, part_ref)
    rows = each_part(open_history(data_dir), wanted)
    with reading(data_dir) as site:
        marks = words(site, name) if site else {}
    found = what_if(rows, _proposed(recipe, review, reject, rules), comparable(entry.recipes, recipe), marks)
    if as_json:
        print_json({**msgspec.to_builtins(found), "marks": found.marks, "sentence": found.sentence()})
        return
    show_rows([_readable(change) for change in found.changes[:limit]], False, "No part changes.")
    typer.echo(found.sentence())


def _proposed(recipe: Recipe, review: float | None, reject: float | None, rules: dict[str, float]) -> Thresholds:
    known = recipe.thresholds
    low = known.review if review is None else review
    limits = Thresholds(low, max(known.reject, low) if reject is None else reject, {**known.rules, **rules})
    if not limits.review <= limits.reject:
        raise ConfigError(f"--review {limits.review} and --reject {limits.reject}: review must not be above reject")
    return limits


def _readable(change: Change) -> dict[str, object]:
    return {
        "part": change.sequence, "time": utc_text(change.captured_us) if change.captured_us else None,
        "score": f"{change.score:.4g}", "was": change.was.value, "becomes": change.becomes.value, "why": change.why,
        "marked": f"{change.marked} ({change.by})" if change.marked else None,
        "part_ref": change.part_ref,
    }  # fmt: skip
