"""The pictures of a folder as if a camera took them: for commissioning and for judging old parts again."""

from __future__ import annotations

from pathlib import Path

from engines.errors import ImageError
from engines.image import list_images, read_image
from inspector.cameras.base import EndOfParts, Pacer
from inspector.clock import Clock, SystemClock
from inspector.config import ReplayCameraConfig
from inspector.errors import CameraError
from inspector.inspection import CameraFault, Capture, Frame, Reason


class ReplayCamera:
    """Pictures in the order of their names; the block id is the place in that order, counting on when repeating."""

    def __init__(self, config: ReplayCameraConfig, clock: Clock | None = None) -> None:
        self.name = config.name
        self._folder, self._repeats = config.folder, config.repeat
        self._clock = clock or SystemClock()
        self._pacer = Pacer(config.rate_hz)
        self._paths: list[Path] = []
        self._count = 0

    def open(self) -> None:
        try:
            self._paths = list_images(self._folder)
        except ImageError as error:
            raise CameraError(f"camera {self.name}: {error}") from error

    def grab(self, timeout_s: float) -> Capture | None:
        if self._count >= len(self._paths) and not (self._repeats and self._paths):
            raise EndOfParts
        if not self._pacer.wait(timeout_s):
            return None
        block, self._count = self._count, self._count + 1
        now_ns, now_us = self._clock.now_ns(), self._clock.utc_us()
        try:
            image = read_image(self._paths[block % len(self._paths)])
        except ImageError as error:
            return CameraFault(self.name, block, now_ns, now_us, Reason.GRAB_FAILED, str(error))
        return Frame(self.name, block, now_ns, now_us, image)

    def close(self) -> None:
        """Nothing is held open between pictures."""
