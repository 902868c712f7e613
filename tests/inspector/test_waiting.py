"""Cameras share one engine fairly: one that floods, is slow or ends takes nothing from the others."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.waiting import Waiting

if TYPE_CHECKING:
    from tests.inspector.conftest import Make


def test_a_flooding_camera_delays_another_by_one_part_at_most(make: Make) -> None:
    waiting = Waiting(8)
    flood, calm = waiting.add_lane(), waiting.add_lane()
    assert [flood.offer(make.part(number)) for number in range(1, 11)] == [True] * 8 + [False] * 2
    assert calm.offer(make.part(11))
    assert 11 in [part.sequence for part in (waiting.get(0), waiting.get(0)) if part]


@given(st.lists(st.lists(st.booleans(), max_size=8), min_size=1, max_size=4))
def test_lanes_are_taken_in_turns_and_each_keeps_its_order(make: Make, wanted: list[list[bool]]) -> None:
    waiting = Waiting(8)
    lanes = [waiting.add_lane() for _ in wanted]
    for camera, (lane, parts) in enumerate(zip(lanes, wanted)):
        for number in range(len(parts)):
            assert lane.offer(make.part(100 * camera + number))
        lane.end()
    seen = []
    while (part := waiting.get(0)) is not None:
        seen.append(divmod(part.sequence, 100))
    expected = sorted(
        ((camera, number) for camera, parts in enumerate(wanted) for number in range(len(parts))),
        key=lambda entry: (entry[1], entry[0]),
    )
    assert seen == expected


def test_a_camera_at_its_end_does_not_end_the_others(make: Make) -> None:
    waiting = Waiting(2)
    ended, going = waiting.add_lane(), waiting.add_lane()
    ended.end()
    with pytest.raises(queue.Empty):
        waiting.get(0.001)
    assert going.offer(make.part(1))
    assert waiting.get(0) is not None
    going.end()
    assert waiting.get(0) is None
    assert waiting.get(0) is None  # for every thread that asks
