"""Masks that people draw: a picture of the frame's size, white where it counts -> positions of the fused map."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from engines.bundle import Manifest
from engines.errors import ImageError
from engines.image import InputSpec, Pose, frame_size, prepare_mask, read_image
from engines.scoring import Mask, Scoring

ZONE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
WHITE = 127  # grey values above this are drawn
HALF = 128  # of 255: a position counts as drawn where the mask covers half of it


def with_masks(scoring: Scoring, manifest: Manifest, ignore: Path | None, zones: Mapping[str, Path]) -> Scoring:
    """A scoring with more zones, and with more positions that are not to count.

    Args:
        ignore: drawn in pixels of a frame, or where parts are located of the picture they are located by; None: none.
        zones: such pictures by name.

    Raises:
        ImageError: a picture can't be read, has another size, shows nothing, or a zone's name can't be one.
    """
    _check_names(zones)
    spec, grid = manifest.input, (int(manifest.levels[0][0]), int(manifest.levels[0][1]))
    drawn = scoring.zones | {name: read_drawn(path, spec, grid) for name, path in zones.items()}
    hidden = scoring.ignore
    if ignore is not None:
        more = read_drawn(ignore, spec, grid)
        hidden = more if hidden is None else hidden | more
    counted = np.ones(grid, np.bool_) if hidden is None else ~hidden
    for name, zone in {"the whole region": np.ones(grid, np.bool_), **drawn}.items():
        if not (zone & counted).any():
            raise ImageError(f"the mask of what to ignore leaves nothing of {name} to look at; draw a smaller one")
    return replace(scoring, ignore=hidden, zones=drawn)


def read_drawn(path: Path, spec: InputSpec, grid: tuple[int, int]) -> Mask:
    """The drawn positions (h, w) of the fused map.

    Raises:
        ImageError: no picture, of another size than the frames, or nothing is drawn in the inspected region.
    """
    image = read_image(path)
    if spec.locate is None and spec.frame_size is not None and frame_size(image) != spec.frame_size:
        raise ImageError(f"mask {path} is {frame_size(image)} px, frames are {spec.frame_size}; draw it over a frame")
    pose = None if spec.locate is None else Pose(np.eye(2, 3), 0.0, 1.0)
    covered = prepare_mask(np.asarray(image.max(2) > WHITE, np.bool_), spec, pose)
    drawn = np.asarray(cv2.resize(covered, grid[::-1], interpolation=cv2.INTER_AREA) >= HALF, np.bool_)
    if not drawn.any():
        raise ImageError(f"mask {path} covers no position of the inspected region; draw a larger area, in white")
    return drawn


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if not ZONE_NAME.fullmatch(name):
            raise ImageError(f"zone name {name!r}: use 1 to 32 of a-z, 0-9, '-' and '_', not starting with '-' or '_'")
