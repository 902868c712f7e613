"""What runs a product's network on this box: whether it judges as the reference does, and how fast it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from engines.image import list_images
from engines.runtimes.base import engine_name
from inspector.cli.common import PRODUCTION_DIR, DataDir, Json, fail, show
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
