"""How well a product finds the defects of labelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from inspector.cli.common import PRODUCTION_DIR, DataDir, Json, Report, check_report, print_json, show, show_rows
from inspector.products import product

if TYPE_CHECKING:
    from inspector.evaluate import Evaluated

app = typer.Typer()


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
    report: Report = None,
    as_json: Json = False,
) -> None:
    """How well a product's newest bundle finds the defects of labelled pictures. See docs/EVALUATION.md."""
    from engines.datasets.table import filled_in, read_dataset
    from inspector.evaluate import evaluate_product
    from inspector.evaluation_page import write_page

    check_report(report)
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
        print_json({
            "product": name, "bundle": found.bundle.id, "engine": found.engine, **choices,
            "refused": [str(path) for path in found.refused],
            "not_found": [str(path) for path in found.not_found], **msgspec.to_builtins(found.evaluation),
        })  # fmt: skip
    else:
        _show_evaluation(found, report)


def _show_evaluation(found: Evaluated, report: Path | None) -> None:
    from inspector.evaluate import named_figures

    figures = named_figures(found.evaluation).items()
    texts = {name: f"{f.value:.3f}  ({f.low:.3f} to {f.high:.3f})" if f else "no masks" for name, f in figures}
    facts = found.evaluation
    counts = {"good": facts.n_good, "defective": facts.n_defective, "physical parts": facts.n_parts}
    show({**counts, **texts, "refused": len(found.refused), "not found": len(found.not_found)}, False)
    kinds = found.evaluation.kinds.items()
    rows = [{"kind": kind, **_readable_kind(msgspec.to_builtins(facts))} for kind, facts in kinds]
    show_rows(rows, False, "")
    for path in found.refused:
        typer.echo(f"refused, the network was taught with it: {path}")
    for path in found.not_found:
        typer.echo(f"the part is not found, the line would eject it: {path}")
    if report is not None:
        typer.echo(f"Page: {report}")


def _readable_kind(facts: dict[str, Any]) -> dict[str, Any]:
    return {"n": facts["n"], "AUROC": f"{facts['auroc']:.3f}", "missed at 1%": f"{facts['missed']:.3f}"}
