"""A plain folder of pictures: good ones only, or `good/` beside one folder per kind of defect."""

from __future__ import annotations

from pathlib import Path

from engines.datasets.labelled import GOOD, Labelled, Split, folders_in, training_names
from engines.errors import ImageError
from engines.image import list_images


def read_folder(root: Path, split: str = "test") -> list[Labelled]:
    """Pictures of a folder without masks. Pictures in one folder below `good/` or a kind's folder are one part.

    Without a folder `good` every picture is a good one.

    Args:
        split: "test": everything is; "hash": 70 % of the good parts, by hash of their names, are for training.

    Raises:
        ImageError: no such folder, or no picture in it.
    """
    list_images(root)  # says what is missing
    if not (root / GOOD).is_dir() and (root / "train").is_dir():
        raise ImageError(f"{root} has a folder train but none named good; is its layout mvtec's?")
    kinds = folders_in(root) if (root / GOOD).is_dir() else [root]
    entries = []
    for folder in kinds:
        label = folder.name if folder != root else GOOD
        if not any(folder.rglob("*")):
            raise ImageError(f"folder {folder} is empty; put pictures of {label!r} parts into it or remove it")
        entries += [(path, label, _part(path, root, folder)) for path in list_images(folder)]
    train = training_names(part for _, label, part in entries if label == GOOD) if split == "hash" else frozenset()

    def split_of(part: str) -> Split:
        return "train" if part in train else "test"

    return [Labelled(path, label, part, split_of(part)) for path, label, part in entries]


def _part(path: Path, root: Path, folder: Path) -> str:
    relative = path.relative_to(root)
    return (relative.parent if path.parent != folder else relative).as_posix()
