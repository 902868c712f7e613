"""Whether a product's parts and frames still are those of its calibration."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from calibration.drift import RUN_LENGTH
from calibration.versions import read_named
from inspector.cli.common import PRODUCTION_DIR, DataDir, Json, show
from inspector.cli.history import SinceFilter, open_history
from inspector.clock import utc_us
from inspector.products import product

app = typer.Typer()

ADVICE = {
    ("OK", ""): "Parts and frames look like those of calibration.",
    ("WATCH", "part"): "Scores have changed while the frames have not: look at the parts.",
    ("WATCH", "frame"): "The frames have changed: look at lamp, lens and trigger before you look at parts.",
    ("RECALIBRATE", "part"): "Scores are no longer those of calibration. If the parts are good, calibrate again.",
    ("RECALIBRATE", "frame"): "The frames are no longer those of calibration. Mend lamp, lens or trigger first.",
}


@app.command("drift", epilog="Example: inspector drift gasket --since 2026-01-31 --json")
def run_drift(
    name: Annotated[str, typer.Argument(metavar="PRODUCT")],
    since: SinceFilter = None,
    run_length: Annotated[
        float, typer.Option(min=100, help="Parts; the mean time to a false RECALIBRATE is at least this.")
    ] = RUN_LENGTH,
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """OK, WATCH or RECALIBRATE: the parts that the active recipe judged, held against its calibration."""
    from inspector.drift import RecipeWatch, drift_folder
    from inspector.history.queries import Filter, each_part

    recipe = read_named(product(data_dir, name).recipes, "")
    is_live = since is None and run_length == RUN_LENGTH  # as the line watches; else from the first part
    watch = RecipeWatch.resume(recipe, drift_folder(data_dir)) if is_live else RecipeWatch(recipe, run_length)
    wanted = Filter(recipe=recipe.checksum, since_us=utc_us(since), after=watch.sequence)
    drift = watch.update(each_part(open_history(data_dir), wanted))
    advice = ADVICE[drift.state, drift.cause]
    facts = {**msgspec.to_builtins(drift), "run_length": run_length, "recipe": recipe.checksum, "advice": advice}
    show(facts, as_json, advice)
