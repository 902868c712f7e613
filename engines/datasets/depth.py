"""Organised point clouds (MVTec 3D-AD's xyz files) as pictures of depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import ImageError
from engines.image import Image

Cloud = NDArray[np.float32]  # (H, W, 3) x, y, z in the file's unit; z = 0 where the sensor saw nothing

LEARN_FROM = 40  # clouds: one has half a million points, and all lie on the same table
LEARN_STEP = 4  # every fourth row and column
PERCENTILES = (0.5, 99.5)  # of valid depths: single stray points must not set the scale
MARGIN = 0.25  # of the range, on both sides: room for dents and bumps that good parts don't have


@dataclass(frozen=True, slots=True)
class DepthLimits:
    """Depths that become 0 and 255, in the file's unit; learnt from good parts once, then fixed."""

    low: float
    high: float


def read_xyz(path: Path) -> Cloud:
    """Read an organised point cloud from a TIFF of float32.

    Raises:
        ImageError: the file is missing, or holds no three float coordinates per position.
    """
    data = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
    read, pages = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED) if data.size else (False, ())
    if not read:
        raise ImageError(f"{path} is missing or no TIFF; a depth picture needs the xyz file of MVTec 3D-AD")
    if len(pages) == 1 and pages[0].ndim == 3:
        cloud = pages[0][..., ::-1]  # OpenCV takes the three for colours and turns them round: z, y, x
    else:
        cloud = np.stack(pages)  # writers that know no colours make a page of each row, or of each coordinate
        cloud = np.moveaxis(cloud, 0, -1) if len(pages) == 3 else cloud
    if cloud.ndim != 3 or cloud.shape[2] != 3 or cloud.dtype != np.float32:
        raise ImageError(f"{path} holds {cloud.shape} {cloud.dtype}; expected (H, W, 3) float32 of x, y, z")
    return np.ascontiguousarray(cloud)


def learn_limits(paths: Sequence[Path]) -> DepthLimits:
    """Limits from the clouds of good parts: of at most `LEARN_FROM`, evenly spaced over the list.

    Raises:
        ImageError: no cloud, or none with a valid point.
    """
    chosen = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, LEARN_FROM).astype(int))] if paths else []
    depths = [read_xyz(path)[::LEARN_STEP, ::LEARN_STEP, 2].ravel() for path in chosen]
    valid = np.concatenate([depth[_is_valid(depth)] for depth in depths]) if depths else np.empty(0)
    if not valid.size:
        raise ImageError(f"no valid depth in {len(chosen)} training clouds; check the xyz files")
    low, high = (float(value) for value in np.percentile(valid, PERCENTILES))
    margin = max(MARGIN * (high - low), 1e-6)
    return DepthLimits(low - margin, high + margin)


def depth_picture(cloud: Cloud, limits: DepthLimits) -> Image:
    """Depth as a grey picture (H, W, 3) BGR uint8, nearer darker; each invalid position takes its nearest valid depth.

    Raises:
        ImageError: the cloud has no valid point.
    """
    depth = cloud[..., 2]
    valid = _is_valid(depth)
    if not valid.any():
        raise ImageError("a point cloud without any valid point; check the sensor or leave the part out")
    if not valid.all():
        _, nearest = cv2.distanceTransformWithLabels(
            (~valid).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        depth_of = np.zeros(int(nearest.max()) + 1, np.float32)
        depth_of[nearest[valid]] = depth[valid]
        depth = depth_of[nearest]
    level = np.clip((depth - limits.low) / (limits.high - limits.low), 0, 1) * 255
    return np.repeat(np.round(level).astype(np.uint8)[..., None], 3, axis=2)


def with_brightness(depth: Image, colours: Image) -> Image:
    """Both of a part in one picture (H, W, 3) BGR uint8: green is the brightness of `colours`, blue and red the depth.

    Networks taught on photographs look at edges in every channel, at those in green most: in the first convolution of
    EfficientNet-Lite0, green has 72 % of the weights' energy, red and blue have 28 % together. No other split of three
    channels is as even: depth in one of red and blue would hardly be seen. Green, the largest part of brightness
    anyway, goes to the picture with the finer detail. Hue and saturation are lost.
    """
    brightness = cv2.cvtColor(colours, cv2.COLOR_BGR2GRAY)
    return np.stack([depth[..., 0], np.asarray(brightness, np.uint8), depth[..., 2]], axis=2)


def _is_valid(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(depth) & (depth != 0))
