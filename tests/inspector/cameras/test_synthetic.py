"""Drawn parts follow from seed and number alone."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.cameras.synthetic import DEFECTS, SyntheticCamera, draw_part, is_defective
from inspector.config import SyntheticCameraConfig
from inspector.inspection import Frame

seeds = st.integers(0, 1_000)


@given(seed=seeds, number=st.integers(0, 10_000), free=st.booleans())
@settings(max_examples=25, deadline=None)
def test_the_same_seed_and_number_give_the_same_part(seed: int, number: int, free: bool) -> None:
    assert np.array_equal(draw_part(seed, number, False, 64, free), draw_part(seed, number, False, 64, free))


def test_another_process_draws_the_same_part() -> None:
    script = (
        "import hashlib, sys\n"
        "from inspector.cameras.synthetic import draw_part\n"
        "sys.stdout.write(hashlib.sha256(draw_part(7, 3, True, 96).tobytes()).hexdigest())\n"
    )
    drawn = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert drawn == hashlib.sha256(draw_part(7, 3, True, 96).tobytes()).hexdigest()


@given(seed=seeds, number=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_another_number_or_seed_is_another_part(seed: int, number: int) -> None:
    part = draw_part(seed, number, False, 64)
    assert not np.array_equal(part, draw_part(seed, number + 1, False, 64))
    assert not np.array_equal(part, draw_part(seed + 1, number, False, 64))


@given(seed=seeds, number=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_a_defect_changes_some_of_the_part_and_leaves_the_rest(seed: int, number: int) -> None:
    good, bad = (draw_part(seed, number, defective, 160) for defective in (False, True))
    changed = np.abs(good.astype(int) - bad.astype(int)).max(axis=2) > 10
    assert 0 < changed.mean() < 0.1


def test_every_kind_of_defect_occurs() -> None:
    drawn = {int(np.random.default_rng((0, number, 3)).integers(len(DEFECTS))) for number in range(100)}
    assert drawn == set(range(len(DEFECTS)))


@pytest.mark.parametrize(("share", "expected"), [(0.0, {False}), (1.0, {True}), (0.5, {True, False})])
def test_the_share_of_defects_is_kept(share: float, expected: set[bool]) -> None:
    assert {is_defective(1, number, share) for number in range(50)} == expected


def test_the_camera_shows_the_parts_that_the_truth_names() -> None:
    camera = SyntheticCamera(SyntheticCameraConfig(kind="synthetic", seed=5, size=64, defect_share=0.5))
    camera.open()
    for number in range(6):
        frame = camera.grab(1.0)
        assert isinstance(frame, Frame)
        assert np.array_equal(frame.image, draw_part(5, number, is_defective(5, number, 0.5), 64))


def test_a_reopened_belt_goes_on_with_the_next_part() -> None:
    camera = SyntheticCamera(SyntheticCameraConfig(kind="synthetic", size=64))
    camera.open()
    camera.grab(1.0)
    camera.close()
    camera.open()
    frame = camera.grab(1.0)
    assert isinstance(frame, Frame)
    assert frame.block_id == 1
