"""What every camera promises, tried on all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from inspector.cameras.base import CAMERAS, Camera, EndOfParts, Pacer, make_camera
from inspector.config import BaslerCameraConfig, CameraConfig, OpenCvCameraConfig, ReplayCameraConfig
from inspector.errors import CameraError
from inspector.inspection import Frame

KINDS = ["synthetic", "replay", "opencv", "basler, software trigger", "basler, free-running", "basler, grey"]
COLOURED = ["replay", "opencv", "basler, software trigger", "basler, free-running"]


@pytest.fixture
def camera(request: pytest.FixtureRequest, configs: dict[str, CameraConfig]) -> Iterator[Camera]:
    camera = make_camera(configs[request.param])
    yield camera
    camera.close()


all_cameras = pytest.mark.parametrize("camera", KINDS, indirect=True)


def next_frame(camera: Camera) -> Frame:
    capture = camera.grab(5.0)
    assert isinstance(capture, Frame), capture
    return capture


def test_every_kind_in_the_table_is_tried_here() -> None:
    assert {kind.split(",")[0] for kind in KINDS} == set(CAMERAS)


@all_cameras
def test_a_frame_is_a_colour_picture_of_its_own(camera: Camera) -> None:
    camera.open()
    frames = [next_frame(camera) for _ in range(3)]
    for frame in frames:
        assert frame.camera == camera.name
        assert frame.image.ndim == 3
        assert frame.image.shape[2] == 3
        assert frame.image.dtype == np.uint8
        assert frame.image.flags.c_contiguous
    before = frames[1].image.copy()
    frames[0].image[:] = 77
    next_frame(camera)
    assert np.array_equal(frames[1].image, before)  # a later grab does not write into an earlier picture


@all_cameras
def test_block_ids_count_up_from_zero(camera: Camera) -> None:
    camera.open()
    assert [next_frame(camera).block_id for _ in range(4)] == [0, 1, 2, 3]


@all_cameras
def test_times_never_go_back(camera: Camera) -> None:
    camera.open()
    frames = [next_frame(camera) for _ in range(3)]
    assert sorted(frame.captured_ns for frame in frames) == [frame.captured_ns for frame in frames]
    assert all(frame.captured_us > 1_600_000_000_000_000 for frame in frames)  # microseconds, after 2020


@all_cameras
def test_closing_twice_and_before_opening_is_allowed(camera: Camera) -> None:
    camera.close()
    camera.open()
    next_frame(camera)
    camera.close()
    camera.close()


@all_cameras
def test_a_reopened_camera_gives_pictures_of_the_same_kind(camera: Camera) -> None:
    camera.open()
    before = next_frame(camera)
    camera.close()
    camera.open()
    after = next_frame(camera)
    assert (after.image.shape, after.image.dtype) == (before.image.shape, before.image.dtype)


@all_cameras
def test_opening_an_open_camera_opens_it_anew(camera: Camera) -> None:
    camera.open()
    next_frame(camera)
    camera.open()
    next_frame(camera)


@pytest.mark.parametrize("camera", COLOURED, indirect=True)
def test_red_stays_red_after_a_reconnect_too(camera: Camera) -> None:
    for _ in range(2):
        camera.open()
        blue, green, red = next_frame(camera).image[40, 60].astype(int)
        assert red > 180
        assert max(blue, green) < 60
        camera.close()


MISSING: dict[str, Callable[[Path], CameraConfig]] = {
    "folder": lambda here: ReplayCameraConfig(kind="replay", folder=here / "nowhere"),
    "pictures": lambda here: ReplayCameraConfig(kind="replay", folder=here),
    "video": lambda here: OpenCvCameraConfig(kind="opencv", source=str(here / "nothing.avi")),
    "device": lambda here: OpenCvCameraConfig(kind="opencv", source=97),
    "serial": lambda here: BaslerCameraConfig(kind="basler", emulated=True, serial="4711"),
    "images": lambda here: BaslerCameraConfig(kind="basler", emulated=True, images=here / "nowhere"),
}


@pytest.mark.parametrize("what", list(MISSING))
def test_what_is_not_there_is_a_camera_error_each_time(tmp_path: Path, what: str) -> None:
    camera = make_camera(MISSING[what](tmp_path))
    for _ in range(2):
        with pytest.raises(CameraError, match=f"camera {camera.name}: "):
            camera.open()
    camera.close()


@pytest.mark.parametrize("kind", ["synthetic", "replay", "opencv"])
def test_a_finite_source_says_that_it_is_at_its_end(configs: dict[str, CameraConfig], kind: str) -> None:
    ends: dict[str, dict[str, object]] = {"synthetic": {"parts": 4}, "replay": {"repeat": False}, "opencv": {}}
    camera = make_camera(configs[kind].model_copy(update=ends[kind]))
    camera.open()
    for _ in range(4):
        next_frame(camera)
    for _ in range(2):
        with pytest.raises(EndOfParts):
            camera.grab(1.0)
    camera.close()


def test_a_part_that_is_not_yet_due_is_waited_for_no_longer_than_asked() -> None:
    slow = Pacer(rate_hz=0.01)
    assert slow.wait(0.0)
    assert not slow.wait(0.001)


def test_without_a_rate_every_part_is_due() -> None:
    assert all(Pacer(0).wait(0.0) for _ in range(3))


@pytest.mark.parametrize("kind", ["synthetic", "replay", "opencv", "basler, software trigger"])
def test_a_paced_camera_gives_nothing_before_the_next_part_is_due(configs: dict[str, CameraConfig], kind: str) -> None:
    camera = make_camera(configs[kind].model_copy(update={"rate_hz": 0.01}))
    camera.open()
    assert next_frame(camera).block_id == 0
    assert camera.grab(0.001) is None
    camera.close()
