"""Large regions in overlapping tiles: where they lie, cutting a canvas into them, stitching their maps together.

Overlaps are blended by distance from the tile's own edge, not by maximum: next to its edge a tile sees padding instead
of the part, so its say fades out there, where the neighbour sees best. Weights are continuous (no seam) and add up to 1
(good parts' maps keep their mean and deviation; a maximum would lift every overlap into a band).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engines.errors import EngineError, ImageError
from engines.image import Image, InputSpec, Tiling, content_box
from engines.scoring import Layout, Map

Pictures = NDArray[np.uint8]  # (N, H, W, 3) BGR
Tiles = Literal["auto"] | int

STEP = 32  # px; the model's largest stride: tiles begin where positions of every level begin
OVERLAP = 1 / 8  # of the tile's side, at least one step: a small defect is whole in one of two neighbours


def plan_tiling(region: tuple[int, int], side: int, tiles: Tiles) -> Tiling | None:
    """Tiles of `side` x `side` px over a region of (width, height) px; None where one picture is enough.

    Args:
        tiles: `auto` keeps the frame's resolution; a number is that of the tiles along the longer side, and the region
            is shrunk or enlarged to them. The aspect is kept to half a step, unless a side is shorter than a tile: then
            `fit` says what becomes of it.

    Raises:
        ImageError: the side is no multiple of `STEP`, or the number is not at least 1.
    """
    if side % STEP:
        raise ImageError(f"tiles of {side} px: the side must be a multiple of {STEP}")
    if tiles != "auto" and tiles < 1:
        raise ImageError(f"{tiles} tiles: give auto, or at least 1 along the longer side")
    overlap = max(STEP, round(OVERLAP * side / STEP) * STEP)
    scale = 1.0 if tiles == "auto" else (tiles * (side - overlap) + overlap) / max(region)
    width, height = (max(side, round(length * scale / STEP) * STEP) for length in region)
    lefts, tops = _starts(width, side, overlap), _starts(height, side, overlap)
    return None if len(lefts) == len(tops) == 1 else Tiling((width, height), lefts, tops)


def check_tiling(spec: InputSpec) -> None:
    """Refuse a spec whose tiles don't cover the canvas exactly.

    Raises:
        ImageError: a gap, or a tile that reaches beyond the canvas.
    """
    if spec.tiling is None:
        return
    width, height = spec.tiling.canvas
    for starts, side, length in ((spec.tiling.lefts, spec.width, width), (spec.tiling.tops, spec.height, height)):
        ends = [0, *(start + side for start in starts)]
        # strictly ascending, none beyond what the one before covered, the last one flush with the border
        is_covered = all(start <= end < start + side for start, end in zip(starts, ends)) and starts[:1] == (0,)
        if not is_covered or ends[-1] != length:
            raise ImageError(f"tiles of {side} px at {starts} don't cover {length} px; teach the product again")


def cut_tiles(canvas: Image, spec: InputSpec) -> Pictures:
    """The tiles of a canvas, row by row: (H, W, 3) -> (N, height, width, 3)."""
    if spec.tiling is None:
        return canvas[None]
    windows = [(top, left) for top in spec.tiling.tops for left in spec.tiling.lefts]
    return np.stack([canvas[top : top + spec.height, left : left + spec.width] for top, left in windows])


def stitch(maps: Sequence[Sequence[Map]], spec: InputSpec) -> tuple[Map, ...]:
    """Raw maps of the tiles, `maps[tile][level]` of (h, w), as one map of the whole canvas per level.

    Raises:
        EngineError: a level's positions don't begin where tiles do.
    """
    if spec.tiling is None:
        return tuple(maps[0])
    return tuple(_stitch_level(level, spec, spec.tiling) for level in zip(*maps))


def layout(spec: InputSpec) -> Layout:
    """How the inspected region lies in the maps of this spec."""
    width, height = spec.canvas
    x, y, inner_width, inner_height = content_box(spec)
    content = x / width, y / height, inner_width / width, inner_height / height
    return Layout(tile=(spec.height / height, spec.width / width), content=content)


def cost(spec: InputSpec) -> str:
    """What tiling costs, for people."""
    return (
        "1 inference per part"
        if spec.inferences == 1
        else f"{spec.inferences} tiles: {spec.inferences} inferences per part"
    )


def _starts(length: int, side: int, overlap: int) -> tuple[int, ...]:
    count = -(-(length - overlap) // (side - overlap))
    if count < 2:
        return (0,)
    return tuple(index * (length - side) // (count - 1) // STEP * STEP for index in range(count))


def _stitch_level(tiles: Sequence[Map], spec: InputSpec, tiling: Tiling) -> Map:
    rows, columns = tiles[0].shape
    down = _weights(tiling.tops, spec.height, tiling.canvas[1], rows)
    across = _weights(tiling.lefts, spec.width, tiling.canvas[0], columns)
    whole: Map = np.zeros((down.shape[1], across.shape[1]), np.float32)
    windows = [(top, left) for top in range(len(down)) for left in range(len(across))]
    for (top, left), tile in zip(windows, tiles):
        y, x = tiling.tops[top] * rows // spec.height, tiling.lefts[left] * columns // spec.width
        weight = down[top, y : y + rows, None] * across[left, None, x : x + columns]
        whole[y : y + rows, x : x + columns] += weight * tile
    return whole


@lru_cache(maxsize=64)
def _weights(starts: tuple[int, ...], side: int, length: int, positions: int) -> Map:
    """(tiles, positions of the canvas): what each tile has to say there; each column adds up to 1."""
    if any(start * positions % side for start in (*starts, length)):
        raise EngineError(f"a level of {positions} positions over {side} px can't be stitched from tiles at {starts}")
    fade = np.minimum(np.arange(positions) + 0.5, positions - 0.5 - np.arange(positions))
    weights = np.zeros((len(starts), length * positions // side))
    for row, start in zip(weights, starts):
        begin = start * positions // side
        row[begin : begin + positions] = fade
    shares: Map = (weights / weights.sum(0)).astype(np.float32)
    shares.setflags(write=False)  # shared by every caller through the cache
    return shares
