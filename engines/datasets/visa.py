"""VisA as released, one object at a time, by its published one-class split.

Zou et al., "SPot-the-Difference Self-Supervised Pre-training for Anomaly Detection and Segmentation", ECCV 2022.
CC BY 4.0.

    split_csv/1cls.csv          object,split,label,image,mask; paths relative to the root, mask values > 0 are defects
    OBJECT/image_anno.csv       image,label,mask; the kinds of defect, several with commas between
    OBJECT/Data/{Images,Masks}
"""

from __future__ import annotations

import csv
from pathlib import Path

from engines.datasets.labelled import GOOD, Labelled
from engines.errors import ImageError

SPLITS = Path("split_csv") / "1cls.csv"


def read_visa(root: Path, category: str = "") -> list[Labelled]:
    """Pictures of one object; the label of a defect is the first kind that is listed, or "anomaly".

    Raises:
        ImageError: another layout, or no such object.
    """
    if not category and (root.parent / SPLITS).is_file():
        root, category = root.parent, root.name
    rows = _rows(root / SPLITS)
    names = sorted({row["object"] for row in rows})
    if category not in names:
        raise ImageError(f"no object {category!r} in {root / SPLITS}; give --category, one of {', '.join(names)}")
    kinds_file = root / category / "image_anno.csv"
    kinds = (
        {row["image"]: row["label"].split(",")[0].strip() for row in _rows(kinds_file)} if kinds_file.exists() else {}
    )
    return [
        Labelled(
            root / row["image"],
            GOOD if row["label"] == "normal" else kinds.get(row["image"], "anomaly"),
            Path(row["image"]).with_suffix("").as_posix(),
            "train" if row["split"] == "train" else "test",
            mask=root / row["mask"] if row["label"] != "normal" and row["mask"] else None,
        )
        for row in rows
        if row["object"] == category
    ]


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise ImageError(f"no {path}; expected VisA as released: split_csv/1cls.csv beside the objects' folders")
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
