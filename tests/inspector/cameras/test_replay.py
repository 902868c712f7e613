"""Pictures of a folder, one of which may be broken."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engines.image import read_image
from inspector.cameras.replay import ReplayCamera
from inspector.config import ReplayCameraConfig
from inspector.inspection import CameraFault, Frame, Reason

if TYPE_CHECKING:
    from tests.inspector.conftest import FakeClock


def test_pictures_come_in_the_order_of_their_names(pictures: Path, clock: FakeClock) -> None:
    camera = ReplayCamera(ReplayCameraConfig(kind="replay", folder=pictures), clock)
    camera.open()
    for number in range(4):
        frame = camera.grab(1.0)
        assert isinstance(frame, Frame)
        assert np.array_equal(frame.image, read_image(pictures / f"part{number}.png"))
        assert (frame.captured_ns, frame.captured_us) == (clock.now_ns(), clock.utc_us())


def test_a_corrupt_picture_is_a_fault_of_that_part_and_the_next_one_follows(pictures: Path) -> None:
    (pictures / "part1.png").write_bytes(b"no picture")
    (pictures / "part2.png").write_bytes(b"")
    camera = ReplayCamera(ReplayCameraConfig(kind="replay", folder=pictures))
    camera.open()
    captures = [camera.grab(1.0) for _ in range(4)]
    assert [type(capture) for capture in captures] == [Frame, CameraFault, CameraFault, Frame]
    fault = captures[1]
    assert isinstance(fault, CameraFault)
    assert (fault.block_id, fault.reason) == (1, Reason.GRAB_FAILED)
    assert "part1.png" in fault.detail


def test_a_picture_that_vanished_is_a_fault_as_well(pictures: Path) -> None:
    camera = ReplayCamera(ReplayCameraConfig(kind="replay", folder=pictures))
    camera.open()
    (pictures / "part0.png").unlink()
    assert isinstance(camera.grab(1.0), CameraFault)
    assert isinstance(camera.grab(1.0), Frame)


def test_a_repeating_replay_begins_again_and_counts_on(pictures: Path) -> None:
    camera = ReplayCamera(ReplayCameraConfig(kind="replay", folder=pictures, repeat=True))
    camera.open()
    frames = [camera.grab(1.0) for _ in range(5)]
    assert isinstance(frames[0], Frame)
    assert isinstance(frames[4], Frame)
    assert np.array_equal(frames[0].image, frames[4].image)
    assert frames[4].block_id == 4
