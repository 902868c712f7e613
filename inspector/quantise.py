"""Give a product's newest bundle an INT8 graph: a new bundle beside it, the same network otherwise."""

from __future__ import annotations

import msgspec
import numpy as np

from calibration.changes import utc_now
from engines.bundle import FORMAT, GRAPHS, REPORT, Bundle, load_bundle, save_bundle
from engines.dskd.quantise import make_int8
from engines.errors import TrainingError
from engines.image import Image, InputSpec, prepare, read_image
from engines.tiling import cut_tiles
from engines.training_report import GraphCheck, decode_report, encode_report
from engines.view import open_locator
from inspector.certify import kept_pictures
from inspector.products import Product


def quantise_product(product: Product) -> tuple[Bundle, GraphCheck]:
    """Quantise by every second of the `select` pictures that training kept, and compare on the others.

    Raises:
        BundleError: there is no bundle, or it is not signed as it should be.
        TrainingError: NNCF is not installed, too few pictures were kept, or the graph computes something else.
    """
    bundle = product.newest_bundle()
    pictures = _tiles(product, bundle)
    graph, check = make_int8(bundle.model, pictures[::2], pictures[1::2])
    if graph is None:
        raise TrainingError(f"{product.name} gets no INT8 graph: {check.refused}; run it in FP32")
    manifest = msgspec.structs.replace(bundle.manifest, format=FORMAT, created=utc_now())
    folder = save_bundle(
        product.bundles, manifest, bundle.model, bundle.scoring, bundle.template,
        fp16=bundle.files.get(GRAPHS["fp16"]), int8=graph, report=_report(bundle, check),
    )  # fmt: skip
    return load_bundle(folder), check


def _tiles(product: Product, bundle: Bundle) -> Image:
    """What the network sees of the kept pictures, (N, H, W, 3)."""
    spec: InputSpec = bundle.manifest.input
    locator = open_locator(spec, bundle.template)
    tiles = [
        tile for path in kept_pictures(product) for tile in cut_tiles(prepare(read_image(path), spec, locator), spec)
    ]
    if not tiles:
        raise TrainingError(f"{product.name} was taught elsewhere, no picture was kept; quantise where it was trained")
    return np.stack(tiles)


def _report(bundle: Bundle, check: GraphCheck) -> bytes | None:
    if REPORT not in bundle.files:
        return None
    report = decode_report(bundle.files[REPORT])
    return encode_report(msgspec.structs.replace(report, graphs={**report.graphs, "int8": check}))
