"""Pictures and masks as they are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.datasets.depth import DepthLimits
from engines.datasets.labelled import Labelled, read_mask, read_picture, training_names, write_pictures
from engines.errors import ImageError

Write = Callable[..., Path]


def test_a_good_part_has_no_defective_position() -> None:
    mask = read_mask(Labelled(Path("a.png"), "good", "a", "test"), (3, 4))
    assert mask is not None
    assert mask.shape == (3, 4)
    assert not mask.any()


def test_a_defect_without_a_mask_is_unknown() -> None:
    entry = Labelled(Path("a.png"), "crack", "a", "test")
    assert not entry.is_mask_known
    assert read_mask(entry, (3, 4)) is None


@pytest.mark.parametrize(("grey", "above", "defective"), [(1, 0, 6), (1, 127, 0), (127, 127, 0), (128, 127, 6)])
def test_a_mask_counts_above_its_value(draw: Write, grey: int, above: int, defective: int) -> None:
    entry = Labelled(Path("a.png"), "crack", "a", "test", mask=draw("m.png", grey, square=True), mask_above=above)
    mask = read_mask(entry, (8, 10))
    assert mask is not None
    assert mask.sum() == defective


def test_a_mask_in_colour_with_transparency_counts_by_its_colours(tmp_path: Path) -> None:
    mask = np.zeros((4, 4, 4), np.uint8)
    mask[..., 3], mask[1, 1, 2] = 255, 9
    cv2.imwrite(str(tmp_path / "m.png"), mask)
    found = read_mask(Labelled(Path("a.png"), "crack", "a", "test", mask=tmp_path / "m.png"), (4, 4))
    assert found is not None
    assert np.argwhere(found).tolist() == [[1, 1]]


def test_a_mask_that_does_not_fit_is_named(draw: Write, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="restore the data set"):
        read_mask(Labelled(Path("a.png"), "crack", "a", "test", mask=draw("m.png")), (9, 9))
    with pytest.raises(ImageError, match=r"none\.png of a\.png is missing"):
        read_mask(Labelled(Path("a.png"), "crack", "a", "test", mask=tmp_path / "none.png"), (9, 9))


def test_depth_pictures_are_the_same_from_the_cloud_and_from_the_file_written(
    draw: Write, write_tiff: Write, tmp_path: Path
) -> None:
    cloud = np.random.default_rng(0).random((8, 10, 3)).astype(np.float32)
    depth = Labelled(write_tiff("a.tiff", cloud), "good", "train/good/a", "train", depth=DepthLimits(0.0, 1.0))
    flat = Labelled(draw("b.png"), "good", "b", "train")
    written = write_pictures([depth, flat], tmp_path / "depth")
    assert written[0].path == tmp_path / "depth" / "train" / "good" / "a.png"
    assert np.array_equal(read_picture(written[0]), read_picture(depth))
    assert written[1] == flat


def test_the_split_by_hash_depends_on_the_names_alone() -> None:
    names = [f"part{number}" for number in range(100)]
    assert training_names(names) == training_names(reversed(names))
    assert len(training_names(names)) == 70
