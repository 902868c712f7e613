"""Point clouds as pictures of depth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.datasets.depth import DepthLimits, depth_picture, learn_limits, read_xyz
from engines.errors import ImageError

Write = Callable[..., Path]


def cloud(depth: np.ndarray) -> np.ndarray:
    """x and y far outside the depths, so that a mixed-up channel shows."""
    return np.stack([np.full_like(depth, -50), np.full_like(depth, 90), depth], axis=-1).astype(np.float32)


@pytest.mark.parametrize("photometric", [1, 2])
def test_an_xyz_file_is_read_in_its_own_order_of_channels(write_tiff: Write, photometric: int) -> None:
    written = np.random.default_rng(0).random((6, 5, 3)).astype(np.float32)
    assert np.array_equal(read_xyz(write_tiff("a.tiff", written, photometric)), written)


@pytest.mark.parametrize("turned", [False, True])
def test_an_xyz_file_of_many_pages_is_put_together(tmp_path: Path, turned: bool) -> None:
    written = np.random.default_rng(0).random((6, 5, 3)).astype(np.float32)
    pages = list(np.moveaxis(written, -1, 0)) if turned else list(written)
    cv2.imwritemulti(str(tmp_path / "a.tiff"), pages)
    assert np.array_equal(read_xyz(tmp_path / "a.tiff"), written)


def test_what_is_no_cloud_is_named(draw: Write, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="missing or no TIFF"):
        read_xyz(tmp_path / "none.tiff")
    with pytest.raises(ImageError, match=r"expected \(H, W, 3\) float32"):
        read_xyz(draw("flat.tiff"))


def test_depth_is_scaled_by_fixed_limits_and_clipped() -> None:
    depth = np.array([[1.0, 2.0, 3.0, 9.0]])
    picture = depth_picture(cloud(depth), DepthLimits(1.0, 3.0))
    assert picture.dtype == np.uint8
    assert picture[0].tolist() == [[0] * 3, [128] * 3, [255] * 3, [255] * 3]


def test_an_invalid_position_takes_its_nearest_valid_depth() -> None:
    depth = np.array([[1.0, 0.0, 0.0, 0.0, 3.0], [np.nan, 0.0, 0.0, 0.0, 3.0]])
    picture = depth_picture(cloud(depth), DepthLimits(1.0, 3.0))[..., 0]
    assert picture[:, 0].tolist() == [0, 0]
    assert picture[:, 1].tolist() == [0, 0]
    assert picture[:, 3].tolist() == [255, 255]


def test_a_cloud_without_a_point_is_an_error() -> None:
    with pytest.raises(ImageError, match="without any valid point"):
        depth_picture(cloud(np.zeros((3, 3))), DepthLimits(0.0, 1.0))


def test_limits_are_robust_and_leave_room(write_tiff: Write) -> None:
    depth = np.linspace(10.0, 20.0, 10_000).reshape(100, 100)
    depth[0, 0], depth[4:8, 4:8] = 1000.0, 0.0  # one stray point, and a hole
    limits = learn_limits([write_tiff(f"{number}.tiff", cloud(depth)) for number in range(3)])
    assert 7.0 < limits.low < 8.0
    assert 22.0 < limits.high < 23.0


def test_no_cloud_gives_no_limits() -> None:
    with pytest.raises(ImageError, match="0 training clouds"):
        learn_limits([])
