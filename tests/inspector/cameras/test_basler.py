"""Basler cameras on pylon's own emulator: lost, incomplete and overdue pictures are parts, and none is mixed up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.image import read_image
from inspector.cameras import basler as basler_module
from inspector.cameras.basler import BaslerCamera, list_cameras
from inspector.config import BaslerCameraConfig
from inspector.errors import CameraError
from inspector.inspection import CameraFault, Capture, Frame, Reason

if TYPE_CHECKING:
    from tests.inspector.conftest import FakeClock, Make

Config = Callable[..., BaslerCameraConfig]


@pytest.fixture
def opened(basler_config: Config, pictures: Path) -> Iterator[Callable[..., BaslerCamera]]:
    cameras: list[BaslerCamera] = []

    def open_camera(**settings: object) -> BaslerCamera:
        camera = BaslerCamera(basler_config(images=pictures, **settings))
        cameras.append(camera)
        camera.open()
        return camera

    yield open_camera
    for camera in cameras:
        camera.close()


def fail_next(camera: BaslerCamera, buffers: int) -> None:
    camera._camera.ForceFailedBufferCount.Value = buffers
    camera._camera.ForceFailedBuffer.Execute()


def lose(camera: BaslerCamera) -> None:
    camera._camera.GetStreamGrabberNodeMap().GetNode("ImposedError").FromString("cable pulled")


def frame_of(capture: Capture | None) -> Frame:
    assert isinstance(capture, Frame), capture
    return capture


def fault_of(capture: Capture | None) -> CameraFault:
    assert isinstance(capture, CameraFault), capture
    return capture


# -- pictures ------------------------------------------------------------------------------------------------------


def test_the_emulator_serves_the_folders_pictures_in_order(opened: Callable[..., BaslerCamera], pictures: Path) -> None:
    camera = opened(pixel_format="BGR8Packed")
    for number in (0, 1, 2, 3, 0):
        expected = read_image(pictures / f"part{number}.png")
        assert np.array_equal(frame_of(camera.grab(5.0)).image, expected)


def test_a_part_is_dated_at_its_trigger(basler_config: Config, pictures: Path, clock: FakeClock) -> None:
    camera = BaslerCamera(basler_config(images=pictures), clock)
    camera.open()
    frame = frame_of(camera.grab(5.0))
    camera.close()
    assert (frame.captured_ns, frame.captured_us) == (clock.now_ns(), clock.utc_us())


def test_a_corrupt_picture_is_a_fault_of_that_part_only(opened: Callable[..., BaslerCamera], pictures: Path) -> None:
    (pictures / "part1.png").write_bytes(b"no picture")
    camera = opened()
    captures = [camera.grab(5.0) for _ in range(3)]
    assert [type(capture) for capture in captures] == [Frame, CameraFault, Frame]


def test_a_hardware_trigger_that_does_not_come_is_no_part(opened: Callable[..., BaslerCamera]) -> None:
    assert opened(trigger="hardware").grab(0.01) is None


def test_a_wrong_setting_is_named_with_what_the_camera_says(basler_config: Config) -> None:
    camera = BaslerCamera(basler_config(pixel_format="Purple8"))
    with pytest.raises(CameraError, match="Purple8"):
        camera.open()
    camera.close()


def test_exposure_and_gain_are_set(opened: Callable[..., BaslerCamera]) -> None:
    camera = opened(exposure_us=500.0, gain_db=1.0)
    frame_of(camera.grab(5.0))
    assert 500.0 in (camera._camera.ExposureTime.Value, camera._camera.ExposureTimeAbs.Value)


def test_the_emulated_camera_is_listed(opened: Callable[..., BaslerCamera]) -> None:
    opened()
    assert "0815-0000" in list_cameras()


# -- faults --------------------------------------------------------------------------------------------------------


def test_an_incomplete_picture_is_a_fault_and_the_next_one_is_whole(opened: Callable[..., BaslerCamera]) -> None:
    camera = opened()
    fail_next(camera, 2)
    faults = [fault_of(camera.grab(5.0)) for _ in range(2)]
    assert [(fault.block_id, fault.reason) for fault in faults] == [(0, Reason.GRAB_FAILED), (1, Reason.GRAB_FAILED)]
    assert frame_of(camera.grab(5.0)).block_id == 2


def test_block_ids_that_never_came_are_parts_before_the_one_that_did(
    opened: Callable[..., BaslerCamera], make: Make
) -> None:
    camera = opened()
    assert frame_of(camera.grab(5.0)).block_id == 0
    late = make.frame(4)
    captures = [camera._after_gap(4, late), *(camera.grab(5.0) for _ in range(3))]
    assert [fault_of(capture).block_id for capture in captures[:3]] == [1, 2, 3]
    assert {fault_of(capture).reason for capture in captures[:3]} == {Reason.LOST_FRAME}
    assert captures[3] is late


def test_a_gap_before_an_incomplete_picture_is_counted_too(opened: Callable[..., BaslerCamera]) -> None:
    camera = opened()
    frame_of(camera.grab(5.0))
    broken = CameraFault("camera", 2, 1, 1, Reason.GRAB_FAILED, "incomplete")
    assert fault_of(camera._after_gap(2, broken)).reason is Reason.LOST_FRAME
    assert camera.grab(5.0) is broken


def test_a_picture_that_does_not_come_is_a_fault_and_never_taken_for_the_next_part(
    opened: Callable[..., BaslerCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes later, and would make every part be judged by the picture of the one before."""
    camera = opened()
    frame_of(camera.grab(5.0))
    camera._camera.ExposureTimeAbs.Value = 200_000
    with monkeypatch.context() as patch:
        patch.setattr(basler_module, "PICTURE_TIMEOUT_MS", 10)
        fault = fault_of(camera.grab(5.0))
    assert (fault.block_id, fault.reason) == (None, Reason.GRAB_FAILED)
    for _ in range(2):
        with pytest.raises(CameraError, match="owes a picture"):
            camera.grab(5.0)
    camera.open()
    assert frame_of(camera.grab(5.0)).block_id == 0


# -- loss and return -----------------------------------------------------------------------------------------------


def test_a_triggered_part_whose_camera_is_lost_is_a_fault_then_the_loss_shows(
    opened: Callable[..., BaslerCamera],
) -> None:
    camera = opened()
    frame_of(camera.grab(5.0))
    lose(camera)
    assert fault_of(camera.grab(5.0)).reason is Reason.GRAB_FAILED
    with pytest.raises(CameraError):
        camera.grab(5.0)
    camera.close()
    camera.open()
    assert frame_of(camera.grab(5.0)).block_id == 0


def test_a_lost_free_running_camera_is_a_camera_error_and_comes_back(opened: Callable[..., BaslerCamera]) -> None:
    camera = opened(trigger="free")
    frame_of(camera.grab(5.0))
    lose(camera)

    def grab_all() -> None:
        for _ in range(1000):  # a few good pictures may be waiting still
            camera.grab(5.0)

    with pytest.raises(CameraError, match="lost"):
        grab_all()
    with pytest.raises(CameraError):
        camera.grab(5.0)
    camera.close()
    camera.open()
    assert frame_of(camera.grab(5.0)).block_id == 0


def test_a_camera_that_is_unplugged_is_an_error_until_it_is_back(
    opened: Callable[..., BaslerCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = opened()
    camera.close()
    monkeypatch.setenv("PYLON_CAMEMU", "0")
    for _ in range(2):
        with pytest.raises(CameraError, match="found: none"):
            camera.open()
    monkeypatch.setenv("PYLON_CAMEMU", "1")
    camera.open()
    frame_of(camera.grab(5.0))
