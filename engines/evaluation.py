"""Judged test pictures -> figures with intervals. Pure; the same for our detector and for its peers.

Pictures: AUROC, average precision, F1-max, and the share of defects missed at a given share of false rejects.
Positions: AUROC and AUPRO (Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 129, 2021), over the whole
data set: one threshold for all pictures, false positives counted over all good positions, those of defective pictures
included. Pictures without a known mask are left out of both.

Intervals are 95 % percentile bootstraps by physical part: parts are drawn with replacement, good and defective ones
apart, and all pictures of a part come along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import EvaluationError
from engines.metrics import (
    Values,
    Weights,
    area_to,
    auroc,
    passes,
    ramp_area,
    weighted_auroc,
    weighted_average_precision,
    weighted_f1_max,
    weighted_missed,
)
from engines.scoring import Map, Mask

FALSE_REJECTS = (0.005, 0.01, 0.02)  # shares of good pictures at which missed defects are counted
KIND_FALSE_REJECTS = 0.01
PRO_LIMIT = 0.3  # false-positive rate up to which the per-region overlap is integrated; the data set's authors' value
PERCENTILES = (2.5, 97.5)
BINS = 2048  # of equally many good positions, for the bootstrap of position figures; the values themselves are exact

Figure = Callable[[Values, Values, Weights, Weights], Values]


@dataclass(frozen=True, slots=True)
class Judged:
    """One test picture after scoring.

    Attributes:
        score: the image score, finite; infinite: no part was found, and so it is ejected at any threshold.
        label: "good", or the kind of defect.
        part: pictures with the same name show the same physical part.
        map: (h, w) float32 fused anomaly map; None: position figures leave the picture out, as where no part was found.
        mask: (h, w) bool at the map's size, True on the defect; a good part: all False; None: unknown.
    """

    score: float
    label: str
    part: str
    map: Map | None
    mask: Mask | None

    @property
    def is_good(self) -> bool:
        """Whether the part has no defect."""
        return self.label == "good"

    @property
    def is_found(self) -> bool:
        """Whether there was a part to be judged."""
        return self.score != np.inf


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of defect against all good pictures; missed at `KIND_FALSE_REJECTS`."""

    n: int
    auroc: float
    missed: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        pixel_auroc, aupro: None where no picture with a known defect mask was given.
        missed: by share of false rejects: share of defective pictures at or below the threshold, which is the
            (floor(share * n_good) + 1)-th largest score of the good TEST pictures: the smallest that rejects
            (score above it) at most that share of them; infinite where more of them were not found.
        thresholds: by share of false rejects: that threshold.
        kinds: by kind of defect.
        n_good, n_defective, n_parts: pictures of either sort, and physical parts among them.
    """

    image_auroc: Interval
    image_ap: Interval
    f1_max: Interval
    pixel_auroc: Interval | None
    aupro: Interval | None
    missed: dict[float, Interval]
    thresholds: dict[float, float]
    kinds: dict[str, Kind]
    n_good: int
    n_defective: int
    n_parts: int


def evaluate(judged: Sequence[Judged], seed: int = 0, resamples: int = 1000) -> Evaluation:
    """All figures of a test set.

    Raises:
        EvaluationError: no good or no defective picture, a score that is NaN or -inf, a map that is not finite, or a
            mask whose size is not its map's.
    """
    _check(judged)
    rng = np.random.default_rng(seed)
    weights = part_weights(judged, rng, resamples)  # (1 + R, n); the first row counts every picture once
    is_good = np.array([entry.is_good for entry in judged])
    scores = np.array([entry.score for entry in judged], np.float64)
    good, bad = scores[is_good], scores[~is_good]
    split = (good, bad, weights[:, is_good], weights[:, ~is_good])
    found = {share: weighted_missed(*split, share) for share in FALSE_REJECTS}
    pixel_auroc, aupro = _position_figures(judged, weights)
    return Evaluation(
        image_auroc=_interval(weighted_auroc(*split)),
        image_ap=_interval(weighted_average_precision(*split)),
        f1_max=_interval(weighted_f1_max(*split)),
        pixel_auroc=pixel_auroc,
        aupro=aupro,
        missed={share: _interval(missed) for share, (_, missed) in found.items()},
        thresholds={share: float(thresholds[0]) for share, (thresholds, _) in found.items()},
        kinds=_kinds(judged, good, float(found[KIND_FALSE_REJECTS][0][0])),
        n_good=int(is_good.sum()),
        n_defective=int((~is_good).sum()),
        n_parts=len({entry.part for entry in judged}),
    )


def paired_difference(
    first: Sequence[Judged], second: Sequence[Judged], seed: int = 0, resamples: int = 2000
) -> Interval:
    """Image AUROC of `first` minus that of `second` on the same pictures in the same order; paired bootstrap by part.

    Raises:
        EvaluationError: the two are not the same pictures, or see `evaluate`.
    """
    _check(first)
    _check(second)
    if [(entry.label, entry.part) for entry in first] != [(entry.label, entry.part) for entry in second]:
        raise EvaluationError(
            f"{len(first)} and {len(second)} pictures whose labels and parts differ can't be compared in pairs; "
            "judge the same pictures in the same order"
        )
    weights = part_weights(first, np.random.default_rng(seed), resamples)
    is_good = np.array([entry.is_good for entry in first])
    areas = []
    for judged in (first, second):
        scores = np.array([entry.score for entry in judged], np.float64)
        areas.append(weighted_auroc(scores[is_good], scores[~is_good], weights[:, is_good], weights[:, ~is_good]))
    return _interval(areas[0] - areas[1])


def _check(judged: Sequence[Judged]) -> None:
    n_good = sum(entry.is_good for entry in judged)
    if not 0 < n_good < len(judged):
        raise EvaluationError(
            f"{n_good} good and {len(judged) - n_good} defective pictures to judge; an evaluation needs both"
        )
    for index, entry in enumerate(judged):
        where = f"picture {index} ({entry.label}, part {entry.part})"
        if not np.isfinite(entry.score) and (entry.is_found or entry.map is not None):
            raise EvaluationError(f"{where} has score {entry.score}; run inspector doctor, or train again")
        if entry.map is not None and not np.isfinite(entry.map).all():
            raise EvaluationError(f"{where} has a map that is not finite; run inspector doctor, or train again")
        if entry.map is not None and entry.mask is not None and entry.map.shape != entry.mask.shape:
            raise EvaluationError(f"{where} has a map {entry.map.shape} but a mask {entry.mask.shape}; resize the mask")


def part_weights(judged: Sequence[Judged], rng: np.random.Generator, resamples: int) -> Weights:
    """(1 + R, n): a row of ones, then how often each resample drew each picture."""
    weights = np.ones((1 + resamples, len(judged)))
    for is_good in (True, False):
        members = [index for index, entry in enumerate(judged) if entry.is_good == is_good]
        names, part = np.unique([judged[index].part for index in members], return_inverse=True)
        drawn = rng.multinomial(names.size, np.full(names.size, 1 / names.size), size=resamples)
        weights[1:, members] = drawn[:, part]
    return weights


def _interval(values: Values) -> Interval:
    """From the figure itself, followed by its resamples; those in which it is undefined (NaN) are left out."""
    defined = values[1:][~np.isnan(values[1:])]
    low, high = np.percentile(defined, PERCENTILES) if defined.size else (np.nan, np.nan)
    return Interval(float(values[0]), float(low), float(high))


def _kinds(judged: Sequence[Judged], good: Values, threshold: float) -> dict[str, Kind]:
    scores: dict[str, list[float]] = {}
    for entry in judged:
        if not entry.is_good:
            scores.setdefault(entry.label, []).append(entry.score)
    return {
        label: Kind(len(bad), auroc(good.tolist(), bad), float(passes(np.asarray(bad), threshold).mean()))
        for label, bad in sorted(scores.items())
    }


# -- positions -----------------------------------------------------------------------------------------------------


def _position_figures(judged: Sequence[Judged], weights: Weights) -> tuple[Interval | None, Interval | None]:
    """Pixel AUROC and AUPRO: exact values, intervals from resampled histograms of each picture."""
    known = [(index, e.map, e.mask) for index, e in enumerate(judged) if e.map is not None and e.mask is not None]
    weights = weights[:, [index for index, _, _ in known]]
    good_parts = [np.sort(level[~mask]) for _, level, mask in known]
    bad_parts = [level[mask] for _, level, mask in known]
    if not any(part.size for part in good_parts) or not any(part.size for part in bad_parts):
        return None, None
    good, bad = np.concatenate(good_parts), np.concatenate(bad_parts)
    good.sort()  # in place: 600 pictures of 256 px are 160 MB
    edges = np.unique(good[np.linspace(0, good.size - 1, BINS).astype(np.intp)])
    good_bins = weights @ np.stack([_histogram(part, edges) for part in good_parts])  # (1 + R, bins)
    picture = np.repeat(np.arange(len(known)), [part.size for part in bad_parts])
    order = np.argsort(bad)  # sorted keys are searched six times faster
    cell = picture[order] * (edges.size + 1) + np.searchsorted(edges, bad[order], "right")
    figures = []
    for limit, share in (
        (1.0, np.ones(bad.size)),
        (PRO_LIMIT, np.concatenate([region_weights(mask) for _, _, mask in known])),
    ):
        value = area_to(limit, good, bad[order], share[order])
        bad_bins = np.bincount(cell, share[order], len(known) * (edges.size + 1)).reshape(len(known), -1)
        binned = _binned_areas(limit, good_bins, weights @ bad_bins)
        figures.append(_interval(np.clip(np.append(value, value + binned[1:] - binned[0]), 0.0, 1.0)))
    return figures[0], figures[1]


def region_weights(mask: Mask) -> Values:
    """For each True position of (h, w), in row order, 1 / size of its 8-connected region: they add up to the regions.

    Weighted so, the share of defect positions found is the mean over regions of the share found of each (PRO).
    """
    _, regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    inside: NDArray[np.intp] = np.asarray(regions[mask], np.intp)
    return np.asarray(1.0 / np.bincount(inside, minlength=1)[inside], np.float64)


def _histogram(ordered: NDArray[np.float32], edges: NDArray[np.float32]) -> Values:
    """How many of sorted values lie below the first edge, from each edge up to the next, and from the last edge on."""
    return np.diff(np.searchsorted(ordered, edges, "left"), prepend=0, append=ordered.size).astype(np.float64)


def _binned_areas(limit: float, good: Values, bad: Values) -> Values:
    """`area_to` (R,) for histograms (R, bins), a bin counting as one tie; NaN where nothing is defective."""
    reached = good[:, ::-1].cumsum(1)[:, ::-1] / good.sum(1, keepdims=True)
    above = np.pad(reached[:, 1:], ((0, 0), (0, 1)))
    total = bad.sum(1)
    areas = (bad * ramp_area(above, reached, limit)).sum(1) / np.where(total > 0, total * limit, np.nan)
    return np.asarray(areas)
