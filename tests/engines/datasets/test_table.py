"""Every reader on a small tree in its data set's layout, through the table that the command line uses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.datasets.labelled import Labelled, read_mask, read_picture, write_pictures
from engines.datasets.table import READERS, read_dataset
from engines.errors import ImageError

Write = Callable[..., Path]


def by_part(entries: list[Labelled]) -> dict[str, Labelled]:
    assert len({entry.path for entry in entries}) == len(entries)
    return {entry.part: entry for entry in entries}


def counts(entries: list[Labelled]) -> dict[tuple[str, str], int]:
    return dict(Counter((entry.split, entry.label) for entry in entries))


@pytest.mark.parametrize("name", [name for name in READERS if name != "elpv"])
def test_a_folder_that_is_not_there_is_an_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is no folder; give the folder of the"):
        read_dataset(name, tmp_path / "none")
    with pytest.raises(ImageError, match="is no folder"):
        read_dataset(name, None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("folder", "holds no picture"),
        ("mvtec", "CATEGORY/train/good"),
        ("mvtec3d", "CATEGORY/train/good/rgb"),
        ("visa", r"split_csv/1cls\.csv"),
        ("magnetic_tile", r"index\.csv"),
        ("elpv", r"labels\.csv"),
    ],
)
def test_another_layout_is_an_error_that_says_what_was_expected(name: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=expected):
        read_dataset(name, tmp_path)


def test_choices_that_a_data_set_does_not_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="choose one of folder, mvtec"):
        read_dataset("imagenet", tmp_path)
    with pytest.raises(ImageError, match="no categories"):
        read_dataset("folder", tmp_path, category="bottle")
    with pytest.raises(ImageError, match="choose one of tile, image"):
        read_dataset("magnetic_tile", tmp_path, split="leaky")
    with pytest.raises(ImageError, match="choose one of rgb"):
        read_dataset("mvtec", tmp_path, mode="depth")


# -- folder --------------------------------------------------------------------------------------------------------


def test_a_plain_folder_holds_good_parts(draw: Write, tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "monday/c.png", "monday/d.png"):
        draw(name)
    entries = read_dataset("folder", tmp_path)
    assert counts(entries) == {("test", "good"): 4}
    assert sorted({entry.part for entry in entries}) == ["a.png", "b.png", "monday"]


def test_a_folder_of_kinds_has_good_parts_and_defects_without_masks(draw: Write, tmp_path: Path) -> None:
    for name in ("good/a.png", "good/s1/b.png", "good/s1/c.png", "scratch/a.png", "dent/x/a.png", ".cache/a.png"):
        draw(name)
    entries = read_dataset("folder", tmp_path)
    assert counts(entries) == {("test", "good"): 3, ("test", "scratch"): 1, ("test", "dent"): 1}
    assert {entry.part for entry in entries} == {"good/a.png", "good/s1", "scratch/a.png", "dent/x"}
    assert not any(entry.is_mask_known for entry in entries if not entry.is_good)


def test_a_folder_can_be_split_by_hash(draw: Write, tmp_path: Path) -> None:
    for number in range(20):
        draw(f"good/{number}.png")
    draw("scratch/a.png")
    entries = read_dataset("folder", tmp_path, split="hash")
    assert counts(entries) == {("train", "good"): 14, ("test", "good"): 6, ("test", "scratch"): 1}


def test_an_empty_folder_of_a_kind_is_named(draw: Write, tmp_path: Path) -> None:
    draw("good/a.png")
    (tmp_path / "scratch").mkdir()
    with pytest.raises(ImageError, match="scratch is empty"):
        read_dataset("folder", tmp_path)


def test_the_layout_of_mvtec_is_no_folder_of_good_parts(draw: Write, tmp_path: Path) -> None:
    mvtec(draw, ".")
    with pytest.raises(ImageError, match="is its layout mvtec's"):
        read_dataset("folder", tmp_path)


# -- MVTec ---------------------------------------------------------------------------------------------------------


def mvtec(draw: Write, category: str) -> None:
    draw(f"{category}/train/good/000.png")
    draw(f"{category}/test/good/000.png")
    draw(f"{category}/test/crack/000.png")
    draw(f"{category}/test/crack/001.png")
    draw(f"{category}/ground_truth/crack/000_mask.png", 255, square=True)


def test_mvtec_has_masks_and_a_defect_without_one_is_unknown(draw: Write, tmp_path: Path) -> None:
    mvtec(draw, "bottle")
    entries = by_part(read_dataset("mvtec", tmp_path, "bottle"))
    assert sorted(entries) == ["test/crack/000", "test/crack/001", "test/good/000", "train/good/000"]
    assert entries["train/good/000"].split == "train"
    mask = read_mask(entries["test/crack/000"], (8, 10))
    assert mask is not None
    assert mask.sum() == 6
    assert not entries["test/crack/001"].is_mask_known


def test_a_category_folder_is_one_category(draw: Write, tmp_path: Path) -> None:
    mvtec(draw, "bottle")
    assert read_dataset("mvtec", tmp_path / "bottle") == read_dataset("mvtec", tmp_path, "bottle")


def test_several_categories_ask_for_one(draw: Write, tmp_path: Path) -> None:
    mvtec(draw, "bottle")
    mvtec(draw, "cable")
    for category in ("", "zipper"):
        with pytest.raises(ImageError, match="give --category, one of bottle, cable"):
            read_dataset("mvtec", tmp_path, category)


def test_a_category_without_test_pictures_is_an_error(draw: Write, tmp_path: Path) -> None:
    draw("train/good/000.png")
    with pytest.raises(ImageError, match=r"no test picture .* expected train/good and test/KIND"):
        read_dataset("mvtec", tmp_path)


def mvtec3d(draw: Write, write_tiff: Write) -> None:
    for split, kind in (("train", "good"), ("validation", "good"), ("test", "good"), ("test", "hole")):
        folder = f"bagel/{split}/{kind}"
        draw(f"{folder}/rgb/000.png", 50)
        draw(f"{folder}/gt/000.png", 255 if kind == "hole" else 0, square=True)
        depth = np.tile(np.linspace(1.0, 2.0, 10), (8, 1)) + (0.5 if kind == "hole" else 0.0)
        write_tiff(f"{folder}/xyz/000.tiff", np.stack([depth * 9, depth * 7, depth], -1).astype(np.float32))


def test_mvtec3d_reads_colours_or_depth_with_the_same_labels(draw: Write, write_tiff: Write, tmp_path: Path) -> None:
    mvtec3d(draw, write_tiff)
    colours = by_part(read_dataset("mvtec3d", tmp_path, "bagel"))
    depths = by_part(read_dataset("mvtec3d", tmp_path / "bagel", mode="depth"))
    assert counts(list(colours.values())) == {
        ("train", "good"): 1, ("validation", "good"): 1, ("test", "good"): 1, ("test", "hole"): 1
    }  # fmt: skip
    assert colours.keys() == depths.keys()
    assert (read_picture(colours["train/good/000"]) == 50).all()
    assert read_mask(depths["test/hole/000"], (8, 10)) is not None
    assert len({entry.depth for entry in depths.values()}) == 1
    train, hole = (read_picture(depths[part]).astype(float) for part in ("train/good/000", "test/hole/000"))
    assert 30 < train.min() < train.max() < 240
    limits = depths["train/good/000"].depth
    assert limits is not None
    assert limits.high < 2.4  # a hole of depth 2.5 did not move them
    assert np.median(hole - train) == pytest.approx(255 * 0.5 / (limits.high - limits.low), abs=1)


def test_mvtec3d_reads_brightness_and_depth_of_a_part_in_one_picture(
    draw: Write, write_tiff: Write, tmp_path: Path
) -> None:
    mvtec3d(draw, write_tiff)
    colours, depths, both = (
        by_part(read_dataset("mvtec3d", tmp_path, "bagel", mode=mode)) for mode in ("rgb", "depth", "both")
    )
    assert both.keys() == depths.keys()
    cv2.imwrite(str(colours["test/hole/000"].path), np.full((8, 10, 3), (200, 0, 0), np.uint8))
    for part, green in (("train/good/000", 50), ("test/hole/000", 23)):  # brightness of blue 200 is 0.114 x 200
        seen, depth = read_picture(both[part]), read_picture(depths[part])
        assert (seen[..., 1] == green).all()
        assert (seen[..., [0, 2]] == depth[..., [0, 2]]).all()
        assert (both[part].depth, both[part].mask) == (depths[part].depth, colours[part].mask)
    (written,) = write_pictures([both["test/hole/000"]], tmp_path / "made")
    assert (read_picture(written) == read_picture(both["test/hole/000"])).all()


def test_brightness_and_depth_of_different_sizes_are_refused(draw: Write, write_tiff: Write, tmp_path: Path) -> None:
    mvtec3d(draw, write_tiff)
    entries = by_part(read_dataset("mvtec3d", tmp_path, "bagel", mode="both"))
    cv2.imwrite(str(tmp_path / "bagel/test/hole/rgb/000.png"), np.zeros((9, 10, 3), np.uint8))
    with pytest.raises(ImageError, match=r"000\.png is \(9, 10\), .*000\.tiff \(8, 10\)"):
        read_picture(entries["test/hole/000"])


# -- VisA ----------------------------------------------------------------------------------------------------------


def visa(draw: Write, root: Path) -> None:
    rows = ["object,split,label,image,mask"]
    for split, number in (("train", 0), ("train", 1), ("test", 2)):
        path = f"candle/Data/Images/Normal/{number:04d}.JPG"
        draw(path)
        rows.append(f"candle,{split},normal,{path},")
    for number in range(2):
        path, mask = f"candle/Data/Images/Anomaly/{number:03d}.JPG", f"candle/Data/Masks/Anomaly/{number:03d}.png"
        draw(path)
        draw(mask, 1 + number, square=True)
        rows.append(f"candle,test,anomaly,{path},{mask}")
    rows.append("pcb1,train,normal,pcb1/Data/Images/Normal/0000.JPG,")
    (root / "split_csv").mkdir()
    (root / "split_csv" / "1cls.csv").write_text("\n".join(rows) + "\n")
    (root / "candle" / "image_anno.csv").write_text(
        "image,label,mask\n"
        "candle/Data/Images/Normal/0000.JPG,normal,\n"
        'candle/Data/Images/Anomaly/000.JPG,"melt, bent wick",candle/Data/Masks/Anomaly/000.png\n'
    )


def test_visa_is_read_by_its_published_split_with_any_mask_value_a_defect(draw: Write, tmp_path: Path) -> None:
    visa(draw, tmp_path)
    entries = read_dataset("visa", tmp_path, "candle")
    assert counts(entries) == {("train", "good"): 2, ("test", "good"): 1, ("test", "melt"): 1, ("test", "anomaly"): 1}
    for entry in entries:
        mask = read_mask(entry, (8, 10))
        assert mask is not None
        assert mask.sum() == (0 if entry.is_good else 6)


def test_an_object_folder_of_visa_is_that_object(draw: Write, tmp_path: Path) -> None:
    visa(draw, tmp_path)
    assert read_dataset("visa", tmp_path / "candle") == read_dataset("visa", tmp_path, "candle")
    with pytest.raises(ImageError, match="give --category, one of candle, pcb1"):
        read_dataset("visa", tmp_path)


# -- Magnetic Tile -------------------------------------------------------------------------------------------------

INDEX = """path,mask,label,tile,split_image,split_tile,mask_valid,role
a.jpg,,free,1,train,train,,
b.jpg,,free,2,test,train,,
c.jpg,,free,3,train,test,,dev
d.jpg,d.png,crack,4,test,test,1,final
e.jpg,e.png,uneven,5,test,test,0,dev
"""


def test_magnetic_tiles_have_two_splits_and_roles_in_one_of_them(draw: Write, tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text(INDEX)
    tile, image = (by_part(read_dataset("magnetic_tile", tmp_path, split=split)) for split in ("", "image"))
    assert [tile[part].split for part in "12345"] == ["train", "train", "test", "test", "test"]
    assert [image[part].split for part in "12345"] == ["train", "test", "train", "test", "test"]
    assert [tile[part].role for part in "12345"] == ["", "", "dev", "final", "dev"]
    assert {entry.role for entry in image.values()} == {""}
    with pytest.raises(ImageError, match="no test picture of role 'final' in this split"):
        read_dataset("magnetic_tile", tmp_path, split="image", role="final")


def test_an_empty_mask_of_a_magnetic_tile_is_unknown(draw: Write, tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text(INDEX)
    draw("d.png", 200, square=True)
    entries = by_part(read_dataset("magnetic_tile", tmp_path))
    mask = read_mask(entries["4"], (8, 10))
    assert mask is not None
    assert mask.sum() == 6
    assert not entries["5"].is_mask_known


def test_a_role_leaves_training_pictures_and_its_own_test_pictures(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text(INDEX)
    assert [entry.part for entry in read_dataset("magnetic_tile", tmp_path, role="dev")] == ["1", "2", "3", "5"]


# -- ELPV ----------------------------------------------------------------------------------------------------------


def test_solar_cells_have_a_fixed_split_and_fixed_roles() -> None:
    entries = read_dataset("elpv", None)
    assert counts(entries) == {("train", "good"): 412, ("test", "good"): 176, ("test", "defective"): 313}
    roles = Counter((entry.label, entry.role) for entry in entries if entry.split == "test")
    assert roles == {
        ("good", "dev"): 88, ("good", "final"): 88, ("defective", "dev"): 157, ("defective", "final"): 156
    }  # fmt: skip
    bad = sorted((entry for entry in entries if not entry.is_good), key=lambda entry: entry.part)
    assert [entry.role for entry in bad[:4]] == ["dev", "final", "dev", "final"]


def test_uncertain_and_polycrystalline_cells_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(
        "images/a.png 0.0 mono\nimages/b.png 1.0 mono\nimages/c.png 0.3333333333333333 mono\nimages/d.png 1.0 poly\n"
    )
    assert [entry.path.name for entry in read_dataset("elpv", tmp_path)] == ["a.png", "b.png"]
