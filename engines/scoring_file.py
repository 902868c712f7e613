"""Scoring to and from one .npz: the same arrays beside a bundle's model and beside a recipe."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from engines.errors import EngineError
from engines.scoring import Baseline, Layout, Scoring

Arrays = dict[str, NDArray[np.generic]]

LARGEST = 1 << 28  # bytes unpacked; a few arrays of a map's size each. A kilobyte of zip can claim terabytes.


def scoring_arrays(scoring: Scoring) -> Arrays:
    """The arrays that `arrays_scoring` turns back into the same scoring."""
    arrays: Arrays = {
        "statistics": np.asarray(scoring.statistics),
        "pixel_limit": np.asarray(scoring.pixel_limit),
        **{f"mean{level}": mean for level, mean in enumerate(scoring.means)},
        **{f"std{level}": std for level, std in enumerate(scoring.stds)},
        **{f"zone:{name}": zone for name, zone in scoring.zones.items()},
    }
    if scoring.ignore is not None:
        arrays["ignore"] = scoring.ignore
    if scoring.layout != Layout():
        arrays["layout"] = np.asarray((*scoring.layout.tile, *scoring.layout.content))
    if scoring.weights:
        arrays["weights"] = np.asarray(scoring.weights, np.float64)
    if scoring.baseline is not None:
        arrays["baseline"] = np.asarray(
            (scoring.baseline.low, scoring.baseline.high, scoring.baseline.maps), np.float64
        )
    return arrays


def arrays_scoring(arrays: Arrays) -> Scoring:
    """Rebuild a scoring.

    Raises:
        EngineError: an array is missing or holds what no scoring can.
    """
    try:
        statistics = str(arrays["statistics"])
        levels = range(sum(key.startswith("mean") for key in arrays))
        scoring = Scoring(
            statistics=cast(Literal["level", "position"], statistics),
            means=tuple(np.asarray(arrays[f"mean{level}"], np.float32) for level in levels),
            stds=tuple(np.asarray(arrays[f"std{level}"], np.float32) for level in levels),
            pixel_limit=float(arrays["pixel_limit"]),
            ignore=np.asarray(arrays["ignore"], np.bool_) if "ignore" in arrays else None,
            zones={key[5:]: np.asarray(zone, np.bool_) for key, zone in arrays.items() if key.startswith("zone:")},
            layout=_layout(arrays["layout"]) if "layout" in arrays else Layout(),
            weights=tuple(float(weight) for weight in np.asarray(arrays.get("weights", ()), np.float64)),
            baseline=_baseline(arrays["baseline"], len(levels)) if "baseline" in arrays else None,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise EngineError(f"scoring arrays are damaged ({error!r}); calibrate the product again") from error
    for is_kept, wrong in _rules(scoring):
        if not is_kept:
            raise EngineError(f"scoring has {wrong}; calibrate the product again")
    return scoring


def _rules(scoring: Scoring) -> Iterator[tuple[bool, str]]:
    """What every scoring keeps to, and what is wrong with one that does not; each may rely on those before it."""
    means, stds, weights = scoring.means, scoring.stds, scoring.weights
    yield (
        scoring.statistics in ("level", "position") and len(means) > 0,
        f"statistics {scoring.statistics!r} over {len(means)} levels",
    )
    yield all(np.isfinite(std).all() and (std > 0).all() for std in stds), "a deviation that is not above zero"
    are_numbers = np.isfinite(scoring.pixel_limit) and all(np.isfinite(mean).all() for mean in means)
    yield bool(are_numbers), "a mean or a pixel limit that is not finite"
    shapes_agree = [std.shape for std in stds] == [mean.shape for mean in means]
    yield shapes_agree, "deviations of another shape than their means"
    masks = [mask for mask in (scoring.ignore, *scoring.zones.values()) if mask is not None]
    grids = {mask.shape for mask in masks} | ({means[0].shape} - {()})  # () says nothing of the grid
    is_one_grid = len(grids) <= 1 and all(mask.ndim == 2 for mask in masks)
    yield is_one_grid, f"masks and statistics of the shapes {sorted(grids)}"
    are_weights = len(weights) == len(means) and all(0 <= weight < np.inf for weight in weights) and any(weights)
    yield are_weights or not weights, f"weights {weights} for {len(means)} levels"


def _layout(array: NDArray[np.generic]) -> Layout:
    down, across, *content = (float(value) for value in np.asarray(array, np.float64))
    x, y, width, height = content
    if not (min(down, across, width, height) > 0 and max(down, across, x + width, y + height) <= 1 + 1e-9):
        raise ValueError(f"layout {array} does not lie in the map")
    return Layout((down, across), (x, y, width, height))


def _baseline(array: NDArray[np.generic], levels: int) -> Baseline:
    low, high, maps = (float(value) for value in np.asarray(array, np.float64))
    if not (-np.inf < low <= high < np.inf and maps in range(1, levels + 1)):
        raise ValueError(f"baseline {array} of {levels} levels is no range")
    return Baseline(low, high, int(maps))


def pack_arrays(arrays: Arrays) -> bytes:
    """Arrays as the bytes of an .npz file."""
    buffer = io.BytesIO()
    # allow_pickle by name: a key of that name among the arrays is refused instead of taken for the option.
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack_arrays(data: bytes) -> Arrays:
    """The arrays of .npz bytes; pickled objects are refused.

    Raises:
        EngineError: the bytes are no .npz file, or one of unlikely size.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            unpacked = sum(info.file_size for info in archive.zip.infolist())
            if unpacked > LARGEST:
                raise ValueError(f"{unpacked} bytes unpacked, more than {LARGEST}")
            arrays = {key: archive[key] for key in archive.files}
        hollow = [key for key, array in arrays.items() if not array.dtype.itemsize]
        if hollow:  # any size in no bytes, until it is converted
            raise ValueError(f"{', '.join(hollow)} without content")
        return arrays
    except Exception as error:  # numpy and zipfile raise a dozen unrelated types on damaged bytes
        raise EngineError(f"arrays can't be read ({type(error).__name__}: {error}); the file is damaged") from error
