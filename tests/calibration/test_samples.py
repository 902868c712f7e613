"""Good parts and their roles."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import SampleError
from calibration.samples import Sample, Shares, list_samples, split_roles, unused

samples = st.lists(
    st.tuples(st.integers(0, 1000), st.integers(0, 60)), min_size=60, max_size=200, unique_by=lambda pair: pair[0]
).map(lambda pairs: [Sample(Path(f"{name}.png"), f"part{group}") for name, group in pairs])


@given(samples)
def test_every_picture_gets_one_role_and_no_part_gets_two(given_samples: list[Sample]) -> None:
    if len({sample.group for sample in given_samples}) < 10:
        return
    roles = split_roles(given_samples)
    assert sorted(s.path for members in roles.values() for s in members) == sorted(s.path for s in given_samples)
    groups = [{sample.group for sample in members} for members in roles.values()]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]


def test_roles_do_not_depend_on_the_order_of_the_pictures() -> None:
    parts = [Sample(Path(f"{number}.png"), str(number)) for number in range(100)]
    forward, backward = split_roles(parts), split_roles(parts[::-1])
    assert {role: {s.group for s in members} for role, members in forward.items()} == {
        role: {s.group for s in members} for role, members in backward.items()
    }
    assert [len(members) for members in forward.values()] == [60, 10, 30]


def test_too_few_parts_for_every_role_is_an_error() -> None:
    with pytest.raises(SampleError, match="collect more"):
        split_roles([Sample(Path("a.png"), "a")])


def test_shares_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(SampleError, match="add up to 1"):
        split_roles([Sample(Path("a.png"), "a")], Shares(0.5, 0.5, 0.5))


def test_a_sub_folder_is_one_session(tmp_path: Path) -> None:
    (tmp_path / "monday").mkdir()
    for name in ("monday/a.png", "monday/b.png", "c.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((4, 4, 3), np.uint8))
    assert {s.path.name: s.group for s in list_samples(tmp_path)} == {
        "a.png": "monday",
        "b.png": "monday",
        "c.png": "c.png",
    }


def test_used_and_repeated_pictures_are_not_free() -> None:
    assert unused(["a", "b", "a", "c"], ["c"]) == [True, True, False, False]
