"""Raw maps -> one fused map -> one score. Pure numpy: the same function in evaluation, calibration and line.

Each level is standardised by what the `select` parts showed (per level, or per position where that helps), brought to
the fused grid with a Gaussian, and added up. Bilinear enlargement and Gaussian are both linear and separable, so one
small matrix per level does both: fused = sum_l A_l z_l A_l^T.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engines.errors import EngineError

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]
Statistics = Literal["level", "position"]

SIGMA_FRACTION = 1 / 64  # of the map's side; 4 px at 256, the value of RD4AD and STFPM
AREA, ZONE = "area", "zone:"  # names of the rules beside that of the image score; a zone's has its name behind it
TOP_FRACTION = 1 / 200  # of the map; on dev data 1/400 wins on tiles and 1/100 on cells, this is within 0.005 of both
PIXEL_QUANTILE = 0.999  # of good positions; above it a position counts toward the area


@dataclass(frozen=True, slots=True)
class Layout:
    """How the inspected region lies in the map.

    Attributes:
        tile: share of the map's height and width that one picture of the model covers; (1, 1) without tiling.
        content: x, y, width and height of the region as shares of the map; the rest is padding.
    """

    tile: tuple[float, float] = (1.0, 1.0)
    content: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Baseline:
    """How far a whole picture may stand above or below the rest and still be as good parts are.

    The teacher and the students disagree a little more all over a part whose surface or exposure is new to them. The
    median of a picture's summed discrepancies is taken off, but no more than it ever was on `select` parts: what is
    wrong all over is still seen.

    Attributes:
        low, high: smallest and largest median of the `select` parts, low <= high.
        maps: how many maps, from the first, are discrepancies.
    """

    low: float
    high: float
    maps: int


@dataclass(frozen=True, slots=True)
class Scoring:
    """How raw maps become a score; part of the recipe.

    Attributes:
        statistics: of the maps learnt from good parts alone; the segmentation head's are always by level.
        means, stds: per level, float32 of shape () (`level`) or (h, w) (`position`); stds > 0.
        pixel_limit: fused value above which a position counts toward the area.
        ignore: (h, w) of the fused grid, True where the map does not count; None: everything counts.
        zones: by name, (h, w) of the fused grid, True inside; each gets a score of its own.
        weights: per level, >= 0: how much its standardised map counts in the sum; empty: all alike.
        baseline: what is taken off the discrepancies; None: nothing.
        layout: makes Gaussian and top share those of one tile, and positions those of the region.
    """

    statistics: Statistics
    means: tuple[Map, ...]
    stds: tuple[Map, ...]
    pixel_limit: float
    ignore: Mask | None = None
    zones: dict[str, Mask] = field(default_factory=dict)
    layout: Layout = Layout()
    weights: tuple[float, ...] = ()
    baseline: Baseline | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """What one picture's maps say. Positions and areas are fractions of the inspected region.

    Attributes:
        value: the image score; not finite when a map was not.
        peak: (x, y) of the largest fused value, 0..1.
        area: share of positions above the pixel limit, 0..1.
        zones: score by zone name.
    """

    value: float
    peak: tuple[float, float]
    area: float
    zones: dict[str, float]


def rule_values(area: float, zones: Mapping[str, float]) -> dict[str, float]:
    """What may have a limit beside the image score, by rule: `area` and `zone:NAME`."""
    return {AREA: area, **{f"{ZONE}{name}": value for name, value in zones.items()}}


def fuse(maps: Sequence[Map], scoring: Scoring) -> Map:
    """Standardise, enlarge, smooth, add up, take off the baseline: per level (h_l, w_l) -> (h, w) of the finest.

    Raises:
        EngineError: the maps' number or shapes are not those the scoring was made for.
    """
    if len(maps) != len(scoring.means):
        raise EngineError(f"{len(maps)} maps but statistics of {len(scoring.means)} levels; recipe of another bundle?")
    baseline = scoring.baseline
    if baseline is None:
        return _sum(maps, scoring, slice(None))
    fused = _sum(maps, scoring, slice(baseline.maps))
    fused -= np.float32(np.clip(_median(fused, scoring.ignore), baseline.low, baseline.high))
    return fused + _sum(maps, scoring, slice(baseline.maps, None)) if baseline.maps < len(maps) else fused


def _sum(maps: Sequence[Map], scoring: Scoring, chosen: slice) -> Map:
    """The chosen maps, standardised, smoothed, weighed and added on the grid of the finest (h, w)."""
    height, width = maps[0].shape
    down, across = scoring.layout.tile
    total: Map = np.zeros((height, width), np.float32)
    weights = scoring.weights or (1.0,) * len(maps)
    for raw, mean, std, weight in list(zip(maps, scoring.means, scoring.stds, weights))[chosen]:
        if mean.ndim and mean.shape != raw.shape:
            raise EngineError(f"map {raw.shape} but statistics {mean.shape}; recipe of another bundle?")
        if weight == 0:
            continue
        rows, columns = _smoother(raw.shape[0], height, down), _smoother(raw.shape[1], width, across)
        total += rows @ ((raw - mean) * (np.float32(weight) / std)) @ columns.T
    return total


def _median(fused: Map, ignore: Mask | None) -> float:
    return float(np.median(fused if ignore is None else fused[~ignore]))


def score(maps: Sequence[Map], scoring: Scoring) -> Score:
    """The score of one picture from its raw maps, per level (h_l, w_l)."""
    return score_fused(fuse(maps, scoring), scoring)


def score_fused(fused: Map, scoring: Scoring) -> Score:
    """The score of one fused map (h, w)."""
    counted = fused if scoring.ignore is None else np.where(scoring.ignore, -np.inf, fused)
    row, column = np.unravel_index(int(np.argmax(counted)), counted.shape)
    height, width = counted.shape
    x, y, inner_width, inner_height = scoring.layout.content
    share = scoring.layout.tile[0] * scoring.layout.tile[1]
    peak = ((column + 0.5) / width - x) / inner_width, ((row + 0.5) / height - y) / inner_height
    above = float(np.mean(counted > scoring.pixel_limit)) / (inner_width * inner_height)
    return Score(
        value=top_mean(counted, share),
        peak=(min(max(float(peak[0]), 0.0), 1.0), min(max(float(peak[1]), 0.0), 1.0)),
        area=min(above, 1.0),
        zones={name: top_mean(np.where(zone, counted, -np.inf), share) for name, zone in scoring.zones.items()},
    )


def top_mean(fused: Map, share: float = 1.0) -> float:
    """Mean of the largest `TOP_FRACTION` of the positions of one tile, which is the `share` of the map.

    NaN if any position is NaN, so that it can't pass as good.
    """
    flat = fused.ravel()
    if np.isnan(flat).any():
        return float("nan")
    flat = flat[flat > -np.inf]
    count = max(1, round(fused.size * share * TOP_FRACTION))
    if flat.size <= count:
        return float(flat.mean()) if flat.size else float("nan")
    return float(np.partition(flat, flat.size - count)[-count:].mean())


def learn_scoring(
    maps: Sequence[Sequence[Map]],
    statistics: Statistics,
    layout: Layout = Layout(),
    weights: tuple[float, ...] = (),
    good_maps: int | None = None,
) -> Scoring:
    """Statistics of good pictures' raw maps: `maps[picture][level]` of (h, w), at least one picture.

    Args:
        weights: see `Scoring`.
        good_maps: how many maps, from the first, were learnt from good parts alone; None: all. One beyond them comes
            from the segmentation head and is standardised by level: it is zero nearly everywhere, and where a few good
            parts happened to be zero the deviation of a position says nothing.
    """
    levels = [np.stack(level).astype(np.float32) for level in zip(*maps)]
    known = len(levels) if good_maps is None else good_maps
    moments = [
        _position_moments(level, layout)
        if statistics == "position" and index < known
        else _level_moments(level, layout)
        for index, level in enumerate(levels)
    ]
    ignore = padding(layout, maps[0][0].shape)
    means, stds = tuple(m for m, _ in moments), tuple(s for _, s in moments)
    scoring = Scoring(statistics, means, stds, float("inf"), ignore, layout=layout, weights=weights)
    medians = [_median(_sum(picture, scoring, slice(known)), ignore) for picture in maps]
    scoring = replace(scoring, baseline=Baseline(min(medians), max(medians), known))
    fused = np.stack([fuse(picture, scoring) for picture in maps])
    counted = fused if ignore is None else fused[:, ~ignore]
    return replace(scoring, pixel_limit=float(np.quantile(counted, PIXEL_QUANTILE)))


def padding(layout: Layout, shape: tuple[int, ...]) -> Mask | None:
    """True where the centre of a position of a (h, w) map lies beside the region; None: nowhere."""
    x, y, width, height = layout.content
    down, across = ((np.arange(size) + 0.5) / size for size in shape)
    beside = (down < y) | (down > y + height), (across < x) | (across > x + width)
    mask = beside[0][:, None] | beside[1][None, :]
    return mask if mask.any() else None


def _level_moments(level: Map, layout: Layout) -> tuple[Map, Map]:
    beside = padding(layout, level.shape[1:])
    counted = level if beside is None else level[:, ~beside]
    return np.asarray(counted.mean(), np.float32), np.asarray(max(float(counted.std()), 1e-6), np.float32)


def _position_moments(level: Map, layout: Layout) -> tuple[Map, Map]:
    """Mean and deviation at each position, smoothed over neighbours and pulled toward the level's own.

    With few pictures a single position's deviation is mostly chance; `PRIOR_PICTURES` of the level's variance keep it
    from being near zero anywhere.
    """
    count, height, width = level.shape
    rows, columns = _smoother(height, height, layout.tile[0]), _smoother(width, width, layout.tile[1])
    mean: Map = rows @ level.mean(0) @ columns.T
    variance = rows @ ((level - mean) ** 2).mean(0) @ columns.T
    beside = padding(layout, level.shape[1:])
    squares = (level - mean) ** 2
    pooled = float((squares if beside is None else squares[:, ~beside]).mean())
    shrunk = (count * variance + PRIOR_PICTURES * pooled) / (count + PRIOR_PICTURES)
    return mean, np.sqrt(np.maximum(shrunk, 1e-12)).astype(np.float32)


PRIOR_PICTURES = 8


@lru_cache(maxsize=64)
def _smoother(size: int, target: int, tile: float = 1.0) -> Map:
    """(target, size) matrix: bilinear enlargement (half-pixel centres), then a Gaussian whose rows sum to 1.

    The Gaussian is that of one tile, which covers the share `tile` of the target.
    """
    centres = np.clip((np.arange(target) + 0.5) * size / target - 0.5, 0, size - 1)
    enlarge = np.maximum(0.0, 1.0 - np.abs(centres[:, None] - np.arange(size)[None, :]))
    distance = np.arange(target)[:, None] - np.arange(target)[None, :]
    gauss = np.exp(-0.5 * (distance / (SIGMA_FRACTION * target * tile)) ** 2)
    gauss /= gauss.sum(1, keepdims=True)
    matrix = np.asarray(gauss @ enlarge, np.float32)
    matrix.setflags(write=False)  # shared by every caller through the cache
    return matrix
