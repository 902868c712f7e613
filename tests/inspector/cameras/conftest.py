"""Pictures on disk, and one of each camera over them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.config import (
    BaslerCameraConfig,
    CameraConfig,
    OpenCvCameraConfig,
    ReplayCameraConfig,
    SyntheticCameraConfig,
)

HEIGHT, WIDTH, PICTURES = 64, 96, 4
RED = (20, 20, 220)  # BGR


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of red PNGs with a grey corner that tells them apart."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(PICTURES):
        image = np.full((HEIGHT, WIDTH, 3), RED, np.uint8)
        image[:16, :16] = 40 * number
        cv2.imwrite(str(folder / f"part{number}.png"), image)
    return folder


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "belt.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (WIDTH, HEIGHT))
    for _ in range(PICTURES):
        writer.write(np.full((HEIGHT, WIDTH, 3), RED, np.uint8))
    writer.release()
    return path


@pytest.fixture
def configs(pictures: Path, video: Path) -> dict[str, CameraConfig]:
    """Every kind of camera that needs no hardware, each with at least `PICTURES` parts."""
    return {
        "synthetic": SyntheticCameraConfig(kind="synthetic", size=64),
        "replay": ReplayCameraConfig(kind="replay", folder=pictures, repeat=True),
        "opencv": OpenCvCameraConfig(kind="opencv", source=str(video)),
        "basler, software trigger": basler(images=pictures, pixel_format="RGB8Packed"),
        "basler, free-running": basler(images=pictures, pixel_format="BGR8Packed", trigger="free"),
        "basler, grey": basler(images=pictures),
    }


def basler(**settings: object) -> BaslerCameraConfig:
    return BaslerCameraConfig.model_validate({"kind": "basler", "emulated": True, "trigger": "software", **settings})


@pytest.fixture
def basler_config() -> Callable[..., BaslerCameraConfig]:
    return basler
