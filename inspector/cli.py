"""The command line: `inspector --help`."""

from __future__ import annotations

import csv
import datetime
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from calibration.errors import CalibrationError
from engines.errors import EngineError
from engines.image import Box
from engines.tiling import cost
from engines.view import View
from inspector import __version__, doctor
from inspector.config import load_config
from inspector.errors import ConfigError, InspectorError
from inspector.inspection import Outcome
from inspector.log import set_up_log
from inspector.products import list_products, product

if TYPE_CHECKING:
    from inspector.evaluate import Evaluated

ERRORS = (InspectorError, CalibrationError, EngineError)

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Inspect every part on a conveyor: teach with good parts, calibrate, run, look back.",
)
history_app = typer.Typer(no_args_is_help=True, help="Look back: every part and its verdict.")
app.add_typer(history_app, name="history")

DataDir = Annotated[
    Path, typer.Option("--data-dir", envvar="INSPECTOR_DATA_DIR", help="Where products and history are.")
]
ConfigFile = Annotated[
    Path, typer.Option("--config", help="The site's line.toml; deploy/line.example.toml explains it.")
]
Json = Annotated[bool, typer.Option("--json", help="For a machine to read.")]
Good = Annotated[Path, typer.Option("--good", help="Folder of pictures of good parts; a sub-folder is one session.")]
PRODUCTION_DIR = Path("/var/lib/inspector")


def main() -> None:
    """Run the command line; an expected error is one line and exit code 1."""
    try:
        app()
    except ERRORS as error:
        _fail(str(error))


@app.command(epilog="Example: inspector demo --synthetic --json")
def demo(
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="Parts drawn by the program, no package needed.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Default: a fresh one below ./.inspector.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Teach a product, calibrate it, run a belt of parts past it, and show the ledger."""
    from inspector.demo import Demo, show

    set_up_log()
    console = Console(stderr=True)
    folder = data_dir or Path(".inspector") / f"demo-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    result = Demo(folder, "synthetic" if synthetic else "solar_cells", console).run()
    if as_json:
        _print_json(result.as_dict())
    else:
        show(result, Console())
    if not result.is_balanced:
        _fail("the ledger does not balance: see the table")


@app.command(epilog="Example: inspector train gasket --good pictures/gasket --data-dir ./data")
def train(
    name: Annotated[str, typer.Argument(metavar="PRODUCT")],
    good: Good,
    data_dir: DataDir = PRODUCTION_DIR,
    teacher: Annotated[str, typer.Option(help="Network to learn from; see `doctor`.")] = "efficientnet_lite0",
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
    from inspector.teaching import teach_product

    _one_of("--frame-size", frame_size, ("taught", "any"))
    console = Console(stderr=True)
    view = _view(region, fit, tiles, locate, locate_box)
    made = teach_product(
        product(data_dir, name), good, teacher, weights, steps, minutes, device, seed, frame_size == "any", console,
        view,
    )  # fmt: skip
    facts = {"product": name, "bundle": made.id, "fit": len(made.manifest.fit), "select": len(made.manifest.select),
             "training": made.manifest.training, "statistics": made.scoring.statistics,
             "input": msgspec.to_builtins(made.manifest.input), "cost": cost(made.manifest.input)}  # fmt: skip
    _show(facts, as_json, f"Next: inspector calibrate {name} --good {good} --data-dir {data_dir}")


@app.command(epilog="Example: inspector weights resnet18")
def weights(teacher: Annotated[str, typer.Argument(metavar="TEACHER")]) -> None:
    """Download a teacher's public weights into the user's cache, where `train` finds them. Needs the internet."""
    from engines.dskd.backbones import download_weights

    typer.echo(f"{download_weights(teacher)}")


@app.command(epilog="Example: inspector calibrate gasket --good pictures/gasket --max-false-reject 0.01")
def calibrate(
    name: Annotated[str, typer.Argument(metavar="PRODUCT")],
    good: Good,
    data_dir: DataDir = PRODUCTION_DIR,
    max_false_reject: Annotated[float, typer.Option(help="Share of good parts that may be rejected.")] = 0.01,
    confidence: Annotated[float, typer.Option(help="Confidence in that share.")] = 0.95,
    strict: Annotated[bool, typer.Option("--strict", help="Too few parts for the share are an error.")] = False,
    engine: Annotated[str, typer.Option(help="Runtime that will run the line; default: the best installed.")] = "",
    as_json: Json = False,
) -> None:
    """Set the threshold from good parts that the network has not seen."""
    from inspector.teaching import calibrate_product

    made = calibrate_product(
        product(data_dir, name), good, engine, max_false_reject, confidence, strict, Console(stderr=True)
    )
    recipe = made.recipe
    facts = {
        "product": name, "recipe": recipe.checksum, "engine": recipe.engine, "refused": len(made.refused),
        "threshold": recipe.thresholds.review, "evidence": msgspec.to_builtins(recipe.evidence),
        "sentence": recipe.evidence.sentence(),
    }  # fmt: skip
    _show(facts, as_json, f"{recipe.evidence.sentence()}.")


@app.command(epilog="Example: inspector evaluate gasket --dataset folder --data pictures/labelled --report out.html")
def evaluate(
    name: Annotated[str, typer.Argument(metavar="PRODUCT")],
    dataset: Annotated[str, typer.Option(help="folder, mvtec, mvtec3d, visa, magnetic_tile or elpv.")],
    data: Annotated[Path | None, typer.Option(help="Its folder; elpv: default is the installed package.")] = None,
    category: Annotated[str, typer.Option(help="mvtec, mvtec3d, visa: which one.")] = "",
    split: Annotated[str, typer.Option(help="magnetic_tile: tile or image; folder: test or hash.")] = "",
    role: Annotated[str, typer.Option(help="magnetic_tile, elpv: dev (for choices) or final (to report).")] = "",
    mode: Annotated[str, typer.Option("--input", help="mvtec3d: rgb, depth or both.")] = "",
    data_dir: DataDir = PRODUCTION_DIR,
    engine: Annotated[str, typer.Option(help="Runtime; default: the best installed.")] = "",
    report: Annotated[Path | None, typer.Option(help="Page to write, with curves and heat maps: .html.")] = None,
    as_json: Json = False,
) -> None:
    """How well a product's newest bundle finds the defects of labelled pictures. See docs/EVALUATION.md."""
    from engines.datasets.table import filled_in, read_dataset
    from inspector.evaluate import evaluate_product
    from inspector.evaluation_page import write_page

    _check_report(report)
    split, mode = filled_in(dataset, split, mode)
    pictures = read_dataset(dataset, data, category, split, role, mode)
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("judging pictures", total=None)
        found = evaluate_product(
            product(data_dir, name), pictures, engine,
            lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    choices = {"dataset": dataset, "category": category, "split": split, "role": role, "input": mode}
    if report is not None:
        write_page(report, name, found, choices)
    if as_json:
        _print_json({
            "product": name, "bundle": found.bundle.id, "engine": found.engine, **choices,
            "refused": [str(path) for path in found.refused],
            "not_found": [str(path) for path in found.not_found], **msgspec.to_builtins(found.evaluation),
        })  # fmt: skip
    else:
        _show_evaluation(found, report)


@app.command(epilog="Example: inspector run --config /etc/inspector/line.toml")
def run(config: ConfigFile) -> None:
    """Run the line until it is told to stop (SIGTERM, SIGINT)."""
    from inspector.assembly import run_line
    from inspector.watchdog import Notifier

    set_up_log()
    run_line(load_config(config), _stop_on_signal(), Notifier())


@app.command(epilog="Example: inspector ejector --config /etc/inspector/line.toml")
def ejector(config: ConfigFile) -> None:
    """Run the reference ejector: journal, acknowledge, actuate."""
    from inspector.assembly import run_ejector
    from inspector.watchdog import Notifier

    set_up_log()
    run_ejector(load_config(config), _stop_on_signal(), Notifier())


@app.command(epilog="Example: inspector products --data-dir ./data --json")
def products(data_dir: DataDir = PRODUCTION_DIR, as_json: Json = False) -> None:
    """What was taught, and whether it may run."""
    rows = [_product_row(entry.name, data_dir) for entry in list_products(data_dir)]
    _show_rows(rows, as_json, f"No product below {data_dir}; teach one: inspector train PRODUCT --good DIR")


@app.command(name="doctor", epilog="Example: inspector doctor --config /etc/inspector/line.toml")
def run_doctor(
    config: Annotated[Path | None, typer.Option(help="Check this site's line too.")] = None,
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """What works on this box, and what to do about what doesn't. Exit code 1 when something must be done."""
    findings = doctor.examine(data_dir, config)
    if as_json:
        _print_json([msgspec.to_builtins(finding) for finding in findings])
    else:
        table = Table("", "what", "found", "to do", box=box.SIMPLE)
        for finding in findings:
            table.add_row(
                {"ok": "ok", "note": "-", "bad": "BAD"}[finding.state], finding.what, finding.found, finding.todo
            )
        _plain().print(table)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


# -- history -------------------------------------------------------------------------------------------------------

ProductFilter = Annotated[str | None, typer.Option("--product")]
OutcomeFilter = Annotated[Outcome | None, typer.Option("--verdict", case_sensitive=False)]
SinceFilter = Annotated[str | None, typer.Option("--since", help="UTC, such as 2026-01-31 or 2026-01-31T06:00.")]
UntilFilter = Annotated[str | None, typer.Option("--until", help="UTC, exclusive.")]
MinScore = Annotated[float | None, typer.Option("--min-score")]
MaxScore = Annotated[float | None, typer.Option("--max-score")]
PartRef = Annotated[str | None, typer.Option("--part-ref", help="Serial number or DMC code.")]


@history_app.command("list", epilog="Example: inspector history list --verdict reject --since 2026-01-31 --limit 20")
def history_list(
    data_dir: DataDir = PRODUCTION_DIR, product: ProductFilter = None, verdict: OutcomeFilter = None,
    since: SinceFilter = None, until: UntilFilter = None, min_score: MinScore = None, max_score: MaxScore = None,
    part_ref: PartRef = None, limit: Annotated[int, typer.Option(min=1)] = 50, as_json: Json = False,
) -> None:  # fmt: skip
    """The newest parts that fit, newest first."""
    from inspector.history.queries import list_parts

    wanted = _filter(product, verdict, since, until, min_score, max_score, part_ref)
    rows = list_parts(_history(data_dir), wanted, limit)
    if as_json:
        _print_json(rows)
        return
    shown = ("part", "time", "outcome", "reason", "score", "threshold", "ack_ms", "part_ref")
    _show_rows([_readable(row, shown) for row in rows], False, "No part fits.")


@history_app.command("summary", epilog="Example: inspector history summary --since 2026-01-31T06:00 --json")
def history_summary(
    data_dir: DataDir = PRODUCTION_DIR, product: ProductFilter = None, verdict: OutcomeFilter = None,
    since: SinceFilter = None, until: UntilFilter = None, min_score: MinScore = None, max_score: MaxScore = None,
    part_ref: PartRef = None, as_json: Json = False,
) -> None:  # fmt: skip
    """The ledger: triggers = GOOD + REJECT + ERROR, acknowledged, and errors by reason."""
    from inspector.history.queries import summarise

    wanted = _filter(product, verdict, since, until, min_score, max_score, part_ref)
    _show(summarise(_history(data_dir), wanted), as_json)


@history_app.command("export", epilog="Example: inspector history export --out parts.csv --product gasket")
def history_export(
    out: Annotated[Path, typer.Option(help="File to write: .csv, or .jsonl.")],
    data_dir: DataDir = PRODUCTION_DIR, product: ProductFilter = None, verdict: OutcomeFilter = None,
    since: SinceFilter = None, until: UntilFilter = None, min_score: MinScore = None, max_score: MaxScore = None,
    part_ref: PartRef = None,
) -> None:  # fmt: skip
    """All parts that fit, oldest first."""
    from inspector.history.queries import each_part

    if out.suffix not in (".csv", ".jsonl"):
        raise ConfigError(f"--out {out}: give a name that ends in .csv or .jsonl")
    wanted = _filter(product, verdict, since, until, min_score, max_score, part_ref)
    count = 0
    with _writable(out) as file:
        writer = csv.writer(file)
        for row in each_part(_history(data_dir), wanted):
            if out.suffix == ".jsonl":
                file.write(msgspec.json.encode(row).decode() + "\n")
            else:
                if count == 0:
                    writer.writerow(row)
                writer.writerow(row.values())
            count += 1
    typer.echo(f"{count} parts to {out}")


# -- helpers of this file ------------------------------------------------------------------------------------------


def _history(data_dir: Path) -> Any:
    from inspector.history.database import data_file, open_for_reading

    return open_for_reading(data_file(data_dir))


def _filter(
    product: str | None, outcome: Outcome | None, since: str | None, until: str | None,
    min_score: float | None, max_score: float | None, part_ref: str | None,
) -> Any:  # fmt: skip
    from inspector.history.queries import Filter

    return Filter(product, outcome, _utc_us(since), _utc_us(until), min_score, max_score, part_ref)


def _utc_us(text: str | None) -> int | None:
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


def _product_row(name: str, data_dir: Path) -> dict[str, Any]:
    try:
        recipe, bundle = product(data_dir, name).active()
    except ERRORS as error:
        return {"product": name, "state": str(error), "bundle": None, "engine": None, "evidence": None}
    sentence = recipe.evidence.sentence()
    return {"product": name, "state": "ready", "bundle": bundle.id[:12], "engine": recipe.engine, "evidence": sentence}


def _view(region: str | None, fit: str, tiles: str | None, locate: Path | None, locate_box: str | None) -> View:
    _one_of("--fit", fit, ("stretch", "letterbox"))
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


def _stop_on_signal() -> threading.Event:
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return stopping


def _writable(path: Path) -> Any:
    try:
        return open(path, "w", encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; give another --out") from error


def _check_report(path: Path | None) -> None:
    """Before the long part of the work: a page that can't be written is known at once."""
    if path is not None and (path.suffix != ".html" or not path.parent.is_dir()):
        raise ConfigError(f"--report {path}: give a name that ends in .html, in a folder that exists")


def _show_evaluation(found: Evaluated, report: Path | None) -> None:
    from inspector.evaluate import named_figures

    figures = named_figures(found.evaluation).items()
    texts = {name: f"{f.value:.3f}  ({f.low:.3f} to {f.high:.3f})" if f else "no masks" for name, f in figures}
    facts = found.evaluation
    counts = {"good": facts.n_good, "defective": facts.n_defective, "physical parts": facts.n_parts}
    _show({**counts, **texts, "refused": len(found.refused), "not found": len(found.not_found)}, False)
    kinds = found.evaluation.kinds.items()
    rows = [{"kind": kind, **_readable_kind(msgspec.to_builtins(facts))} for kind, facts in kinds]
    _show_rows(rows, False, "")
    for path in found.refused:
        typer.echo(f"refused, the network was taught with it: {path}")
    for path in found.not_found:
        typer.echo(f"the part is not found, the line would eject it: {path}")
    if report is not None:
        typer.echo(f"Page: {report}")


def _readable_kind(facts: dict[str, Any]) -> dict[str, Any]:
    return {"n": facts["n"], "AUROC": f"{facts['auroc']:.3f}", "missed at 1%": f"{facts['missed']:.3f}"}


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{option} {value!r}: choose one of {', '.join(allowed)}")


def _show(facts: dict[str, Any], as_json: bool, closing: str = "") -> None:
    if as_json:
        _print_json(facts)
        return
    table = Table(show_header=False, box=box.SIMPLE)
    for key, value in facts.items():
        table.add_row(key, str(value))
    _plain().print(table)
    if closing:
        typer.echo(closing)


def _show_rows(rows: list[dict[str, Any]], as_json: bool, when_empty: str) -> None:
    if as_json:
        _print_json(rows)
    elif not rows:
        typer.echo(when_empty)
    else:
        table = Table(*rows[0], box=None, pad_edge=False)
        for row in rows:
            table.add_row(*("" if value is None else str(value) for value in row.values()))
        _plain().print(table)


def _plain() -> Console:
    """Square brackets in a message are its own, not markup."""
    return Console(markup=False, highlight=False)


def _print_json(value: Any) -> None:
    typer.echo(msgspec.json.encode(value).decode())


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
