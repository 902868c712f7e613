"""Pictures of a case: shares, order, masks and names."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from harness.cases import PAINTED, Case, complete, evenly, fingerprint, masks_on_grid, prepared, read_case

from engines.errors import EvaluationError, ImageError
from inspector.cameras.synthetic import draw_part


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """MVTec's layout: 20 good training parts, 4 good and 4 defective test parts with masks."""
    root = tmp_path / "mvtec" / "ring"
    for folder, count in (("train/good", 20), ("test/good", 4), ("test/scratch", 4)):
        (root / folder).mkdir(parents=True)
        for number in range(count):
            picture = draw_part(len(folder), number, folder.endswith("scratch"), 64)
            cv2.imwrite(str(root / folder / f"{number:03d}.png"), picture)
    (root / "ground_truth" / "scratch").mkdir(parents=True)
    for number in range(4):
        cv2.imwrite(str(root / "ground_truth" / "scratch" / f"{number:03d}_mask.png"), np.eye(64, dtype=np.uint8) * 255)
    return tmp_path / "mvtec"


def test_one_part_in_ten_chooses_and_the_rest_trains(data: Path, tmp_path: Path) -> None:
    material = read_case(complete(Case("mvtec", "ring")), data, tmp_path)
    assert (len(material.fit), len(material.select), len(material.test)) == (18, 2, 8)
    assert not {entry.path for entry in material.fit} & {entry.path for entry in material.select}


def test_pictures_are_named_below_their_data_set(data: Path, tmp_path: Path) -> None:
    names = read_case(complete(Case("mvtec", "ring")), data, tmp_path).names
    assert sorted(names)[0] == "ring/test/good/000.png"


def test_a_limit_takes_pictures_from_the_whole_list(data: Path, tmp_path: Path) -> None:
    material = read_case(complete(Case("mvtec", "ring", limit=6)), data, tmp_path)
    assert (len(material.fit) + len(material.select), len(material.test)) == (6, 6)
    assert {entry.label for entry in material.test} == {"good", "scratch"}
    assert evenly(range(100), 3) == [0, 50, 99]  # type: ignore[comparison-overlap,arg-type]


def test_defaults_are_written_out_so_that_equal_cases_are_equal() -> None:
    assert complete(Case("magnetic_tile")) == complete(Case("magnetic_tile", split="tile"))


def test_an_unknown_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="choose one of"):
        read_case(complete(Case("nonesuch")), tmp_path, tmp_path)


def test_a_case_without_training_parts_is_refused(data: Path, tmp_path: Path) -> None:
    for path in (data / "ring" / "train" / "good").iterdir():
        path.unlink()
    with pytest.raises((EvaluationError, ImageError)):
        read_case(complete(Case("mvtec", "ring")), data, tmp_path)


def test_a_changed_pixel_changes_the_fingerprint(data: Path, tmp_path: Path) -> None:
    pictures = prepared(read_case(complete(Case("mvtec", "ring")), data, tmp_path).test, 64)
    before = fingerprint(pictures)
    pictures[0, 0, 0, 0] ^= 1
    assert fingerprint(pictures) != before


def test_painted_parts_know_their_defects(tmp_path: Path) -> None:
    material = read_case(Case(PAINTED, role="dev", limit=10), None, tmp_path)
    assert not material.looks_at_final
    marked = [mask is not None and bool(mask.any()) for mask in masks_on_grid(material.test, 256)]
    assert marked == [not entry.is_good for entry in material.test]
    assert 0 < np.sum(marked) < len(marked)
