"""Magnetic Tile pictures by `index.csv`; each physical tile was photographed about six times.

Huang, Qiu, Guo, "Surface defect saliency of magnetic tile", The Visual Computer 36, 2020.
"""

from __future__ import annotations

import csv
from pathlib import Path

from engines.datasets.labelled import GOOD, Labelled
from engines.errors import ImageError

MASK_ABOVE = 127


def read_magnetic_tile(root: Path, split: str = "tile") -> list[Labelled]:
    """All pictures. Four `uneven` masks are empty (`mask_valid` 0): unknown.

    Args:
        split: "tile": no tile on both sides; its test tiles have roles. "image": DifferNet's, which leaks, without
            roles: nearly all of its good test tiles are training tiles of the other split.

    Raises:
        ImageError: there is no index below `root`.
    """
    index = root / "index.csv"
    if not index.is_file():
        raise ImageError(f"no {index}; give the folder of the Magnetic Tile data with its index")
    with open(index, newline="", encoding="utf-8") as file:
        return [
            Labelled(
                path=root / row["path"],
                label=GOOD if row["label"] == "free" else row["label"],
                part=row["tile"],
                split="train" if row[f"split_{split}"] == "train" else "test",
                role=row["role"] if split == "tile" else "",
                mask=root / row["mask"] if row["mask"] and row["mask_valid"] == "1" else None,
                mask_above=MASK_ABOVE,
            )
            for row in csv.DictReader(file)
        ]
