"""What runs a product's network on this box: whether it judges as the reference does, and how fast it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from engines.image import list_images
from engines.runtimes.base import engine_name, preferred_engine
from inspector.cli.common import PRODUCTION_DIR, DataDir, Json, fail, print_json, show, show_rows
from inspector.log import set_up_log
from inspector.products import product

app = typer.Typer()


@app.command(epilog="Example: inspector certify gasket --engine openvino:fp32 --json")
def certify(
    name: Annotated[str, typer.Argument(metavar="PRODUCT")],
    engine: Annotated[str, typer.Option(help="Default: the one of the active recipe.")] = "",
    good: Annotated[
        Path | None, typer.Option(help="Folder of good parts, beside those that training kept for this.")
    ] = None,
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """Hold an engine against ONNX Runtime on good parts and painted defects. Exit code 1: it may not judge.

    `calibrate` does this by itself. It must be done again when the libraries or the processor have changed.
    """
    from inspector.certify import make_certificate, save_certificate

    of = product(data_dir, name)
    recipe, bundle = of.active()
    if engine:
        recipe = of.recipe_on(engine_name(engine))
    certificate = make_certificate(of, recipe, bundle, list_images(good) if good is not None else ())
    save_certificate(of, certificate)
    show({"product": name, **msgspec.to_builtins(certificate)}, as_json)
    if certificate.refusals:
        fail(f"{certificate.engine} may not judge {name}: {'; '.join(certificate.refusals)}")


@app.command(epilog="Example: inspector bench gasket --json; inspector bench --engine onnxruntime --seconds 60")
def bench(
    name: Annotated[
        str | None, typer.Argument(metavar="[PRODUCT]", help="Default: the default network with random weights.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Default: the recipe's; without PRODUCT the best installed.")] = "",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads of one inference; 0: every core.")] = 0,
    in_flight: Annotated[int, typer.Option(min=1, max=16, help="Parts looked at at the same time.")] = 1,
    seconds: Annotated[float, typer.Option(min=4, help="For the line, and as many for the bare runtime.")] = 30.0,
    good: Annotated[Path | None, typer.Option(help="Pictures to show; default: those that training kept.")] = None,
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """How many parts per second a whole line holds here, each stage's time, and the same for the bare runtime.

    Pictures come from memory; an ejector of its own acknowledges. Stop the line first: both would share the cores.
    """
    from inspector.bench import bench as run_bench
    from inspector.bench import passing_recipe, product_frames, seeded_product

    set_up_log()
    chosen = engine_name(engine) if engine else ""
    if name is None:
        bundle, images = seeded_product()
        recipe = passing_recipe(bundle, chosen or preferred_engine())
    else:
        recipe, bundle = product(data_dir, name).active()
        recipe = dataclasses.replace(recipe, engine=chosen or recipe.engine)
        images = product_frames(product(data_dir, name), bundle, good)
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("line and bare runtime in turns", total=None)
        found = run_bench(
            bundle,
            recipe,
            images,
            threads,
            in_flight,
            seconds,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    facts = {"product": name, **msgspec.to_builtins(found)}
    if as_json:
        print_json(facts)
        return
    show_rows([{"stage": stage, **values} for stage, values in facts.pop("stages").items()], False, "")
    show(facts, False)
