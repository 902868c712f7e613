"""Commands that teach a product: train, weights, calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import msgspec
import typer
from rich.console import Console

from calibration.evidence import METHODS, UNITS, Method, Unit
from engines.image import Box
from engines.tiling import cost
from engines.view import View
from inspector.cli.common import (
    PRODUCTION_DIR,
    DataDir,
    Good,
    Json,
    Operator,
    Report,
    check_report,
    one_of,
    operator_name,
    print_json,
    show,
)
from inspector.cli.rules import named
from inspector.errors import ConfigError
from inspector.products import Product, product

if TYPE_CHECKING:
    from calibration.calibrate import Calibration

app = typer.Typer()

NAMED = 3  # pictures left out that are named; --json names all
RULES = ("zone", "ignore", "area", "plain")  # options of calibrate


@app.command(epilog="Example: inspector train gasket --good pictures/gasket --data-dir ./data")
def train(
    name: Annotated[str, typer.Argument(metavar="PRODUCT")],
    good: Good,
    data_dir: DataDir = PRODUCTION_DIR,
    profile: Annotated[str, typer.Option(help="default, wide, large or resnet18: accuracy against time.")] = "default",
    teacher: Annotated[str | None, typer.Option(help="Network to learn from, not the profile's; see `doctor`.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Teacher's state dict; default: package or cache.")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of 8 pictures; default: up to 1,000 in 7 minutes.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="The best network within so many minutes.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    seed: int = 0,
    frame_size: Annotated[
        str, typer.Option(help='"taught": all pictures have one size; "any": sizes vary.')
    ] = "taught",
    region: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="Inspect this only; with --locate in that picture's pixels.")
    ] = None,
    fit: Annotated[
        str, typer.Option(help='"stretch" to the model\'s size, or "letterbox": keep the aspect.')
    ] = "stretch",
    tiles: Annotated[
        str | None, typer.Option(metavar="auto|N", help="For small defects: N tiles along the longer side; costs time.")
    ] = None,
    locate: Annotated[
        Path | None, typer.Option(help="Picture of one part: find it in each frame and turn it to this pose.")
    ] = None,
    locate_box: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="The part in that picture; default: what stands out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Teach a product with good parts.

    60 % of the parts train the network, 10 % choose stopping point and scoring; 30 % are left for `calibrate`, which
    may be given the same folder. A run that was killed goes on where it was.
    """
    from inspector.teaching import teach_product, training_config

    one_of("--frame-size", frame_size, ("taught", "any"))
    console = Console(stderr=True)
    view = _view(region, fit, tiles, locate, locate_box)
    config = training_config(profile, teacher, weights, steps, minutes, device, seed)
    made = teach_product(product(data_dir, name), good, config, frame_size == "any", console, view)
    facts = {"product": name, "bundle": made.id, "fit": len(made.manifest.fit), "select": len(made.manifest.select),
             "training": made.manifest.training, "statistics": made.scoring.statistics,
             "input": msgspec.to_builtins(made.manifest.input), "cost": cost(made.manifest.input)}  # fmt: skip
    show(facts, as_json, f"Next: inspector calibrate {name} --good {good} --data-dir {data_dir}")


@app.command(epilog="Example: inspector weights resnet18")
def weights(teacher: Annotated[str, typer.Argument(metavar="TEACHER")]) -> None:
    """Download a teacher's public weights into the user's cache, where `train` finds them. Needs the internet."""
    from engines.dskd.backbones import download_weights

    typer.echo(f"{download_weights(teacher)}")


@app.command(
    epilog="Examples: inspector calibrate gasket --good pictures/gasket --max-false-reject 0.01; "
    "inspector calibrate gasket --engine openvino:int8"
)
def calibrate(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="PRODUCT")],
    good: Annotated[
        Path | None,
        typer.Option(help="Folder of pictures of good parts; default: those kept last time, with what was asked then."),
    ] = None,
    data_dir: DataDir = PRODUCTION_DIR,
    max_false_reject: Annotated[float, typer.Option(help="Share of good parts that may be rejected.")] = 0.01,
    confidence: Annotated[float, typer.Option(help="Confidence in that share.")] = 0.95,
    strict: Annotated[bool, typer.Option("--strict", help="Too few parts for the share are an error.")] = False,
    method: Annotated[
        str,
        typer.Option(
            help='With too few parts: "order" states what they support, "tail" extrapolates a fitted tail, '
            '"provisional" waits for confirmed parts.'
        ),
    ] = "order",
    independent: Annotated[
        str, typer.Option(help='What counts as one: each "session", or each "part" of these sessions.')
    ] = "session",
    sub_folder: Annotated[
        str, typer.Option(help='What a sub-folder holds: a "session", or pictures of one "part".')
    ] = "session",
    zone: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=MASK", help="A zone with a limit of its own, white in a picture; may be repeated."),
    ] = None,
    ignore: Annotated[Path | None, typer.Option(help="Picture, white where nothing is to be looked at.")] = None,
    area: Annotated[bool, typer.Option("--area", help="Limit the area above the pixel limit, too.")] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Without the active recipe's masks and rules, which else stay.")
    ] = False,
    operator: Operator = "",
    engine: Annotated[str, typer.Option(help="Runtime that will run the line; default: the best installed.")] = "",
    keep: Annotated[
        bool, typer.Option(help="Keep a copy of the pictures for other engines; --no-keep deletes earlier ones.")
    ] = True,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Set the threshold from good parts that the network has not seen. See docs/CALIBRATION.md."""
    from calibration.calibrate import Contract
    from inspector.kept import recalibrate
    from inspector.teaching import Masks, calibrate_product

    check_report(report)
    console, owner, kept = Console(stderr=True), product(data_dir, name), None
    one_of("--method", method, METHODS)
    one_of("--independent", independent, UNITS)
    one_of("--sub-folder", sub_folder, UNITS)
    contract = Contract(
        max_false_reject, confidence, strict, cast(Method, method), cast(Unit, independent), operator_name(operator),
        area,
    )  # fmt: skip
    zones = {label: Path(mask) for label, mask in named("--zone", zone, "rim=rim.png").items()}
    masks = Masks(ignore, zones, plain)
    if good is None:
        _check_asked_before(context)
        made = recalibrate(owner, engine, contract.operator, strict, console, report)
    else:
        made = calibrate_product(owner, good, engine, contract, console, cast(Unit, sub_folder), report, masks)
        kept = _keep(owner, made, keep)
    recipe, refused = made.recipe, [str(sample.path) for sample in made.refused]
    doubts = [{"picture": str(made.samples[d.index].path), "kind": d.kind, "detail": d.detail} for d in made.doubts]
    facts = {
        "product": name, "recipe": recipe.checksum, "engine": recipe.engine, "refused": refused,
        "threshold": recipe.thresholds.review, "reject": recipe.thresholds.reject, **recipe.thresholds.rules,
        "evidence": msgspec.to_builtins(recipe.evidence), "sentence": recipe.evidence.sentence(),
        "promise": recipe.evidence.promise(), "doubts": doubts, "kept_bytes": kept,
    }  # fmt: skip
    if as_json:
        print_json(facts)
        return
    show({**facts, "refused": len(refused), "doubts": len(doubts)}, False, f"{recipe.evidence.sentence()}.")
    if refused:
        typer.echo(_left_out(refused), err=True)
    for doubt in doubts:
        typer.echo(f"look at {doubt['picture']}: {doubt['kind'].replace('_', ' ')}, {doubt['detail']}", err=True)


def _left_out(refused: list[str]) -> str:
    """One line, however many: a folder that trained the product too has two thirds of them."""
    many = "1 picture" if len(refused) == 1 else f"{len(refused)} pictures"
    named = ", ".join(refused[:NAMED]) + (f" and {len(refused) - NAMED} more" if refused[NAMED:] else "")
    return f"left out {many}, of parts or sessions that trained the network, or that came before: {named}"


def _check_asked_before(context: typer.Context) -> None:
    """What the kept pictures are held against was asked before; another wish would be lost in silence."""
    for name in ("max_false_reject", "confidence", "method", "independent", "sub_folder", "keep", *RULES):
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            raise ConfigError(f"--{name.replace('_', '-')} needs --good: without it what the active recipe asks stays")


def _keep(owner: Product, made: Calibration, keep: bool) -> int:
    """Bytes kept; the recipe is active already, so that a full disk is a warning."""
    from inspector.kept import forget_calibration, keep_calibration

    if not keep:
        forget_calibration(owner)
        return 0
    try:
        return keep_calibration(owner, made)
    except OSError as error:
        typer.echo(f"{owner.name} is calibrated, but its pictures can't be kept: {error}", err=True)
        return 0


def _view(region: str | None, fit: str, tiles: str | None, locate: Path | None, locate_box: str | None) -> View:
    one_of("--fit", fit, ("stretch", "letterbox"))
    if tiles is not None and tiles != "auto" and not tiles.isdecimal():
        raise ConfigError(f"--tiles {tiles!r}: give auto, or the number of tiles along the longer side")
    return View(
        region=_box("--region", region),
        fit="stretch" if fit == "stretch" else "letterbox",
        tiles=None if tiles is None else "auto" if tiles == "auto" else int(tiles),
        locate=locate,
        locate_box=_box("--locate-box", locate_box),
    )


def _box(option: str, text: str | None) -> Box | None:
    if text is None:
        return None
    try:
        x, y, width, height = (int(number) for number in text.split(","))
    except ValueError as error:
        raise ConfigError(f"{option} {text!r}: write four whole numbers, such as 120,80,640,480") from error
    return x, y, width, height
