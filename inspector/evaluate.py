"""Evaluate a product on labelled pictures: what `inspector evaluate` and the benchmarks do.

Position figures are taken on a grid over the inspected region, without the padding of a letterbox: of 256 x 256 cells,
more where tiles make the fused map finer than that. The fused map is enlarged to it bilinearly, as is common, and the
mask goes the same way as the picture, by the pose found in the picture. A cell is defective when at least half of it
is. A picture whose defects fill half a cell nowhere keeps every cell they touch; specks beside a larger defect are
dropped, which PRO would count as regions of equal weight.

A picture in which the part is not found is ERROR on the line, and so ejected: it scores infinity and has no positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle import Bundle, Manifest
from engines.datasets.labelled import Labelled, read_mask, read_picture
from engines.detector import Detector, open_detector
from engines.errors import EvaluationError, PartNotFound
from engines.evaluation import Evaluation, Interval, Judged, evaluate
from engines.image import InputSpec, Pose, content_box, cut, fingerprint, prepare_mask
from engines.runtimes.base import preferred_engine
from engines.scoring import Map, Mask, Scoring, fuse, score_fused
from inspector.products import Product

GRID = (256, 256)  # height, width; at least

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

    @property
    def not_found(self) -> list[Path]:
        """Pictures in which the part was not found; they count, as ejected."""
        return [entry.path for entry, judged in zip(self.pictures, self.judged) if not judged.is_found]


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
    engine = engine or preferred_engine()
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
    """Score pictures with the line's own functions; maps and masks on a grid.

    A picture without the part, where parts are located, scores infinity: the line ejects it whatever its threshold.

    Raises:
        ImageError: a picture or mask can't be read, or has another size than taught.
    """
    judged = []
    for index, entry in enumerate(pictures):
        judged.append(_judge(detector, scoring, entry))
        on_picture(index + 1, len(pictures))
    return judged


def _judge(detector: Detector, scoring: Scoring, entry: Labelled) -> Judged:
    image, spec = read_picture(entry), detector.bundle.manifest.input
    try:
        maps = detector.detect(image).maps
    except PartNotFound:
        return Judged(math.inf, entry.label, entry.part, map=None, mask=None)
    fused = fuse(maps, scoring)
    mask = read_mask(entry, image.shape[:2])
    pose = detector.find(image) if mask is not None and mask.any() else None
    grid = max(GRID[0], fused.shape[0]), max(GRID[1], fused.shape[1])
    value = score_fused(fused, scoring).value
    return Judged(value, entry.label, entry.part, map_on_grid(fused, spec, grid), mask_on_grid(mask, spec, pose, grid))


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


def map_on_grid(fused: Map, spec: InputSpec, grid: tuple[int, int] = GRID) -> Map:
    """What a fused map (h, w) of the canvas says of the region, on a grid that is at least as fine."""
    x, y, width, height = content_box(spec)
    if (width, height) != spec.canvas:
        whole = cv2.resize(fused, spec.canvas, interpolation=cv2.INTER_LINEAR)
        fused = np.asarray(whole[y : y + height, x : x + width], np.float32)
    return np.asarray(cv2.resize(fused, grid[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def mask_on_grid(
    mask: Mask | None, spec: InputSpec, pose: Pose | None = None, grid: tuple[int, int] = GRID
) -> Mask | None:
    """A picture's mask (H, W) on a grid over the region, by the way that `spec` brings the picture to the model.

    Args:
        pose: found in the picture, where the spec says `locate`.
    """
    if mask is None or not mask.any():
        return None if mask is None else np.zeros(grid, np.bool_)
    half = _coverage(mask, spec, pose, grid) >= 128
    if half.any():
        return np.asarray(half, np.bool_)
    # One pixel wider on every side: shrinking by less than half may step over a single pixel.
    wider = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.asarray(_coverage(np.asarray(wider, np.bool_), spec, pose, grid) > 0, np.bool_)


def _coverage(mask: Mask, spec: InputSpec, pose: Pose | None, grid: tuple[int, int]) -> NDArray[np.uint8]:
    """How much of each cell is True, 0..255."""
    region = cut(prepare_mask(mask, spec, pose), content_box(spec))
    return np.asarray(cv2.resize(region, grid[::-1], interpolation=cv2.INTER_AREA), np.uint8)
