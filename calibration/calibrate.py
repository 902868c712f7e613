"""Calibrate a product: good parts that had no other role -> recipe. What `inspector calibrate` does."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from calibration.errors import SampleError
from calibration.recipe import Recipe
from calibration.samples import Sample, unused
from calibration.thresholds import find_thresholds
from engines.detector import Detector
from engines.errors import ImageError, PartNotFound
from engines.image import Image, fingerprint, read_image
from engines.scoring import score


@dataclass(frozen=True, slots=True)
class Calibration:
    """A recipe not yet saved, and the pictures that were refused because they had another role or came twice."""

    recipe: Recipe
    refused: tuple[Sample, ...]


def calibrate(
    product: str,
    samples: Sequence[Sample],
    detector: Detector,
    asked: float,
    confidence: float,
    strict: bool = False,
    on_sample: Callable[[int, int], None] = lambda done, total: None,
) -> Calibration:
    """Score the good parts on the engine that will run, and set the thresholds.

    Raises:
        ImageError: a picture can't be read or has another size than taught; the message names it.
        PartNotFound: a picture shows no part, where parts are located; the message names it.
        SampleError: every picture had another role.
        UnreachableBound: under `strict`, the parts don't support the bound.
    """
    manifest = detector.bundle.manifest
    prints: list[str] = []
    values: list[float] = []
    for index, sample in enumerate(samples):
        image = read_image(sample.path)
        prints.append(fingerprint(image))
        try:
            values.append(_score(detector, image))
        except (ImageError, PartNotFound) as error:
            raise type(error)(f"{sample.path}: {error}") from error
        on_sample(index + 1, len(samples))
    free = unused(prints, (*manifest.fit, *manifest.select))
    if not any(free):
        raise SampleError(
            f"all {len(samples)} pictures were refused: each was used for training or comes twice; "
            "give good parts that the network has not seen"
        )
    kept = [index for index, is_free in enumerate(free) if is_free]
    scores = [values[index] for index in kept]
    groups = [samples[index].group for index in kept]
    thresholds, evidence = find_thresholds(scores, groups, asked, confidence, strict)
    recipe = Recipe(
        product=product,
        bundle=detector.bundle.id,
        engine=detector.engine,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        scoring=detector.bundle.scoring,
        thresholds=thresholds,
        evidence=evidence,
        calibrate=tuple(prints[index] for index in kept),
        scores=tuple(sorted(scores)),
    )
    return Calibration(recipe, tuple(sample for sample, is_free in zip(samples, free) if not is_free))


def _score(detector: Detector, image: Image) -> float:
    return score(detector.detect(image).maps, detector.bundle.scoring).value
