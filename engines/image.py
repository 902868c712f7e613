"""Pictures: read, identify, and bring to model size. The same code in training, calibration and line."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from engines.errors import ImageError, PartNotFound

Image = NDArray[np.uint8]  # (H, W, 3) BGR, 0..255

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})


Box = tuple[int, int, int, int]  # x, y, width, height in pixels
Fit = Literal["stretch", "letterbox"]


class Tiling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The region on one large canvas, looked at in overlapping tiles of the model's size.

    Attributes:
        canvas: (width, height) that the region is brought to, px.
        lefts, tops: where the tiles begin, canvas px; every left with every top is one tile.
    """

    canvas: tuple[int, int]
    lefts: tuple[int, ...]
    tops: tuple[int, ...]

    @property
    def count(self) -> int:
        """Tiles, and so inferences, per part."""
        return len(self.lefts) * len(self.tops)


class Locate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Find the part first, and bring it to the taught pose; the template itself is a file of the bundle.

    Attributes:
        box: of the template, in the taught picture.
        min_score: likeness, 0..1, below which there is no part in the frame.
    """

    box: Box
    min_score: float


class InputSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model eats, from frame to tiles: locate, region, fit, tiling, in this order.

    Attributes:
        height, width: of the model's input, px: of one tile.
        frame_size: (width, height) taught; None: pictures of mixed sizes.
        region: in frame pixels; with `locate` in pixels of the taught picture. None: whole frame.
        fit: `stretch` fills the canvas; `letterbox` keeps the aspect and pads on both sides.
        fill: of what lies beside a letterboxed region or outside the frame: the edge, repeated.
        tiling: None: one picture of the model's size.
    """

    height: int
    width: int
    frame_size: tuple[int, int] | None = None
    region: Box | None = None
    fit: Fit = "stretch"
    fill: Literal["edge"] = "edge"
    tiling: Tiling | None = None
    locate: Locate | None = None

    @property
    def canvas(self) -> tuple[int, int]:
        """(width, height) of what `prepare` gives."""
        return (self.width, self.height) if self.tiling is None else self.tiling.canvas

    @property
    def inferences(self) -> int:
        """Per part."""
        return 1 if self.tiling is None else self.tiling.count


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a part was found.

    Attributes:
        to_frame: (2, 3) float64 maps taught pixels to frame pixels, a similarity of scale 1.
        angle_deg: clockwise as seen in the picture, -180..180, against the taught pose.
        score: likeness of the edges, 0..1.
    """

    to_frame: NDArray[np.float64]
    angle_deg: float
    score: float

    def rectify(self, frame: NDArray[np.uint8], region: Box, border: int) -> NDArray[np.uint8]:
        """The region (x, y, width, height in taught pixels) of the part in its taught pose, (height, width, ...).

        Args:
            border: OpenCV's rule for pixels from outside the frame.
        """
        shifted = self.to_frame @ np.array([[1, 0, region[0]], [0, 1, region[1]], [0, 0, 1]], np.float64)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(frame, shifted, region[2:], flags=flags, borderMode=border), np.uint8)


class Finder(Protocol):
    """What finds the part before the region is cut."""

    def find(self, frame: Image) -> Pose:
        """Where the part lies in a frame.

        Raises:
            PartNotFound: it shows none.
        """


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
        raise ImageError(
            f"folder {folder} holds no picture ({', '.join(sorted(SUFFIXES))}); put pictures into it or give another "
            "folder"
        )
    return paths


def fingerprint(image: Image) -> str:
    """SHA-256 of shape and pixels: the same picture under another name or file format is the same picture."""
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def frame_size(image: NDArray[np.uint8]) -> tuple[int, int]:
    """(width, height) of a frame in pixels."""
    return int(image.shape[1]), int(image.shape[0])


def prepare(image: Image, spec: InputSpec, finder: Finder | None = None) -> Image:
    """A frame on the canvas, before it is cut into tiles: (H, W, 3) BGR uint8 -> (height, width, 3) BGR uint8.

    Args:
        finder: needed where the spec says `locate`.

    Raises:
        ImageError: the array is no BGR picture, the region lies outside it, or a letterbox was taught for another size.
        PartNotFound: with `locate`, the part is not in the frame.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ImageError(f"a frame must be (H, W, 3) uint8, got {image.shape} {image.dtype}; check the pixel format")
    pose = finder.find(image) if finder is not None and spec.locate is not None else None
    if pose is not None:
        _check_seen(pose, spec, image.shape)
    # A constant would put a step along the region's border that changes with the light and outshines a fault there.
    return _place(image, spec, pose, cv2.BORDER_REPLICATE)


def prepare_mask(mask: NDArray[np.bool_], spec: InputSpec, pose: Pose | None = None) -> NDArray[np.uint8]:
    """A mask (H, W) by the way of its picture: how much of each canvas pixel is True, (height, width) 0..255.

    Beside the region and outside the frame nothing is True.

    Args:
        pose: found in the picture, needed where the spec says `locate`.

    Raises:
        ImageError: see `prepare`.
    """
    return _place(mask.astype(np.uint8) * np.uint8(255), spec, pose, cv2.BORDER_CONSTANT)


def region_size(spec: InputSpec) -> tuple[int, int] | None:
    """(width, height) in frame pixels of what is inspected; None: it varies from picture to picture."""
    return spec.region[2:] if spec.region is not None else spec.frame_size


def content_box(spec: InputSpec) -> Box:
    """Where the region lies on the canvas; all of it unless it is letterboxed.

    Raises:
        ImageError: a letterbox without a known size of the region.
    """
    width, height = spec.canvas
    if spec.fit == "stretch":
        return 0, 0, width, height
    size = region_size(spec)
    if size is None:
        raise ImageError("a letterbox needs frames of one size; give a region, or stretch")
    scale = min(width / size[0], height / size[1])
    inner = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    return (width - inner[0]) // 2, (height - inner[1]) // 2, *inner


def cut(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """The box of a picture (H, W, ...), as a view.

    Raises:
        ImageError: the box is empty or lies outside the picture.
    """
    x, y, width, height = box
    if min(x, y) < 0 or min(width, height) < 1 or x + width > image.shape[1] or y + height > image.shape[0]:
        raise ImageError(f"region {box} lies outside the frame of {frame_size(image)} px; correct the region")
    return image[y : y + height, x : x + width]


def _place(image: NDArray[np.uint8], spec: InputSpec, pose: Pose | None, border: int) -> NDArray[np.uint8]:
    """From frame to canvas: locate, region, fit."""
    if spec.locate is not None:
        if pose is None or spec.region is None:
            raise ImageError("the part must be located, but template or region is missing; teach the product again")
        image = pose.rectify(image, spec.region, border)
    elif spec.region is not None:
        image = cut(image, spec.region)
    if spec.fit == "stretch":
        return _resize(image, spec.canvas)
    if frame_size(image) != region_size(spec):
        raise ImageError(f"a letterbox taught for {region_size(spec)} px can't take {frame_size(image)}; give a region")
    x, y, width, height = content_box(spec)
    right, bottom = spec.canvas[0] - x - width, spec.canvas[1] - y - height
    return np.asarray(cv2.copyMakeBorder(_resize(image, (width, height)), y, bottom, x, right, border), np.uint8)


def _check_seen(pose: Pose, spec: InputSpec, shape: tuple[int, ...]) -> None:
    """Raises: PartNotFound: a region other than the located box reaches out of the frame; the finder checks its own.

    Beyond the frame the edge is repeated, and a repeated edge looks good: nobody has seen what is there.
    """
    if spec.region is None or spec.locate is None or spec.region == spec.locate.box:
        return
    x, y, width, height = spec.region
    across, down = np.meshgrid(x + width * SEEN_GRID, y + height * SEEN_GRID)
    places = pose.to_frame @ np.stack([across.ravel(), down.ravel(), np.ones(across.size)])
    outside = (places < -1).any(0) | (places[0] > shape[1]) | (places[1] > shape[0])
    if outside.mean() > UNSEEN:
        raise PartNotFound(f"{outside.mean():.0%} of the region lies outside the frame; trigger so that it is whole")


SEEN_GRID = (np.arange(24) + 0.5) / 24
UNSEEN = 0.02  # share of the region that may lie outside the frame


def _resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if frame_size(image) == size:
        return image
    # Averaging over areas keeps fine texture from aliasing, at seven times the cost; above half size it gains nothing.
    halves = image.shape[0] >= 2 * size[1] or image.shape[1] >= 2 * size[0]
    method = cv2.INTER_AREA if halves else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=method), dtype=np.uint8)
