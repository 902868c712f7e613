"""Pictures: read, identify, and bring to model size. The same code in training, calibration and line."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import ImageError

Image = NDArray[np.uint8]  # (H, W, 3) BGR, 0..255

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What the model eats: a region of the frame, stretched to the model's size."""

    height: int
    width: int
    frame_size: tuple[int, int] | None = None  # (width, height) taught; None: pictures of mixed sizes
    region: tuple[int, int, int, int] | None = None  # x, y, width, height in frame pixels; None: whole frame


def read_image(path: Path) -> Image:
    """Read a picture as (H, W, 3) BGR uint8.

    Raises:
        ImageError: the file is missing, unreadable or not a picture.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}; check the path and its permissions") from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise ImageError(f"{path} is not a readable picture ({data.size} bytes); replace or remove it")
    return np.asarray(image, dtype=np.uint8)


def list_images(folder: Path) -> list[Path]:
    """All pictures below `folder`, sorted by path.

    Raises:
        ImageError: the folder does not exist or holds no picture.
    """
    if not folder.is_dir():
        raise ImageError(f"folder {folder} does not exist; give a folder of pictures")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ImageError(f"folder {folder} holds no picture ({', '.join(sorted(SUFFIXES))})")
    return paths


def fingerprint(image: Image) -> str:
    """SHA-256 of shape and pixels: the same picture under another name or file format is the same picture."""
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def frame_size(image: Image) -> tuple[int, int]:
    """(width, height) of a frame in pixels."""
    return int(image.shape[1]), int(image.shape[0])


def prepare(image: Image, spec: InputSpec) -> Image:
    """Cut out the region and resize it to the model: (H, W, 3) BGR uint8 -> (height, width, 3) BGR uint8.

    Raises:
        ImageError: the array is no BGR picture, or the region lies outside it.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ImageError(f"a frame must be (H, W, 3) uint8, got {image.shape} {image.dtype}; check the pixel format")
    if spec.region is not None:
        image = _cut(image, spec.region)
    if image.shape[:2] == (spec.height, spec.width):
        return image
    # Averaging over areas keeps fine texture from aliasing, at seven times the cost; above half size it gains nothing.
    halves = image.shape[0] >= 2 * spec.height or image.shape[1] >= 2 * spec.width
    method = cv2.INTER_AREA if halves else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (spec.width, spec.height), interpolation=method), dtype=np.uint8)


def _cut(image: Image, region: tuple[int, int, int, int]) -> Image:
    x, y, width, height = region
    if x < 0 or y < 0 or x + width > image.shape[1] or y + height > image.shape[0]:
        raise ImageError(f"region {region} lies outside the frame of {frame_size(image)} px; correct the region")
    return image[y : y + height, x : x + width]
