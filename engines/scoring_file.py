"""Scoring to and from one .npz: the same arrays beside a bundle's model and beside a recipe."""

from __future__ import annotations

import io
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
    if statistics not in ("level", "position") or not scoring.means:
        raise EngineError(f"scoring has statistics {statistics!r} over {len(scoring.means)} levels; calibrate again")
    if not all(np.isfinite(std).all() and (std > 0).all() for std in scoring.stds):
        raise EngineError("scoring has a deviation that is not above zero; calibrate the product again")
    if scoring.weights and not _are_weights(scoring.weights, len(scoring.means)):
        raise EngineError(f"scoring has weights {scoring.weights} for {len(scoring.means)} levels; calibrate again")
    return scoring


def _are_weights(weights: tuple[float, ...], levels: int) -> bool:
    return len(weights) == levels and all(0 <= weight < np.inf for weight in weights) and any(weights)


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
            return {key: archive[key] for key in archive.files}
    except Exception as error:  # numpy and zipfile raise a dozen unrelated types on damaged bytes
        raise EngineError(f"arrays can't be read ({type(error).__name__}: {error}); the file is damaged") from error
