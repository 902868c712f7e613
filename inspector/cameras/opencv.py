"""USB cameras, video files and network streams through OpenCV. Free-running: every picture is a part."""

from __future__ import annotations

import cv2
import numpy as np

from inspector.cameras.base import EndOfParts, Pacer
from inspector.clock import Clock, SystemClock
from inspector.config import OpenCvCameraConfig
from inspector.errors import CameraError
from inspector.inspection import Capture, Frame


class OpenCvCamera:
    """One `cv2.VideoCapture`."""

    def __init__(self, config: OpenCvCameraConfig, clock: Clock | None = None) -> None:
        self.name = config.name
        self._source = config.source
        self._is_file = isinstance(config.source, str) and "://" not in config.source
        self._clock = clock or SystemClock()
        self._pacer = Pacer(config.rate_hz)
        self._capture: cv2.VideoCapture | None = None
        self._count = 0

    def open(self) -> None:
        self.close()
        self._capture = cv2.VideoCapture(self._source)
        if not self._capture.isOpened():
            self.close()
            raise CameraError(
                f"camera {self.name}: OpenCV can't open {self._source!r}; check the number, path or address"
            )

    def grab(self, timeout_s: float) -> Capture | None:
        if self._capture is None:
            raise CameraError(f"camera {self.name} is not open")
        if not self._pacer.wait(timeout_s):
            return None
        ok, image = self._capture.read()
        if not ok or image is None:
            if self._is_file:
                raise EndOfParts
            raise CameraError(f"camera {self.name}: {self._source!r} gives no more pictures; check cable and network")
        block, self._count = self._count, self._count + 1
        bgr = np.ascontiguousarray(image, dtype=np.uint8)
        return Frame(self.name, block, self._clock.now_ns(), self._clock.utc_us(), bgr)

    def close(self) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()
