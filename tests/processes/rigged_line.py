"""The real line in a process of its own, with a camera that an observer can trust. Not a test: started by tests.

BELT_LOG    file that gets one byte per part, before the line sees the part (survives kill -9)
HANG        "acquisition", "inference" or "recorder": that thread hangs after three parts
"""

from __future__ import annotations

import os
import time
from typing import Any

from engines.detector import Detector
from inspector import assembly
from inspector.cameras.base import Camera
from inspector.cameras.base import make_camera as make_real_camera
from inspector.cli import main
from inspector.config import CameraConfig
from inspector.history.writer import HistoryWriter
from inspector.inspection import Capture

HANG_AFTER = 3


class CountedCamera:
    """Notes each part before it hands it over."""

    def __init__(self, camera: Camera) -> None:
        self.name = camera.name
        self._camera = camera
        self._log = os.open(os.environ["BELT_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._count = 0

    def open(self) -> None:
        self._camera.open()

    def grab(self, timeout_s: float) -> Capture | None:
        capture = self._camera.grab(timeout_s)
        if capture is not None:
            self._count += 1
            if os.environ.get("HANG") == "acquisition" and self._count > HANG_AFTER:
                time.sleep(3600)
            os.write(self._log, b".")
        return capture

    def close(self) -> None:
        self._camera.close()


def make_counted_camera(config: CameraConfig) -> Camera:
    return CountedCamera(make_real_camera(config))


def hanging(method: Any) -> Any:
    calls = 0

    def wrapper(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > HANG_AFTER:
            time.sleep(3600)
        return method(*arguments)

    return wrapper


assembly.make_camera = make_counted_camera
if "HANG" in os.environ:
    assembly.LIMIT_S = dict.fromkeys(assembly.LIMIT_S, 1.0)
if os.environ.get("HANG") == "inference":
    Detector.detect = hanging(Detector.detect)  # type: ignore[method-assign]
if os.environ.get("HANG") == "recorder":
    HistoryWriter.write = hanging(HistoryWriter.write)  # type: ignore[method-assign]

main()
