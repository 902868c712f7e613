"""What people choose becomes one spec that says all of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.errors import ImageError
from engines.image import InputSpec
from engines.view import View, open_locator, plan_view
from inspector.cameras.synthetic import draw_part

FRAME = np.zeros((480, 640, 3), np.uint8)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "part.png"
    cv2.imwrite(str(path), draw_part(3, 0, False, 240))
    return path


def test_without_a_choice_the_whole_frame_is_stretched() -> None:
    plan = plan_view(View(), 256, FRAME)
    assert plan.spec == InputSpec(256, 256, (640, 480))
    assert plan.template is None
    assert plan.locator() is None


def test_tiles_are_planned_for_the_region() -> None:
    spec = plan_view(View(region=(0, 0, 256, 256), tiles="auto"), 64, FRAME).spec
    assert spec.canvas == (256, 256)
    assert spec.inferences == 49
    assert plan_view(View(region=(0, 0, 64, 64), tiles="auto"), 64, FRAME).spec.inferences == 1


def test_a_located_part_is_inspected_whole_unless_a_region_is_given(picture: Path) -> None:
    plan = plan_view(View(locate=picture), 64, FRAME)
    assert plan.spec.locate is not None
    assert plan.spec.region == plan.spec.locate.box
    assert plan.template is not None
    assert plan.template.shape == plan.spec.region[:1:-1]
    assert plan_view(View(locate=picture, region=(10, 20, 30, 40)), 64, FRAME).spec.region == (10, 20, 30, 40)
    boxed = plan_view(View(locate=picture, locate_box=(5, 6, 200, 210)), 64, FRAME).spec
    assert boxed.region == (5, 6, 200, 210)


@pytest.mark.parametrize(
    ("view", "complaint"),
    [
        (View(region=(600, 0, 100, 100)), "outside the frame"),
        (View(locate_box=(0, 0, 10, 10)), "no picture to locate it in"),
        (View(region=(0, 0, 640, 20), fit="letterbox"), "leaves a strip"),
        (View(tiles=0), "at least 1"),
    ],
)
def test_a_view_that_cannot_be_says_why(view: View, complaint: str) -> None:
    with pytest.raises(ImageError, match=complaint):
        plan_view(view, 256, FRAME)


def test_a_spec_that_locates_needs_its_template(picture: Path) -> None:
    spec = plan_view(View(locate=picture), 64, FRAME).spec
    with pytest.raises(ImageError, match="template is missing"):
        open_locator(spec, None)
