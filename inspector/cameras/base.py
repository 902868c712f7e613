"""What every camera offers, and the one table of those there are."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from inspector.config import (
    BaslerCameraConfig,
    CameraConfig,
    OpenCvCameraConfig,
    ReplayCameraConfig,
    SyntheticCameraConfig,
)
from inspector.inspection import Capture


class EndOfParts(Exception):
    """A finite source has shown its last part. Not a fault: real cameras never raise it."""


class Camera(Protocol):
    """A source of parts. Opened, used and closed by one thread."""

    name: str

    def open(self) -> None:
        """Connect and apply the settings; also after `close`, to reconnect.

        Raises:
            CameraError: it isn't there or refuses a setting.
        """

    def grab(self, timeout_s: float) -> Capture | None:
        """The next part, as a frame or as a fault; None when no part came within the time.

        Raises:
            CameraError: the camera was lost.
            EndOfParts: the source is finite and at its end.
        """

    def close(self) -> None:
        """Disconnect; may be called twice."""


class Pacer:
    """Lets parts come at a steady rate; a part that was late does not delay the ones after it."""

    def __init__(self, rate_hz: float) -> None:
        """`rate_hz` 0: as fast as they are asked for."""
        self._period_s = 1 / rate_hz if rate_hz else 0.0
        self._due_s: float | None = None

    def wait(self, timeout_s: float) -> bool:
        """Sleep until the next part is due; False when that is beyond the time."""
        now = time.monotonic()
        due = now if self._due_s is None else self._due_s
        if due - now > timeout_s:
            time.sleep(timeout_s)
            return False
        if due > now:
            time.sleep(due - now)
        self._due_s = due + self._period_s if self._period_s else None
        return True


def _basler(config: CameraConfig) -> Camera:
    from inspector.cameras.basler import BaslerCamera

    assert isinstance(config, BaslerCameraConfig)
    return BaslerCamera(config)


def _opencv(config: CameraConfig) -> Camera:
    from inspector.cameras.opencv import OpenCvCamera

    assert isinstance(config, OpenCvCameraConfig)
    return OpenCvCamera(config)


def _replay(config: CameraConfig) -> Camera:
    from inspector.cameras.replay import ReplayCamera

    assert isinstance(config, ReplayCameraConfig)
    return ReplayCamera(config)


def _synthetic(config: CameraConfig) -> Camera:
    from inspector.cameras.synthetic import SyntheticCamera

    assert isinstance(config, SyntheticCameraConfig)
    return SyntheticCamera(config)


CAMERAS: dict[str, Callable[[CameraConfig], Camera]] = {
    "basler": _basler,
    "opencv": _opencv,
    "replay": _replay,
    "synthetic": _synthetic,
}


def make_camera(config: CameraConfig) -> Camera:
    """The camera that the config names, not yet opened."""
    return CAMERAS[config.kind](config)
