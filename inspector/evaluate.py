"""Evaluate a product on labelled pictures: what `inspector evaluate` and the benchmarks do.

Position figures are taken on a grid of 256 x 256 cells over what the model looks at: the fused map is enlarged to it
bilinearly, as is common, and the mask goes the same way as the picture. A cell is defective when at least half of it
is. A picture whose defects fill half a cell nowhere keeps every cell they touch; specks beside a larger defect are
dropped, which PRO would count as regions of equal weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle import Bundle, Manifest
from engines.datasets.labelled import Labelled, read_mask, read_picture
from engines.detector import Detector, open_detector
from engines.errors import EvaluationError
from engines.evaluation import Evaluation, Interval, Judged, evaluate
from engines.image import Image, InputSpec, fingerprint, prepare
from engines.runtimes.base import preferred_runtime
from engines.scoring import Mask, Scoring, fuse, score_fused
from inspector.products import Product

GRID = (256, 256)  # height, width

OnPicture = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A product held against labelled pictures.

    Attributes:
        pictures, judged: those that count, in one order.
        refused: test pictures that the network was taught with; they don't count.
    """

    bundle: Bundle
    engine: str
    evaluation: Evaluation
    pictures: list[Labelled]
    judged: list[Judged]
    refused: list[Path]


def evaluate_product(
    product: Product,
    pictures: Sequence[Labelled],
    engine: str = "",
    on_picture: OnPicture = lambda done, total: None,
) -> Evaluated:
    """Judge the test pictures of a data set with the product's newest bundle, as the line would.

    Args:
        pictures: of any split; only the test ones are used.
        engine: runtime; "" is the best installed.

    Raises:
        BundleError, ImageError: no bundle, or a picture that can't be read or has another size than taught.
        EvaluationError: good or defective pictures are missing, or all good ones were used in training.
    """
    bundle = product.newest_bundle()
    tested = [entry for entry in pictures if entry.split == "test"]
    kept, refused = refuse_taught(tested, bundle.manifest)
    if refused and not any(entry.is_good for entry in kept):
        raise EvaluationError(
            f"all good test pictures were used to train the product, such as {refused[0]}; "
            "give good parts that the network has not seen"
        )
    engine = engine or preferred_runtime()
    detector = open_detector(bundle, engine, any_size=bundle.manifest.input.frame_size is None)
    try:
        judged = judge_pictures(detector, bundle.scoring, kept, on_picture)
    finally:
        detector.close()
    return Evaluated(bundle, engine, evaluate(judged), kept, judged, refused)


def judge_pictures(
    detector: Detector,
    scoring: Scoring,
    pictures: Sequence[Labelled],
    on_picture: OnPicture = lambda done, total: None,
) -> list[Judged]:
    """Score pictures with the line's own functions; maps and masks on `GRID`.

    Raises:
        ImageError: a picture or mask can't be read, or has another size than taught.
    """
    judged = []
    for index, entry in enumerate(pictures):
        image = read_picture(entry)
        fused = fuse(detector.detect(image).maps, scoring)
        judged.append(
            Judged(
                score=score_fused(fused, scoring).value,
                label=entry.label,
                part=entry.part,
                map=np.asarray(cv2.resize(fused, GRID[::-1], interpolation=cv2.INTER_LINEAR), np.float32),
                mask=mask_on_grid(read_mask(entry, image.shape[:2]), detector.bundle.manifest.input),
            )
        )
        on_picture(index + 1, len(pictures))
    return judged


def named_figures(evaluation: Evaluation) -> dict[str, Interval | None]:
    """The figures by the names that people read; None: no mask is known."""
    return {
        "image AUROC": evaluation.image_auroc,
        "image AP": evaluation.image_ap,
        "F1-max": evaluation.f1_max,
        "pixel AUROC": evaluation.pixel_auroc,
        "AUPRO to 0.3": evaluation.aupro,
        **{f"missed at {share:.1%} false rejects": missed for share, missed in evaluation.missed.items()},
    }


def refuse_taught(pictures: Sequence[Labelled], manifest: Manifest) -> tuple[list[Labelled], list[Path]]:
    """Pictures that the network has not seen, and the paths of those that it was taught with."""
    taught = frozenset((*manifest.fit, *manifest.select))
    seen = [fingerprint(read_picture(entry)) in taught for entry in pictures]
    kept = [entry for entry, is_seen in zip(pictures, seen) if not is_seen]
    return kept, [entry.path for entry, is_seen in zip(pictures, seen) if is_seen]


def mask_on_grid(mask: Mask | None, spec: InputSpec) -> Mask | None:
    """A picture's mask (H, W) on `GRID`, by the way that `spec` brings the picture to the model."""
    if mask is None or not mask.any():
        return None if mask is None else np.zeros(GRID, np.bool_)
    half = _coverage(mask, spec) >= 128
    if half.any():
        return np.asarray(half, np.bool_)
    # One pixel wider on every side: shrinking by less than half may step over a single pixel.
    return np.asarray(_coverage(cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0, spec) > 0, np.bool_)


def _coverage(mask: Mask, spec: InputSpec) -> NDArray[np.uint8]:
    """How much of each cell of `GRID` is True, 0..255."""
    painted: Image = np.repeat(mask[..., None].astype(np.uint8) * np.uint8(255), 3, axis=2)
    return np.asarray(cv2.resize(prepare(painted, spec)[..., 0], GRID[::-1], interpolation=cv2.INTER_AREA), np.uint8)
