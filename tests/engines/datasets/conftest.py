"""Small trees in the layouts of the public data sets."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

Draw = Callable[..., Path]


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """Write a small picture of one grey value below the test's folder; 10 by 8 px."""

    def write(name: str, grey: int = 100, square: bool = False) -> Path:
        picture = np.full((8, 10), grey, np.uint8)
        if square:
            picture[:] = 0
            picture[2:4, 3:6] = grey
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture)
        return path

    return write


@pytest.fixture
def write_tiff(tmp_path: Path) -> Draw:
    """Write a TIFF of float32 (H, W, 3) by the letter of the format: OpenCV turns channels round on both ways."""

    def write(name: str, cloud: NDArray[np.float32], photometric: int = 2) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tiff_bytes(cloud, photometric))
        return path

    return write


def tiff_bytes(cloud: NDArray[np.float32], photometric: int) -> bytes:
    height, width, channels = cloud.shape
    data = cloud.astype("<f4").tobytes()
    tags = [  # tag, type ("H": uint16, "I": uint32), count, value
        (256, "I", 1, width), (257, "I", 1, height), (258, "H", channels, 32), (259, "H", 1, 1),
        (262, "H", 1, photometric), (273, "I", 1, 8), (277, "H", 1, channels), (278, "I", 1, height),
        (279, "I", 1, len(data)), (284, "H", 1, 1), (339, "H", channels, 3),
    ]  # fmt: skip
    directory = 8 + len(data)
    behind = directory + 2 + 12 * len(tags) + 4
    entries, lists = b"", b""
    for tag, kind, count, value in tags:
        entries += struct.pack("<HHI", tag, {"H": 3, "I": 4}[kind], count)
        if count > 1:
            entries += struct.pack("<I", behind + len(lists))
            lists += struct.pack(f"<{count}{kind}", *([value] * count))
        else:
            entries += struct.pack(f"<{kind}", value).ljust(4, b"\0")
    return b"II*\0" + struct.pack("<I", directory) + data + struct.pack("<H", len(tags)) + entries + bytes(4) + lists
