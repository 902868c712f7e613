"""Reading, identifying and preparing pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.errors import ImageError
from engines.image import Image, InputSpec, fingerprint, list_images, prepare, read_image


def picture(height: int = 40, width: int = 60) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_a_picture_has_the_same_fingerprint_under_another_name_and_format(tmp_path: Path) -> None:
    for name in ("a.png", "ö ß.bmp"):
        (tmp_path / name).write_bytes(cv2.imencode(name[-4:], picture())[1].tobytes())
    prints = {fingerprint(read_image(path)) for path in list_images(tmp_path)}
    assert prints == {fingerprint(picture())}


def test_one_pixel_changes_the_fingerprint() -> None:
    other = picture()
    other[0, 0, 0] ^= 1
    assert fingerprint(other) != fingerprint(picture())


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n", b"hello"])
def test_a_corrupt_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(ImageError, match=r"bad\.png is not a readable picture"):
        read_image(tmp_path / "bad.png")


def test_missing_and_empty_folders_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="does not exist"):
        list_images(tmp_path / "none")
    with pytest.raises(ImageError, match="holds no picture"):
        list_images(tmp_path)
    with pytest.raises(ImageError, match="cannot read"):
        read_image(tmp_path / "none.png")


@pytest.mark.parametrize(("height", "width"), [(40, 60), (32, 32), (16, 16), (300, 500)])
def test_any_frame_comes_to_model_size(height: int, width: int) -> None:
    assert prepare(picture(height, width), InputSpec(32, 32)).shape == (32, 32, 3)


def test_the_region_is_what_is_looked_at() -> None:
    frame = np.zeros((50, 50, 3), np.uint8)
    frame[10:30, 5:25] = 200
    assert (prepare(frame, InputSpec(20, 20, region=(5, 10, 20, 20))) == 200).all()


@pytest.mark.parametrize("region", [(-1, 0, 10, 10), (0, 45, 10, 10), (55, 0, 10, 10)])
def test_a_region_outside_the_frame_is_refused(region: tuple[int, int, int, int]) -> None:
    with pytest.raises(ImageError, match="outside the frame"):
        prepare(picture(), InputSpec(32, 32, region=region))


@pytest.mark.parametrize(
    "frame", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_bgr_picture_is_refused(frame: Image) -> None:
    with pytest.raises(ImageError, match="a frame must be"):
        prepare(frame, InputSpec(32, 32))
