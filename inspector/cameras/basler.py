"""Basler cameras through pylon, its emulator included. The only home of pypylon.

Observed (pypylon 26.9, emulator): a failed buffer may carry error code 0 and stale pixels, so `GrabSucceeded` alone is
trusted; a trigger that comes too early is lost without a word, so `WaitForFrameTriggerReady`; `RetrieveResult` returns
at once when grabbing has stopped. GenICam's exceptions are no Python built-ins.
"""

from __future__ import annotations

import os
from collections import deque
from typing import Any

import cv2
import numpy as np
from pypylon import genicam, pylon

from engines.image import Image
from inspector.cameras.base import Pacer
from inspector.clock import Clock, SystemClock
from inspector.config import BaslerCameraConfig
from inspector.errors import CameraError
from inspector.inspection import CameraFault, Capture, Frame, Reason

EMULATED_CLASS = "BaslerCamEmu"
PICTURE_TIMEOUT_MS = 1000  # from trigger to picture; the slowest sensor reads out in a tenth of it


class BaslerCamera:
    """One camera; one picture per trigger."""

    def __init__(self, config: BaslerCameraConfig, clock: Clock | None = None) -> None:
        self.name = config.name
        self._config = config
        self._clock = clock or SystemClock()
        self._pacer = Pacer(config.rate_hz)
        self._camera: Any = None
        self._converter: Any = None
        self._last_block: int | None = None
        self._lost: deque[Capture] = deque()
        self._is_overdue = False  # a trigger's picture may still come

    def open(self) -> None:
        try:
            self._camera = pylon.InstantCamera(pylon.TlFactory.GetInstance().CreateDevice(self._find()))
            self._camera.Open()
            self._apply_settings()
            self._last_block, self._is_overdue = None, False
            self._camera.StartGrabbing(pylon.GrabStrategy_OneByOne)
        except CameraError:
            self.close()
            raise
        except genicam.GenericException as error:
            self.close()
            raise CameraError(f"camera {self.name}: {_text(error)}; check cable, power and settings") from error

    def grab(self, timeout_s: float) -> Capture | None:
        if self._lost:
            return self._lost.popleft()
        try:
            if self._config.trigger == "software":
                return self._triggered(timeout_s)
            return self._awaited(timeout_s)
        except genicam.GenericException as error:
            raise CameraError(f"camera {self.name} was lost: {_text(error)}") from error

    def close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is None:
            return
        try:
            camera.Close()
            camera.DestroyDevice()
        except genicam.GenericException:
            pass  # already gone: that is what closing is for

    def _triggered(self, timeout_s: float) -> Capture | None:
        if self._is_overdue:
            # It would be taken for the next part's, and every later one for the part after its own.
            raise CameraError(f"camera {self.name} owes a picture; opened again, pictures and triggers are in step")
        if not self._pacer.wait(timeout_s):
            return None
        if not self._camera.WaitForFrameTriggerReady(PICTURE_TIMEOUT_MS, pylon.TimeoutHandling_Return):
            raise CameraError(f"camera {self.name} is not ready for a trigger after {PICTURE_TIMEOUT_MS} ms")
        now_ns, now_us = self._clock.now_ns(), self._clock.utc_us()
        try:
            self._camera.ExecuteSoftwareTrigger()
            capture = self._take(PICTURE_TIMEOUT_MS, now_ns, now_us)
        except genicam.GenericException as error:
            # The part was triggered: it is counted, and the loss shows at the next grab.
            self._is_overdue = True
            return CameraFault(self.name, None, now_ns, now_us, Reason.GRAB_FAILED, _text(error))
        if capture is None:
            self._is_overdue = True
            detail = f"no picture {PICTURE_TIMEOUT_MS} ms after the trigger"
            return CameraFault(self.name, None, now_ns, now_us, Reason.GRAB_FAILED, detail)
        return capture

    def _awaited(self, timeout_s: float) -> Capture | None:
        if not self._camera.IsGrabbing():
            raise CameraError(f"camera {self.name} stopped grabbing")
        return self._take(max(1, round(timeout_s * 1000)))

    def _take(self, timeout_ms: int, captured_ns: int | None = None, captured_us: int | None = None) -> Capture | None:
        with self._camera.RetrieveResult(timeout_ms, pylon.TimeoutHandling_Return) as result:
            if not result.IsValid():
                return None
            captured_ns = captured_ns or self._clock.now_ns()
            captured_us = captured_us or self._clock.utc_us()
            block = int(result.BlockID)
            if result.GrabSucceeded():
                capture: Capture = Frame(self.name, block, captured_ns, captured_us, self._to_bgr(result))
            else:
                detail = f"{result.ErrorDescription or 'incomplete picture'} (code {result.ErrorCode})"
                capture = CameraFault(self.name, block, captured_ns, captured_us, Reason.GRAB_FAILED, detail)
        return self._after_gap(block, capture)

    def _after_gap(self, block: int, capture: Capture) -> Capture:
        """Block ids that were skipped are parts without a picture; they come before this one."""
        missing = range(block if self._last_block is None else self._last_block + 1, block)
        self._last_block = block
        for lost in missing:
            detail = f"block id {lost} never came"
            fault = CameraFault(self.name, lost, capture.captured_ns, capture.captured_us, Reason.LOST_FRAME, detail)
            self._lost.append(fault)
        if not missing:
            return capture
        self._lost.append(capture)
        return self._lost.popleft()

    def _to_bgr(self, result: Any) -> Image:
        if result.PixelType == pylon.PixelType_Mono8:
            return np.asarray(cv2.cvtColor(result.Array, cv2.COLOR_GRAY2BGR), np.uint8)
        if self._converter is None:
            self._converter = pylon.ImageFormatConverter()
            self._converter.OutputPixelFormat = pylon.PixelType_BGR8packed
        return np.array(self._converter.Convert(result).GetArray(), np.uint8)

    def _find(self) -> Any:
        wanted = pylon.DeviceInfo()
        if self._config.emulated:
            os.environ.setdefault("PYLON_CAMEMU", "1")  # read by pylon at each enumeration
            wanted.SetDeviceClass(EMULATED_CLASS)
        if self._config.serial:
            wanted.SetSerialNumber(self._config.serial)
        found = pylon.TlFactory.GetInstance().EnumerateDevices([wanted])
        if len(found) == 1 or (found and self._config.emulated):
            return found[0]
        asked = f"serial {self._config.serial!r}" if self._config.serial else "without a serial"
        serials = ", ".join(device.GetSerialNumber() for device in found) or "none"
        raise CameraError(f"camera {self.name}: {len(found)} Basler cameras fit {asked} (found: {serials}); set serial")

    def _apply_settings(self) -> None:
        """All of them at every opening: a camera that lost power comes back with its own."""
        camera, config = self._camera, self._config
        if config.pixel_format:
            camera.PixelFormat.Value = config.pixel_format
        if config.emulated:
            self._apply_emulator()
        camera.TriggerSelector.Value = "FrameStart"
        camera.TriggerMode.Value = "Off" if config.trigger == "free" else "On"
        if config.trigger != "free":
            camera.TriggerSource.Value = "Software" if config.trigger == "software" else config.trigger_source
        if config.exposure_us is not None:
            _set_first(camera, ("ExposureTime", "ExposureTimeAbs"), config.exposure_us)
        if config.gain_db is not None:
            _set_first(camera, ("Gain", "GainAbs"), config.gain_db)

    def _apply_emulator(self) -> None:
        if self._config.images is None:
            return
        if not self._config.images.is_dir():
            raise CameraError(f"camera {self.name}: images {self._config.images} is not a folder")
        self._camera.TestImageSelector.Value = "Off"
        self._camera.ImageFilename.Value = str(self._config.images.resolve())
        self._camera.ImageFileMode.Value = "On"
        # The emulator sleeps for its exposure; as short as it goes, the belt alone sets the pace.
        self._camera.ExposureTimeAbs.Value = 100
        self._camera.AcquisitionFrameRateAbs.Value = 5000


def list_cameras() -> list[str]:
    """Serial numbers of the Basler cameras that are there, emulated ones left out unless PYLON_CAMEMU is set."""
    return [device.GetSerialNumber() for device in pylon.TlFactory.GetInstance().EnumerateDevices()]


def _set_first(camera: Any, names: tuple[str, ...], value: float) -> None:
    """Set the first of several names of one setting: they differ between camera generations."""
    for name in names:
        node = getattr(camera, name, None)
        if node is not None and genicam.IsWritable(node.Node if hasattr(node, "Node") else node):
            node.Value = value
            return
    raise CameraError(f"the camera has no writable {' or '.join(names)}; remove the setting")


def _text(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
