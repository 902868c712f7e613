"""Recipes of a product: what they say, how they differ, going back, and limits set by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from calibration.changes import read_changes
from calibration.confirm import add_confirmed
from calibration.recipe import Recipe
from calibration.versions import (
    Version,
    comparable,
    differences,
    facts,
    list_versions,
    read_named,
    roll_back,
    set_limits,
    summary,
)
from engines.errors import EngineError
from inspector.certify import check_certified
from inspector.cli.common import (
    PRODUCTION_DIR,
    DataDir,
    Json,
    Operator,
    operator_name,
    print_json,
    show,
    show_rows,
)
from inspector.cli.history import open_history
from inspector.cli.rules import AreaMm2, AreaPx, ScaleConfig, ZoneLimits, rule_limits
from inspector.errors import ConfigError
from inspector.products import Product, product

app = typer.Typer(no_args_is_help=True, help="Recipes of a product: what they say, how they differ, going back.")

Name = Annotated[str, typer.Argument(metavar="PRODUCT")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept for ever.")]


@app.command("list", epilog="Example: inspector recipe list gasket --json")
def recipe_list(name: Name, data_dir: DataDir = PRODUCTION_DIR, as_json: Json = False) -> None:
    """Every version, and which one judges."""
    rows = [_row(version) for version in list_versions(_recipes(data_dir, name))]
    show_rows(rows, as_json, f"{name} has no recipe; inspector calibrate {name} --good DIR")


@app.command("log", epilog="Example: inspector recipe log gasket")
def recipe_log(name: Name, data_dir: DataDir = PRODUCTION_DIR, as_json: Json = False) -> None:
    """Which version was made active when, by whom and why."""
    rows = [msgspec.to_builtins(change) for change in read_changes(_recipes(data_dir, name))]
    shown = rows if as_json else [{**row, "checksum": row["checksum"][:12]} for row in rows]
    show_rows(shown, as_json, f"No change of {name} is known.")


@app.command("show", epilog="Example: inspector recipe show gasket 0002 --json")
def recipe_show(
    name: Name,
    version: Annotated[str, typer.Argument(help="Such as 0002; default: the active one.")] = "",
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """All that one version says, its evidence, and its checksum for a PLC."""
    recipe = read_named(_recipes(data_dir, name), version)
    told = {"sentence": recipe.evidence.sentence(), "promise": recipe.evidence.promise()}
    show({**facts(recipe), **_region(product(data_dir, name), recipe), **told}, as_json)


@app.command("diff", epilog="Example: inspector recipe diff gasket 0001 0002")
def recipe_diff(
    name: Name,
    old: Annotated[str, typer.Argument(help="Such as 0001.")],
    new: Annotated[str, typer.Argument(help="Default: the active one.")] = "",
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """What differs between two versions."""
    recipes = _recipes(data_dir, name)
    found = differences(read_named(recipes, old), read_named(recipes, new))
    rows = [{"what": key, "old": pair[0], "new": pair[1]} for key, pair in found.items()]
    show_rows(rows, as_json, "They are the same.")


@app.command("rollback", epilog="Example: inspector recipe rollback gasket 0001 --reason 'new lamp was taken out'")
def recipe_rollback(
    name: Name,
    version: Annotated[str, typer.Argument(help="Such as 0001.")],
    reason: Reason,
    operator: Operator = "",
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """Make an older version the active one, byte for byte. A running line takes it at its next start."""
    entry = product(data_dir, name)
    wanted = read_named(entry.recipes, version)
    entry.bundle_of(wanted)
    check_certified(entry, wanted)
    recipe = roll_back(entry.recipes, version, operator_name(operator), reason)
    _changed(name, recipe, as_json)


@app.command("set", epilog="Example: inspector recipe set gasket --review 3.1 --reason 'scratches are allowed now'")
def recipe_set(
    name: Name,
    reason: Reason,
    review: Annotated[
        float | None, typer.Option(help="Score above which a part is rejected; default: as it is.")
    ] = None,
    reject: Annotated[float | None, typer.Option(help="Score above which it is surely bad.")] = None,
    zone: ZoneLimits = None,
    area_px: AreaPx = None,
    area_mm2: AreaMm2 = None,
    config: ScaleConfig = None,
    engineer: Annotated[
        str, typer.Option(help="Who signs for limits outside the calibrated ones. A name, not yet an identity.")
    ] = "",
    operator: Operator = "",
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """Set the limits by hand, as a new version. A running line takes it at its next start."""
    from inspector.teaching import activate_certified

    entry = product(data_dir, name)
    active, bundle = entry.active()
    rules = rule_limits(entry, active, zone, area_px, area_mm2, config)
    if review is None and reject is None and not rules:
        raise ConfigError("say which limit: --review, --reject, --zone, --area-px or --area-mm2")
    made = set_limits(active, review, reject, operator_name(operator), engineer, reason, rules)
    _changed(name, activate_certified(entry, bundle, made, reason=f"set by hand: {reason}"), as_json)


@app.command("confirm", epilog="Example: inspector recipe confirm gasket --first 1200 --last 1500 --engineer Moser")
def recipe_confirm(
    name: Name,
    first: Annotated[int, typer.Option(help="First part of the stretch, by its number in the history.")],
    last: Annotated[int, typer.Option(help="Last part of it.")],
    engineer: Annotated[str, typer.Option(help="Who looked at every part of it. A name, not yet an identity.")],
    bad: Annotated[list[int] | None, typer.Option(help="A part of it that is not good; may be repeated.")] = None,
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """Add running parts to the calibration: a whole stretch, every part of it looked at, good but the bad ones."""
    from inspector.confirmed import confirmed_parts
    from inspector.history.queries import Filter, each_part
    from inspector.site import audit
    from inspector.site.database import writing
    from inspector.site.feedback import known_parts, list_marks
    from inspector.teaching import activate_certified

    if not engineer.strip():
        raise ConfigError("--engineer: give the name of who looked at the parts")
    entry = product(data_dir, name)
    recipe, bundle = entry.active()
    rows = each_part(open_history(data_dir), Filter(product=name))
    told = f"confirmed by {engineer}: parts {first} to {last}, {len(bad or ())} bad"
    # One transaction: no mark is made or decided between reading them and the new recipe.
    with writing(data_dir) as site:
        undecided = {(mark["boot"], mark["sequence"]) for mark in list_marks(site, name, "open")}
        recipes = comparable(entry.recipes, recipe)
        parts = confirmed_parts(rows, recipes, first, last, bad or (), known_parts(site, name), undecided)
        made = activate_certified(entry, bundle, add_confirmed(recipe, parts, engineer), reason=told)
        detail = {"product": name, "first": first, "last": last, "bad": sorted(bad or ()), "parts": len(parts)}
        audit.note(site, engineer, "engineer", "recipe confirm", f"recipe {made.checksum}", detail)
    _changed(name, made, as_json)


def _changed(name: str, recipe: Recipe, as_json: bool) -> None:
    told = {"product": name, "recipe": recipe.checksum, "plc_checksum": recipe.plc_checksum,
            "review": recipe.thresholds.review, "reject": recipe.thresholds.reject, **recipe.thresholds.rules,
            "sentence": recipe.evidence.sentence()}  # fmt: skip
    if as_json:
        print_json(told)
    else:
        show(told, False, "A running line takes it at its next start.")


def _recipes(data_dir: Path, name: str) -> Path:
    return product(data_dir, name).recipes


def _region(entry: Product, recipe: Recipe) -> dict[str, Any]:
    """What of a frame is inspected, as far as the bundle is there."""
    try:
        spec = entry.bundle_of(recipe).manifest.input
    except EngineError as error:
        return {"input": str(error)}
    return {"input": msgspec.to_builtins(spec)}


def _row(version: Version) -> dict[str, Any]:
    row: dict[str, Any] = {"version": version.name, "active": "active" if version.is_active else ""}
    if version.recipe is None:
        return {**row, **dict.fromkeys(("created", "operator", "review", "reject", "evidence", "engine", "checksum")),
                "plc": None, "state": version.fault}  # fmt: skip
    recipe = version.recipe
    return {
        **row, "created": recipe.created, "operator": (recipe.by_hand or recipe.evidence).operator,
        "review": float(f"{recipe.thresholds.review:.6g}"), "reject": float(f"{recipe.thresholds.reject:.6g}"),
        "evidence": summary(recipe), "engine": recipe.engine, "checksum": recipe.checksum[:12],
        "plc": recipe.plc_checksum, "state": "ready",
    }  # fmt: skip
