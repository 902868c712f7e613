"""Build what a runtime needs before the line starts: an engine for this GPU, an INT8 graph for CPUs."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from inspector.cli.common import PRODUCTION_DIR, DataDir, Json, one_of, show
from inspector.products import product

app = typer.Typer()


@app.command(epilog="Example: inspector build gasket --runtime tensorrt --data-dir /var/lib/inspector")
def build(
    name: Annotated[str, typer.Argument(metavar="PRODUCT")],
    runtime: Annotated[str, typer.Option(help="tensorrt; the others need no building.")] = "tensorrt",
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """Build the engine of a product's newest bundle for this box's GPU, from its verified FP16 graph; takes minutes.

    Engines lie in the cache of the user who builds them: run it as the user of the line. See docs/TENSORRT.md.
    """
    one_of("--runtime", runtime, ("tensorrt",))
    from engines.runtimes.tensorrt import TensorRtRuntime
    from engines.runtimes.tensorrt_cache import cache_folder

    bundle = product(data_dir, name).newest_bundle()
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("building", total=None)
        opened = TensorRtRuntime(
            bundle.graph("fp16"),
            say=lambda phase, step, steps: bar.update(task, description=phase, completed=step, total=steps),
        )
    opened.close()
    facts = {
        "product": name, "bundle": bundle.id, "engine": opened.facts.key, "folder": str(cache_folder()),
        "tensorrt": opened.facts.target.version, "gpu": opened.facts.target.gpu, "was_cached": opened.facts.was_cached,
        "build_s": round(opened.facts.build_s, 1), "layers": opened.facts.layers, "cuda_graph": opened.is_captured,
    }  # fmt: skip
    show(facts, as_json)


@app.command(epilog="Example: inspector quantise gasket --data-dir ./data")
def quantise(
    name: Annotated[str, typer.Argument(metavar="PRODUCT")],
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """Write a bundle with an INT8 graph beside the newest one, for `openvino:int8`. Needs the extra `int8`.

    What judges now stays as it is. `calibrate --engine openvino:int8` makes its threshold and certificate, and
    activates nothing that fails it.
    """
    from inspector.quantise import quantise_product

    bundle, check = quantise_product(product(data_dir, name))
    facts = {"product": name, "bundle": bundle.id, "bytes": len(bundle.graph("int8")),
             "fp32_bytes": len(bundle.model), "difference": check.difference, "pictures": check.pictures}  # fmt: skip
    show(facts, as_json, f"Next: inspector calibrate {name} --engine openvino:int8 --data-dir {data_dir}")
