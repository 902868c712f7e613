"""Reading, identifying and preparing pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import ImageError
from engines.image import (
    Fit,
    Image,
    InputSpec,
    Locate,
    Tiling,
    content_box,
    fingerprint,
    list_images,
    prepare,
    prepare_mask,
    read_image,
)


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


def test_stretching_the_whole_frame_is_a_plain_resize() -> None:
    frame = picture(50, 70)
    expected = cv2.resize(frame, (64, 32), interpolation=cv2.INTER_LINEAR)
    assert (prepare(frame, InputSpec(32, 64)) == expected).all()


@given(st.integers(8, 400), st.integers(8, 400), st.sampled_from(((64, 64), (96, 64))))
def test_a_letterbox_keeps_the_aspect_and_lies_in_the_middle(width: int, height: int, canvas: tuple[int, int]) -> None:
    spec = InputSpec(canvas[1], canvas[0], (width, height), fit="letterbox")
    x, y, wide, high = content_box(spec)
    assert wide == canvas[0] or high == canvas[1]
    assert abs(wide / high - width / height) <= (width / height) / min(wide, high)
    assert x + (x + wide) - canvas[0] in (0, -1)
    assert y + (y + high) - canvas[1] in (0, -1)
    assert prepare(picture(height, width), spec).shape == (*canvas[::-1], 3)


def test_beside_a_letterboxed_region_its_edge_goes_on() -> None:
    frame = picture(30, 60)
    boxed = prepare(frame, InputSpec(60, 60, (60, 30), fit="letterbox"))
    assert (boxed[15:45] == frame).all()
    assert (boxed[:15] == frame[0]).all()
    assert (boxed[45:] == frame[-1]).all()


def test_a_letterbox_refuses_frames_of_another_shape() -> None:
    spec = InputSpec(32, 32, (60, 40), fit="letterbox")
    with pytest.raises(ImageError, match="taught for"):
        prepare(picture(50, 60), spec)
    with pytest.raises(ImageError, match="one size"):
        content_box(InputSpec(32, 32, None, fit="letterbox"))


def test_a_tiled_picture_comes_to_the_canvas() -> None:
    spec = InputSpec(64, 64, tiling=Tiling((96, 64), (0, 32), (0,)))
    assert prepare(picture(), spec).shape == (64, 96, 3)


def test_a_part_that_must_be_located_is_never_looked_at_where_it_lies() -> None:
    spec = InputSpec(32, 32, region=(0, 0, 8, 8), locate=Locate((0, 0, 8, 8), 0.5))
    with pytest.raises(ImageError, match="must be located"):
        prepare(picture(), spec)
    with pytest.raises(ImageError, match="must be located"):
        prepare_mask(np.ones((40, 60), np.bool_), spec)


def test_a_mask_that_touches_the_border_does_not_go_on_beside_a_letterboxed_region() -> None:
    spec = InputSpec(60, 60, (60, 30), fit="letterbox")
    boxed = prepare_mask(np.ones((30, 60), np.bool_), spec)
    assert (boxed[15:45] == 255).all()
    assert not boxed[:15].any()
    assert not boxed[45:].any()


@given(st.integers(8, 90), st.integers(8, 90), st.sampled_from(("stretch", "letterbox")), st.integers(0, 999))
def test_a_mask_takes_the_way_of_its_picture(width: int, height: int, fit: Fit, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.3
    painted = np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)
    region = (width // 4, height // 4, width // 2, height // 2)
    spec = InputSpec(64, 64, (width, height), region, fit, tiling=Tiling((96, 64), (0, 32), (0,)))
    x, y, wide, high = content_box(spec)
    inside = np.s_[y : y + high, x : x + wide]
    assert (prepare_mask(mask, spec)[inside] == prepare(painted, spec)[..., 0][inside]).all()
