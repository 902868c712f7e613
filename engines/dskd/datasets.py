"""Readers of public data sets: where their pictures are and what is known of each. No picture is opened here."""

from __future__ import annotations

import csv
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from engines.errors import ImageError


@dataclass(frozen=True, slots=True)
class Labelled:
    """One picture of a data set.

    Attributes:
        label: "good", or the kind of defect.
        part: pictures with the same name show the same physical part.
        split: "train" or "test".
        role: for choices ("dev") or for figures to report ("final"); "" in training data.
    """

    path: Path
    label: str
    part: str
    split: str
    role: str = ""

    @property
    def is_good(self) -> bool:
        """Whether the part has no defect."""
        return self.label == "good"


def read_elpv() -> list[Labelled]:
    """Monocrystalline solar cells of the PyPI package `elpv-dataset`: functional or surely defective ones.

    Buerhop-Lutz et al., "A Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence
    Imagery", EU PVSEC 2018. CC BY-NC-SA 4.0.

    Raises:
        ImageError: the package is not installed.
    """
    found = importlib.util.find_spec("elpv_dataset")
    if found is None or found.origin is None:
        raise ImageError("the pictures of solar cells are missing; pip install 'line-inspector[demo]'")
    root = Path(found.origin).parent / "data"
    rows = [line.split() for line in (root / "labels.csv").read_text().splitlines() if line.strip()]
    labels = {0.0: "good", 1.0: "defective"}
    return [
        Labelled(root / name, labels[float(probability)], Path(name).stem, "")
        for name, probability, kind in rows
        if kind == "mono" and float(probability) in labels
    ]


def read_magnetic_tile(root: Path, split: str = "tile") -> list[Labelled]:
    """Magnetic Tile pictures by `index.csv`; each physical tile was photographed about six times.

    Huang, Qiu, Guo, "Surface defect saliency of magnetic tile", The Visual Computer 36, 2020.

    Args:
        split: "tile" (no tile on both sides) or "image" (DifferNet's, which leaks).

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
                label="good" if row["label"] == "free" else row["label"],
                part=row["tile"],
                split=row[f"split_{split}"],
                role=row["role"],
            )
            for row in csv.DictReader(file)
        ]
