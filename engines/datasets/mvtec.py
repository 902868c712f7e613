"""MVTec AD and MVTec 3D-AD, one category at a time.

Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 129, 2021; Bergmann et al., "The MVTec 3D-AD Dataset for
Unsupervised 3D Anomaly Detection and Localization", VISIGRAPP 2022. Both CC BY-NC-SA 4.0.

    MVTec AD:    CATEGORY/train/good/000.png, CATEGORY/test/KIND/000.png, CATEGORY/ground_truth/KIND/000_mask.png
    MVTec 3D-AD: CATEGORY/{train,validation,test}/KIND/{rgb/000.png, xyz/000.tiff, gt/000.png}
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engines.datasets.depth import learn_limits
from engines.datasets.labelled import GOOD, Labelled, Split, folders_in, pictures_in
from engines.errors import ImageError


def find_category(root: Path, category: str, inside: str) -> Path:
    """The folder of a category: `root / category`, or `root` itself if it is one.

    Args:
        inside: the folder that makes a category, such as "train/good".

    Raises:
        ImageError: it is not there, or which one is meant is not said.
    """
    folder = root / category if category else root
    if (folder / inside).is_dir():
        return folder
    found = [path.name for path in folders_in(root) if (path / inside).is_dir()]
    if found:
        raise ImageError(f"no category {category!r} in {root}; give --category, one of {', '.join(found)}")
    raise ImageError(f"no {folder / inside}; expected {root}/CATEGORY/{inside}, or a category's own folder")


def read_mvtec(root: Path, category: str = "") -> list[Labelled]:
    """Pictures of one category of MVTec AD, or of any data in its layout; masks may be missing.

    Raises:
        ImageError: another layout.
    """
    folder = find_category(root, category, "train/good")
    entries = [_picture(folder, path, GOOD, "train") for path in pictures_in(folder / "train" / GOOD)]
    for kind in folders_in(folder / "test"):
        entries += [_picture(folder, path, kind.name, "test") for path in pictures_in(kind)]
    return _complete(entries, folder, "test/KIND/*.png")


def read_mvtec3d(root: Path, category: str = "", mode: str = "rgb") -> list[Labelled]:
    """Pictures of one category of MVTec 3D-AD.

    Args:
        mode: "rgb"; "depth": the xyz files, scaled by limits learnt from the training parts; or "both": that depth and
            the brightness of the rgb picture in one, see `with_brightness`.

    Raises:
        ImageError: another layout; with depth also an xyz file that can't be read.
    """
    folder = find_category(root, category, "train/good/rgb")
    entries = []
    splits: tuple[Split, ...] = ("train", "validation", "test")
    for split in splits:
        for kind in folders_in(folder / split):
            entries += [
                Labelled(
                    path if mode == "rgb" else kind / "xyz" / f"{path.stem}.tiff",
                    kind.name,
                    f"{split}/{kind.name}/{path.stem}",
                    split,
                    mask=None if kind.name == GOOD else _existing(kind / "gt" / f"{path.stem}.png"),
                    colours=path if mode == "both" else None,
                )
                for path in pictures_in(kind / "rgb")
            ]
    entries = _complete(entries, folder, "test/KIND/rgb/*.png")
    if mode == "rgb":
        return entries
    limits = learn_limits([entry.path for entry in entries if entry.split == "train"])
    return [replace(entry, depth=limits) for entry in entries]


def _picture(folder: Path, path: Path, label: str, split: Split) -> Labelled:
    truth = folder / "ground_truth" / label
    mask = None
    if label != GOOD:
        mask = _existing(truth / f"{path.stem}_mask.png", truth / f"{path.stem}.png")
    return Labelled(path, label, path.relative_to(folder).with_suffix("").as_posix(), split, mask=mask)


def _existing(*paths: Path) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _complete(entries: list[Labelled], folder: Path, expected: str) -> list[Labelled]:
    for split in ("train", "test"):
        if not any(entry.split == split for entry in entries):
            raise ImageError(f"no {split} picture in {folder}; expected train/good and {expected} there")
    return entries
