"""One picture of a data set: where it is, what is known of it, and how it and its mask are read."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from engines.datasets.depth import DepthLimits, depth_picture, read_xyz, with_brightness
from engines.errors import ImageError
from engines.image import SUFFIXES, Image, read_image
from engines.scoring import Mask

Split = Literal["train", "validation", "test"]
GOOD = "good"
TRAIN_SHARE = 0.7  # of good parts, where a data set has no split of its own


@dataclasses.dataclass(frozen=True, slots=True)
class Labelled:
    """One picture of a data set.

    Attributes:
        label: "good", or the kind of defect.
        part: pictures with the same name show the same physical part.
        split: validation pictures are good ones that some data sets keep beside the training ones.
        role: of test pictures: for choices ("dev") or for figures to report ("final"); "" where there are no roles.
        mask: picture of the defect; None for a good part (no position is defective) and where it is unknown.
        mask_above: mask values above this are defective.
        depth: None: `path` is a picture; otherwise an xyz file, made a picture within these limits.
        colours: with depth: the part's picture in colours, whose brightness goes with the depth; None: depth alone.
    """

    path: Path
    label: str
    part: str
    split: Split
    role: str = ""
    mask: Path | None = None
    mask_above: int = 0
    depth: DepthLimits | None = None
    colours: Path | None = None

    @property
    def is_good(self) -> bool:
        """Whether the part has no defect."""
        return self.label == GOOD

    @property
    def is_mask_known(self) -> bool:
        """Whether it is known of every position if it is defective."""
        return self.is_good or self.mask is not None


def read_picture(entry: Labelled) -> Image:
    """The picture (H, W, 3) BGR uint8.

    Raises:
        ImageError: a file is missing or not of its kind, or colours and depth are of different sizes.
    """
    if entry.depth is None:
        return read_image(entry.path)
    depth = depth_picture(read_xyz(entry.path), entry.depth)
    if entry.colours is None:
        return depth
    colours = read_image(entry.colours)
    if colours.shape != depth.shape:
        raise ImageError(
            f"{entry.colours} is {colours.shape[:2]}, {entry.path} {depth.shape[:2]}; restore the data set"
        )
    return with_brightness(depth, colours)


def read_mask(entry: Labelled, shape: tuple[int, int]) -> Mask | None:
    """The defective positions (H, W) of a picture of that shape; None where they are unknown.

    Raises:
        ImageError: the mask is missing, no picture, or of another size than the picture.
    """
    if entry.is_good:
        return np.zeros(shape, np.bool_)
    if entry.mask is None:
        return None
    data = np.fromfile(entry.mask, np.uint8) if entry.mask.is_file() else np.empty(0, np.uint8)
    # Unchanged, because conversion to grey scales 16-bit masks, whose values are small numbers, down to nothing.
    mask = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if mask is None:
        raise ImageError(f"mask {entry.mask} of {entry.path} is missing or no picture; restore the data set")
    if mask.shape[:2] != shape:
        raise ImageError(f"mask {entry.mask} is {mask.shape[:2]}, its picture {shape}; restore the data set")
    colours = mask.reshape(*shape, -1)[..., :3]  # without transparency
    return np.asarray((colours > entry.mask_above).any(-1), np.bool_)


def write_pictures(entries: Sequence[Labelled], folder: Path) -> list[Labelled]:
    """Pictures made from xyz files as PNG below `folder`, for what takes paths; others stay where they are.

    Raises:
        ImageError: a picture can't be read or written.
    """
    written = []
    for entry in entries:
        if entry.depth is None:
            written.append(entry)
            continue
        path = folder / f"{entry.part}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(path), read_picture(entry)):
            raise ImageError(f"cannot write {path}; check its folder")
        written.append(dataclasses.replace(entry, path=path, depth=None, colours=None))
    return written


def pictures_in(folder: Path) -> list[Path]:
    """Pictures directly in a folder, sorted; none if there is no folder."""
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)


def folders_in(folder: Path) -> list[Path]:
    """Sub-folders, sorted, hidden ones left out; none if there is no folder."""
    return sorted(path for path in folder.glob("[!.]*") if path.is_dir())


def shuffled(names: Iterable[str]) -> list[str]:
    """Distinct names in the order of their sha256: as good as chance, and the same on every machine."""
    return sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).digest())


def training_names(names: Iterable[str]) -> frozenset[str]:
    """The first `TRAIN_SHARE` of the shuffled names: a fixed split for data sets that have none."""
    order = shuffled(names)
    return frozenset(order[: round(TRAIN_SHARE * len(order))])
