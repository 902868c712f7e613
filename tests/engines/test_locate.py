"""A part is found wherever it lies, or not at all."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import ImageError, PartNotFound
from engines.image import Box, Image, InputSpec, Locate, prepare
from engines.locate import Grey, Locator, cut_template, decode_template, encode_template
from inspector.cameras.synthetic import BACKGROUND, METAL, draw_part

LIMIT_PX, LIMIT_DEG = 1.0, 0.5


def grey_picture(side: int, belt: int) -> Grey:
    return np.full((side, side), belt, np.uint8)


def coloured(grey: Grey) -> Image:
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


def stamped_ring() -> Image:
    """Six holes, one a little larger."""
    return draw_part(3, 0, False, 240)


def notched_ring() -> Image:
    """Round but for one notch."""
    picture = grey_picture(240, BACKGROUND)
    cv2.circle(picture, (120, 120), 92, METAL, -1, cv2.LINE_AA)
    cv2.circle(picture, (120, 120), 55, BACKGROUND, -1, cv2.LINE_AA)
    cv2.rectangle(picture, (205, 112), (222, 128), BACKGROUND, -1)
    return coloured(picture)


def textured_plate() -> Image:
    """A rectangle of cloth: edges everywhere, and half a turn looks almost alike."""
    noise = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 1, (110, 170)).astype(np.float32), (0, 0), 3)
    picture = grey_picture(240, BACKGROUND)
    picture[65:175, 35:205] = np.clip(noise / noise.std() * 25 + METAL, 0, 255).astype(np.uint8)
    return coloured(picture)


PARTS = {"stamped ring": stamped_ring, "notched ring": notched_ring, "textured plate": textured_plate}


@functools.lru_cache
def taught(part: str) -> tuple[Image, Box, Locator]:
    picture = PARTS[part]()
    template, box = cut_template(picture, None)
    return picture, box, Locator(template, Locate(box, 0.5))


def lay(
    picture: Image, angle_deg: float, x: float, y: float, size: tuple[int, int] = (640, 480)
) -> tuple[Image, cv2.typing.MatLike]:
    """A frame with the part's centre at (x, y), turned clockwise as seen; and the map from taught to frame pixels."""
    middle = ((picture.shape[1] - 1) / 2, (picture.shape[0] - 1) / 2)
    matrix = cv2.getRotationMatrix2D(middle, -angle_deg, 1)
    matrix[:, 2] += np.array([x, y]) - middle
    belt = (BACKGROUND, BACKGROUND, BACKGROUND)
    return np.asarray(cv2.warpAffine(picture, matrix, size, borderValue=belt), np.uint8), matrix


def lit(frame: Image, gain: float, offset: float, noise: float, seed: int = 0) -> Image:
    shaded = frame * gain + offset + np.random.default_rng(seed).normal(0, noise, frame.shape)
    return np.asarray(np.clip(shaded, 0, 255), np.uint8)


@pytest.mark.parametrize("part", PARTS)
@settings(max_examples=25, deadline=None)
@given(angle=st.floats(-180, 180), x=st.floats(180, 460), y=st.floats(160, 320), seed=st.integers(0, 999))
def test_a_part_is_found_to_a_pixel_and_half_a_degree_in_any_light(
    part: str, angle: float, x: float, y: float, seed: int
) -> None:
    picture, box, locator = taught(part)
    frame, truth = lay(picture, angle, x, y)
    gain, offset = np.random.default_rng(seed).uniform((0.6, -20), (1.4, 20))
    pose = locator.find(lit(frame, gain, offset, 3, seed))
    corners = np.array([[box[0], box[1], 1], [box[0] + box[2], box[1] + box[3], 1]]).T
    assert np.hypot(*(pose.to_frame @ corners - truth @ corners)).max() < LIMIT_PX
    assert abs((pose.angle_deg - angle + 180) % 360 - 180) < LIMIT_DEG
    assert 0.9 < pose.score <= 1


def test_other_parts_of_the_belt_are_found_by_the_one_that_was_taught_defective_or_not() -> None:
    template, box = cut_template(draw_part(3, 0, False, 240), None)
    locator = Locator(template, Locate(box, 0.5))
    for number in range(20):
        rng = np.random.default_rng((5, number, 2))  # as the belt draws it
        turn, shift = rng.uniform(0, 2 * math.pi), rng.normal(0, 240 * 0.004, 2)
        rng = np.random.default_rng((3, 0, 2))
        own_turn, own_shift = math.radians(rng.normal(0, 0.6)), rng.normal(0, 240 * 0.004, 2)
        pose = locator.find(draw_part(5, number, number % 2 == 1, 240, free_pose=True))
        assert np.hypot(*(pose.to_frame @ (*(120 + own_shift), 1) - (120 + shift))) < LIMIT_PX
        turned = pose.angle_deg - math.degrees(turn - own_turn)
        assert abs((turned + 180) % 360 - 180) < LIMIT_DEG


def test_a_rectified_part_looks_as_it_was_taught() -> None:
    picture, box, locator = taught("textured plate")
    frame, _ = lay(picture, 77, 300.3, 222.8)
    upright = locator.find(frame).rectify(frame, box, cv2.BORDER_REPLICATE).astype(float)
    expected = picture[box[1] : box[1] + box[3], box[0] : box[0] + box[2]].astype(float)
    assert upright.shape == expected.shape
    assert np.abs(upright - expected)[6:-6, 6:-6].mean() < 4  # interpolated twice
    spec = InputSpec(64, 64, region=box, locate=locator.locate)
    assert prepare(frame, spec, locator).shape == (64, 64, 3)


def test_what_lies_outside_the_frame_repeats_its_edge() -> None:
    picture, box, locator = taught("notched ring")
    frame, _ = lay(picture, 0, 100, 240)
    wide = (box[0] - 60, box[1], box[2] + 60, box[3])
    pose = locator.find(frame)
    assert (pose.rectify(frame, wide, cv2.BORDER_REPLICATE)[:, :20] == BACKGROUND).all()
    assert (pose.rectify(frame, wide, cv2.BORDER_CONSTANT)[:, :20] == 0).all()


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((480, 640, 3), np.uint8),
        lit(np.full((480, 640, 3), BACKGROUND, np.uint8), 1, 0, 4),
        np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8),
        coloured(cv2.rectangle(np.full((480, 640), BACKGROUND, np.uint8), (200, 100), (420, 350), METAL, -1)),  # type: ignore[arg-type]
        lay(textured_plate(), 20, 320, 240)[0],
        np.zeros((5, 7, 3), np.uint8),
    ],
    ids=["black", "empty belt", "noise", "a box", "another part", "tiny"],
)
def test_a_frame_without_the_part_says_so(frame: Image) -> None:
    with pytest.raises(PartNotFound, match="likeness of the best place"):
        taught("stamped ring")[2].find(frame)


@pytest.mark.parametrize("x", [40, 60, 75])
def test_a_part_that_reaches_out_of_the_frame_is_not_found(x: float) -> None:
    frame, _ = lay(stamped_ring(), 33, x, 240)
    with pytest.raises(PartNotFound, match=r"outside the frame|likeness"):
        taught("stamped ring")[2].find(frame)


def test_a_part_a_tenth_of_which_is_cut_off_is_named_so() -> None:
    frame, _ = lay(stamped_ring(), 33, 84, 240)
    with pytest.raises(PartNotFound, match=r"% of the part lies outside the frame"):
        taught("stamped ring")[2].find(frame)


def marked_bar(x: float, angle: float = 0.0) -> Image:
    """A long faint plate with a strong mark at one end, its middle at (x, 240) of the frame."""
    plate = np.full((100, 360), 140, np.uint8)
    cv2.rectangle(plate, (10, 30), (50, 70), 20, -1)
    cv2.rectangle(plate, (20, 42), (36, 58), 250, -1)
    matrix = cv2.getRotationMatrix2D((180, 50), angle, 1)
    matrix[:, 2] += (x - 180, 190)
    belt = np.full((480, 640), BACKGROUND, np.uint8)
    return coloured(cv2.warpAffine(plate, matrix, (640, 480), dst=belt, borderMode=cv2.BORDER_TRANSPARENT))  # type: ignore[arg-type]


def bar() -> tuple[Box, Locator]:
    template, box = cut_template(marked_bar(320), None)
    return box, Locator(template, Locate(box, 0.5))


@pytest.mark.parametrize("angle", [0, 40, 170])
def test_a_long_part_with_its_features_at_one_end_is_found(angle: float) -> None:
    assert bar()[1].find(marked_bar(330, angle)).score > 0.9


def test_a_faint_end_outside_the_frame_is_missed_though_the_strong_one_is_in_it() -> None:
    with pytest.raises(PartNotFound, match=r"% of the part lies outside the frame"):
        bar()[1].find(marked_bar(520))


def test_a_region_beyond_the_located_box_must_lie_in_the_frame_too() -> None:
    template, mark = cut_template(marked_bar(320), (140, 210, 60, 60))
    locator = Locator(template, Locate(mark, 0.5))
    spec = InputSpec(64, 64, region=(140, 190, 360, 100), locate=locator.locate)
    assert prepare(marked_bar(320), spec, locator).shape == (64, 64, 3)
    locator.find(marked_bar(520))
    with pytest.raises(PartNotFound, match=r"% of the region lies outside the frame"):
        prepare(marked_bar(520), spec, locator)


def test_the_box_is_found_around_what_stands_out() -> None:
    picture = lit(textured_plate(), 1, 0, 2)
    x, y, width, height = cut_template(picture, None)[1]
    assert 25 <= x <= 35
    assert 55 <= y <= 65
    assert 205 <= x + width <= 215
    assert 175 <= y + height <= 185


def test_a_template_that_shows_nothing_is_refused() -> None:
    blank = np.full((100, 100, 3), 90, np.uint8)
    with pytest.raises(ImageError, match="shows no part"):
        cut_template(blank, None)
    with pytest.raises(ImageError, match="shows no edges"):
        Locator(blank[..., 0], Locate((0, 0, 100, 100), 0.5))
    with pytest.raises(ImageError, match="teach the product again"):
        Locator(blank[..., 0], Locate((0, 0, 90, 100), 0.5))
    with pytest.raises(ImageError, match="outside the frame"):
        cut_template(blank, (50, 50, 60, 60))


def test_a_template_survives_its_file() -> None:
    template = np.random.default_rng(0).integers(0, 256, (31, 47), np.uint8)
    assert (decode_template(encode_template(template)) == template).all()
    for data in (b"", b"nothing"):
        with pytest.raises(ImageError, match="not a readable picture"):
            decode_template(data)
