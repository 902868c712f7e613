"""Monocrystalline solar cells of the PyPI package `elpv-dataset`: functional or surely defective ones, without masks.

Buerhop-Lutz et al., "A Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence Imagery",
EU PVSEC 2018. CC BY-NC-SA 4.0.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from engines.datasets.labelled import GOOD, Labelled, shuffled, training_names
from engines.errors import ImageError

LABELS = {0.0: GOOD, 1.0: "defective"}


def read_elpv(root: Path | None = None) -> list[Labelled]:
    """Every cell is a part of its own; the split and the roles are ours, fixed by the cells' names.

    Good cells, by hash of their names: 70 % train; of the rest every other one is dev, the others final. Defective
    cells, sorted by name: those with even index dev, with odd index final.

    Args:
        root: folder with labels.csv; None: that of the package.

    Raises:
        ImageError: the package is not installed, or the folder is another one.
    """
    root = _package_data() if root is None else root
    if not (root / "labels.csv").is_file():
        raise ImageError(f"no {root / 'labels.csv'}; give the data folder of elpv-dataset, or leave --data out")
    rows = [line.split() for line in (root / "labels.csv").read_text(encoding="utf-8").splitlines() if line.strip()]
    label_of = {name: LABELS[float(p)] for name, p, kind in rows if kind == "mono" and float(p) in LABELS}
    good = {Path(name).stem for name, label in label_of.items() if label == GOOD}
    train = training_names(good)
    tested = [part for part in shuffled(good) if part not in train]
    bad = sorted(Path(name).stem for name, label in label_of.items() if label != GOOD)
    role_of = {part: ("dev", "final")[index % 2] for parts in (tested, bad) for index, part in enumerate(parts)}
    return [
        Labelled(root / name, label, part, "train" if part in train else "test", role_of.get(part, ""))
        for name, label in label_of.items()
        for part in (Path(name).stem,)
    ]


def _package_data() -> Path:
    found = importlib.util.find_spec("elpv_dataset")
    if found is None or found.origin is None:
        raise ImageError("the pictures of solar cells are missing; pip install 'line-inspector[demo]'")
    return Path(found.origin).parent / "data"
