"""Streams that end, and those that must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.cameras.opencv import OpenCvCamera
from inspector.config import OpenCvCameraConfig
from inspector.errors import CameraError
from inspector.inspection import Frame


def test_a_stream_that_gives_no_more_pictures_was_lost(video: Path) -> None:
    """A stream has no end: what ends a file is the loss of a camera."""
    camera = OpenCvCamera(OpenCvCameraConfig(kind="opencv", source=f"file://{video}"))
    camera.open()
    for _ in range(4):
        assert isinstance(camera.grab(1.0), Frame)
    with pytest.raises(CameraError, match="no more pictures"):
        camera.grab(1.0)
    camera.open()
    assert isinstance(camera.grab(1.0), Frame)
    camera.close()


def test_a_closed_camera_gives_no_pictures(video: Path) -> None:
    camera = OpenCvCamera(OpenCvCameraConfig(kind="opencv", source=str(video)))
    with pytest.raises(CameraError, match="not open"):
        camera.grab(1.0)
    camera.open()
    camera.close()
    with pytest.raises(CameraError, match="not open"):
        camera.grab(1.0)
