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


def made_in(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.zeros((4, 4, 3), np.uint8))
    return folder


def test_a_sub_folder_is_one_session_and_a_folder_in_it_one_part(tmp_path: Path) -> None:
    made_in(tmp_path, "monday/a.png", "monday/b.png", "monday/seven/1.png", "monday/seven/2.png", "c.png")
    found = {s.path.relative_to(tmp_path).as_posix(): (s.part, s.session, s.group) for s in list_samples(tmp_path)}
    assert found == {
        "monday/a.png": ("monday/a.png", "monday", "monday"),
        "monday/b.png": ("monday/b.png", "monday", "monday"),
        "monday/seven/1.png": ("monday/seven", "monday", "monday"),
        "monday/seven/2.png": ("monday/seven", "monday", "monday"),
        "c.png": ("c.png", "", "c.png"),
    }


def test_a_sub_folder_can_be_one_part_instead(tmp_path: Path) -> None:
    made_in(tmp_path, "seven/1.png", "seven/2.png", "c.png")
    assert [(s.group, s.session) for s in list_samples(tmp_path, "part")] == [
        ("c.png", ""),
        ("seven", ""),
        ("seven", ""),
    ]


def test_used_and_repeated_pictures_are_not_free() -> None:
    assert unused(["a", "b", "a", "c"], ["1", "2", "3", "4"], ["c"]) == [True, True, False, False]


def test_another_picture_of_a_taught_part_is_not_free() -> None:
    assert unused(["a", "b", "c"], ["seven", "seven", "eight"], ["a"]) == [False, False, True]
