"""Which pictures a row is made of: data set, split and role asked for, and the pictures as the model gets them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.samples import Sample, Shares, split_roles
from engines.datasets.labelled import Labelled, read_mask, read_picture, write_pictures
from engines.datasets.table import READERS, read_dataset
from engines.defects import paint_defect
from engines.errors import EvaluationError
from engines.image import InputSpec, prepare
from engines.scoring import Mask
from inspector.cameras.synthetic import draw_part
from inspector.evaluate import mask_on_grid

Pictures = NDArray[np.uint8]  # (N, H, W, 3) BGR

# No threshold is set here, so that no part is kept for calibration. Peers get fit and select together.
SHARES = Shares(fit=0.9, select=0.1, calibrate=0.0)
PAINTED = "painted"  # the data set that the program draws itself; for choices only
PAINTED_SEED, PAINTED_TRAIN, PAINTED_TEST = 3, 200, 80


@dataclass(frozen=True, slots=True)
class Case:
    """A test: what is trained on and what is judged.

    Attributes:
        role: "dev", "final", or "" for every test picture.
        limit: at most so many training and test pictures, evenly taken; 0: all.
    """

    dataset: str
    category: str = ""
    split: str = ""
    role: str = ""
    mode: str = ""
    limit: int = 0

    @property
    def title(self) -> str:
        """Such as `magnetic_tile, split tile, role final`."""
        named = [f"split {self.split}"] * bool(self.split) + [f"role {self.role}"] * bool(self.role)
        words = [self.dataset, self.category, self.mode if self.mode != "rgb" else "", *named]
        return ", ".join([*filter(None, words), *[f"only {self.limit} pictures"] * bool(self.limit)])


@dataclass(frozen=True, slots=True)
class Material:
    """The pictures of a case.

    Attributes:
        names: of the test pictures, below the data set's folder.
        is_published: the published split of Magnetic Tile, which knows no roles: final pictures are among its test.
    """

    fit: list[Labelled]
    select: list[Labelled]
    test: list[Labelled]
    names: list[str]
    is_published: bool = False

    @property
    def looks_at_final(self) -> bool:
        """Whether a picture that is kept for figures to report is judged."""
        return self.is_published or any(entry.role == "final" for entry in self.test)


def complete(case: Case) -> Case:
    """The case with its reader's default split and mode written out, so that equal cases are equal."""
    reader = READERS.get(case.dataset)
    if reader is None:
        return case
    split = case.split or (reader.splits[0] if reader.splits else "")
    return Case(case.dataset, case.category, split, case.role, case.mode or reader.modes[0], case.limit)


def read_case(case: Case, data: Path | None, folder: Path) -> Material:
    """Find the pictures of a case; what has no file yet (drawn parts, depth) is written below `folder`.

    Raises:
        ImageError: see `read_dataset`.
        EvaluationError: there is nothing to train on, or nothing to judge.
    """
    if case.dataset == PAINTED:
        entries, root = draw_painted(folder / PAINTED), folder / PAINTED
    else:
        entries = read_dataset(case.dataset, data, case.category, case.split, case.role, case.mode)
        root = data or entries[0].path.parent
    train = evenly([entry for entry in entries if entry.split == "train" and entry.is_good], case.limit)
    test = evenly([entry for entry in entries if entry.split == "test"], case.limit)
    if len(train) < 2 or not test:
        raise EvaluationError(f"{case.title}: {len(train)} training and {len(test)} test pictures; give the whole data")
    names = [entry.path.relative_to(root).as_posix() for entry in test]
    roles = split_roles([Sample(entry.path, entry.part) for entry in train], SHARES)
    chosen = {sample.path for sample in roles["select"]}
    parts = ([e for e in train if e.path not in chosen], [e for e in train if e.path in chosen], test)
    is_published = case.dataset == "magnetic_tile" and case.split == "image"
    return Material(*(write_pictures(part, folder) for part in parts), names, is_published)


def evenly(entries: Sequence[Labelled], limit: int) -> list[Labelled]:
    """At most `limit` entries, spread over the list; 0: all of them."""
    if not 0 < limit < len(entries):
        return list(entries)
    return [entries[index] for index in np.linspace(0, len(entries) - 1, limit).round().astype(int)]


def prepared(entries: Sequence[Labelled], size: int) -> Pictures:
    """Pictures as the model gets them."""
    spec = InputSpec(size, size)
    return np.stack([prepare(read_picture(entry), spec) for entry in entries])


def masks_on_grid(entries: Sequence[Labelled], size: int) -> list[Mask | None]:
    """Masks on the evaluation's grid, None where the defect is not marked."""
    spec = InputSpec(size, size)
    return [mask_on_grid(read_mask(entry, read_picture(entry).shape[:2]), spec) for entry in entries]


def fingerprint(pictures: Pictures) -> str:
    """sha256 of shape and pixels."""
    return hashlib.sha256(repr(pictures.shape).encode() + np.ascontiguousarray(pictures).tobytes()).hexdigest()


def masks_fingerprint(masks: Sequence[Mask | None]) -> str:
    """sha256 of where the defects are marked."""
    digest = hashlib.sha256()
    for mask in masks:
        digest.update(b"none" if mask is None else np.packbits(mask).tobytes())
    return digest.hexdigest()


def draw_painted(folder: Path) -> list[Labelled]:
    """Freely turned parts that the program draws; every other test part has a defect painted on, its mask known."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(PAINTED_SEED)
    entries = []
    for number in range(PAINTED_TRAIN + PAINTED_TEST):
        clean = draw_part(PAINTED_SEED, number, defective=False, size=256, free_pose=True)
        is_test, is_bad = number >= PAINTED_TRAIN, number >= PAINTED_TRAIN and number % 2 == 1
        other = draw_part(PAINTED_SEED, number + 1, defective=False, size=256, free_pose=True)
        picture, marked = paint_defect(clean, other, rng) if is_bad else (clean, None)
        path, mask = folder / f"{number:04d}.png", folder / f"{number:04d}-mask.png" if is_bad else None
        cv2.imwrite(str(path), picture)
        if mask and marked is not None:
            cv2.imwrite(str(mask), marked.astype(np.uint8) * 255)
        split, label = "test" if is_test else "train", "painted" if is_bad else "good"
        entries.append(Labelled(path, label, path.stem, split, "dev" if is_test else "", mask))
    return entries
