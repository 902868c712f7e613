"""What each precision costs in accuracy: image AUROC, time and certificate per graph, on one trained bundle.

    python benchmarks/precision.py --data ../shared/data/magnetic_tile [--bundle DIR] --json

Pictures are those of role `dev`. Every second good part sets the threshold, on FP32; the others, and defects painted
on them, make the certificates. INT8 ranges come of the `select` pictures. All engines look at each picture in turns, on
one thread, so that their times compare on a busy machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from harness.cases import Case, complete, evenly, read_case
from harness.configurations import DEFAULT, seeded

from engines.bundle import GRAPHS, REPORT, Bundle, load_bundle, newest_bundle
from engines.certificate import Judgement, certify
from engines.datasets.labelled import Labelled, read_picture
from engines.detector import Detector
from engines.dskd.quantise import make_int8
from engines.dskd.teach import teach
from engines.errors import BundleError, CertificateError, RuntimeUnavailable
from engines.image import fingerprint, prepare
from engines.metrics import auroc
from engines.runtimes.base import open_runtime
from engines.scoring import score
from engines.training_report import decode_report

# Name of the row: engine that runs, and which graph. ONNX Runtime's CPU shows FP16's rounding between layers, no more.
ROWS = {
    "onnxruntime": ("onnxruntime", "fp32"),
    "openvino:fp32": ("openvino:fp32", "fp32"),
    "openvino:bf16": ("openvino:bf16", "fp32"),
    "onnxruntime, FP16 graph": ("onnxruntime", "fp16"),
    "openvino:int8": ("openvino:int8", "int8"),
    "onnxruntime, INT8 graph": ("onnxruntime", "int8"),
}


def main() -> None:
    """Run and print one object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of Magnetic Tile")
    parser.add_argument("--bundle", type=Path, help="folder of bundles, of which the newest; default: train one")
    parser.add_argument("--limit", type=int, default=0, help="only so many dev pictures")
    parser.add_argument("--json", action="store_true", help="print one JSON object (it always does)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="precision-") as folder:
        case = complete(Case("magnetic_tile", split="tile", role="dev"))
        material = read_case(case, arguments.data, Path(folder))
        parent = arguments.bundle or Path(folder, "bundles")
        if arguments.bundle is None:
            fit, select = ([entry.path for entry in entries] for entries in (material.fit, material.select))
            teach("benchmark", fit, select, parent, seeded(DEFAULT, 0), any_size=True)
        bundle, check = with_int8(load_bundle(newest_bundle(parent)), [*material.fit, *material.select])
        print(json.dumps(compare(bundle, evenly(material.test, arguments.limit)) | {"int8": check}))


def with_int8(bundle: Bundle, taught: list[Labelled]) -> tuple[Bundle, dict[str, Any]]:
    """The bundle with an INT8 graph: ranges of every second of its `select` pictures, checked on the others."""
    wanted = set(bundle.manifest.select)
    images = [image for image in map(read_picture, taught) if fingerprint(image) in wanted]
    canvases = np.stack([prepare(image, bundle.manifest.input) for image in images])
    graph, check = make_int8(bundle.model, canvases[::2], canvases[1::2][:16])
    files = dict(bundle.files) if graph is None else {**bundle.files, GRAPHS["int8"]: graph}
    return dataclasses.replace(bundle, files=files), msgspec.to_builtins(check)


def compare(bundle: Bundle, test: list[Labelled]) -> dict[str, Any]:
    """Every row's figures; a row that can't run here says why."""
    detectors, rows = {}, dict[str, dict[str, Any]]()
    for name, (engine, graph) in ROWS.items():
        try:
            detectors[name] = Detector(bundle, open_runtime(engine, bundle.graph(graph), 1), engine, any_size=True)
        except (RuntimeUnavailable, BundleError) as error:
            rows[name] = {"refused": str(error)}
    scores, times = look(bundle, detectors, test)
    bad = np.array([not entry.is_good for entry in test])
    good = [entry.path for entry in test if entry.is_good]
    reference = np.array(scores["onnxruntime"])
    limit = float(np.sort(reference[~bad][::2])[-2])
    base = auroc(list(reference[~bad]), list(reference[bad]))
    for name, detector in detectors.items():
        values = np.array(scores[name])
        found = auroc(list(values[~bad]), list(values[bad]))
        ms = np.array(times[name])
        rows[name] = {
            "image_auroc": found,
            "change": found - base,
            "ms": float(np.median(ms)),
            "ms_min": float(ms.min()),
        }
        if name != "onnxruntime":
            judgement = Judgement("", bundle.scoring, limit)
            try:
                made = certify(detectors["onnxruntime"], detector, judgement, good[1::2][:32])
                rows[name]["certificate"] = msgspec.to_builtins(made)
            except CertificateError as error:
                rows[name]["certificate"] = {"refused": str(error)}
    parity = decode_report(bundle.files[REPORT]).graphs["fp32"]
    facts = {"bundle": bundle.id, "training": bundle.manifest.training, "good": len(good), "bad": int(bad.sum())}
    return {**facts, "torch_parity": msgspec.to_builtins(parity), "rows": rows}


def look(
    bundle: Bundle, detectors: dict[str, Detector], test: list[Labelled]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Scores and milliseconds of every picture by row, one picture through all of them in turns."""
    scores: dict[str, list[float]] = {name: [] for name in detectors}
    times: dict[str, list[float]] = {name: [] for name in detectors}
    for entry in test:
        image = read_picture(entry)
        for name, detector in detectors.items():
            started = time.perf_counter()
            maps = detector.detect(image).maps
            times[name].append((time.perf_counter() - started) * 1e3)
            scores[name].append(score(maps, bundle.scoring).value)
    return scores, times


if __name__ == "__main__":
    main()
