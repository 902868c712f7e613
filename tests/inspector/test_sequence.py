"""Part numbers never repeat: not over a restart, not after kill -9, not after power loss."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import SequenceError
from inspector.sequence import BLOCK, LAYOUT, MAGIC, SequenceFile, read_machine_boot

BOOT, NEXT_BOOT = b"a" * 16, b"b" * 16


class Stored(NamedTuple):
    magic: bytes
    upcoming: int
    reserved: int
    boot: bytes


def stored(path: Path) -> Stored:
    return Stored(*LAYOUT.unpack_from(path.read_bytes()))


class Disk:
    """What power loss would leave of a file: its content at the last sync."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._synced = b""

    def sync(self) -> None:
        self._synced = self.path.read_bytes()

    def synced(self) -> Stored:
        return Stored(*LAYOUT.unpack_from(self._synced))

    def lose_power(self) -> None:
        self.path.unlink()  # an older mapping no longer reaches the file
        self.path.write_bytes(self._synced)


@contextmanager
def watched(path: Path) -> Iterator[Disk]:
    disk = Disk(path)

    class WatchedMap(mmap.mmap):
        def flush(self, *range_: int) -> None:
            super().flush(*range_)
            disk.sync()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmap, "mmap", WatchedMap)
        yield disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with watched(tmp_path / "sequence") as seen:
        yield seen


def test_the_first_number_is_one(tmp_path: Path) -> None:
    numbers = SequenceFile(tmp_path / "new" / "sequence", BOOT)
    assert [numbers.take() for _ in range(3)] == [1, 2, 3]
    numbers.close()


def test_numbers_go_on_after_a_clean_restart(tmp_path: Path) -> None:
    path = tmp_path / "sequence"
    first = SequenceFile(path, BOOT)
    assert [first.take(), first.take()] == [1, 2]
    first.close()
    second = SequenceFile(path, BOOT)
    assert second.upcoming == 3
    assert second.take() == 3
    second.close()


def test_kill_loses_no_number_and_skips_none(tmp_path: Path) -> None:
    path = tmp_path / "sequence"
    killed = SequenceFile(path, BOOT)
    taken = [killed.take() for _ in range(5)]
    restarted = SequenceFile(path, BOOT)  # the killed one never closed
    assert restarted.upcoming == taken[-1] + 1
    restarted.close()


def test_after_power_loss_every_number_that_may_have_been_given_is_skipped(disk: Disk) -> None:
    numbers = SequenceFile(disk.path, BOOT)
    given_out = [numbers.take() for _ in range(100)]
    disk.lose_power()
    restarted = SequenceFile(disk.path, NEXT_BOOT)
    assert restarted.upcoming > max(given_out)
    assert restarted.upcoming <= 1 + BLOCK  # the doubt is bounded
    restarted.close()


def test_a_machine_without_a_boot_id_counts_as_restarted_each_time(tmp_path: Path) -> None:
    path = tmp_path / "sequence"
    numbers = SequenceFile(path, bytes(16))
    numbers.take()
    numbers.close()
    restarted = SequenceFile(path, bytes(16))
    assert restarted.upcoming == stored(path).reserved == 1 + BLOCK
    restarted.close()


def test_this_machine_tells_a_boot_id_that_stays(tmp_path: Path) -> None:
    assert len(read_machine_boot()) == 16
    assert read_machine_boot() == read_machine_boot()


def test_no_number_is_given_out_that_is_not_reserved_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "sequence"
    numbers = SequenceFile(path, BOOT)
    for _ in range(3 * BLOCK):
        assert numbers.take() < stored(path).reserved
    numbers.close()


def test_a_block_is_synced_before_its_first_number_is_given_out(disk: Disk) -> None:
    numbers = SequenceFile(disk.path, BOOT)
    for _ in range(2 * BLOCK + 1):
        assert numbers.take() < disk.synced().reserved
    numbers.close()


def test_a_reservation_that_a_killed_run_had_not_synced_is_synced_at_the_start(disk: Disk) -> None:
    SequenceFile(disk.path, BOOT).close()
    page = bytearray(disk.path.read_bytes())
    LAYOUT.pack_into(page, 0, MAGIC, 5, 1000, BOOT)  # stored, not synced: killed in between
    disk.path.write_bytes(page)
    numbers = SequenceFile(disk.path, BOOT)
    assert disk.synced().reserved == 1000
    assert numbers.take() == 5
    numbers.close()


def test_skip_to_never_goes_back(tmp_path: Path) -> None:
    path = tmp_path / "sequence"
    numbers = SequenceFile(path, BOOT)
    numbers.skip_to(5000)
    assert numbers.take() == 5000
    numbers.skip_to(10)
    assert numbers.take() == 5001
    assert stored(path).reserved > 5001
    numbers.close()


def test_reserving_ahead_leaves_take_nothing_to_wait_for(tmp_path: Path) -> None:
    path = tmp_path / "sequence"
    numbers = SequenceFile(path, BOOT)
    for expected in range(1, 2000):
        numbers.reserve_ahead()
        assert numbers._reserved - numbers.upcoming >= BLOCK // 2
        assert numbers.take() == expected
    numbers.close()


def test_closing_twice_is_allowed(tmp_path: Path) -> None:
    numbers = SequenceFile(tmp_path / "sequence", BOOT)
    numbers.close()
    numbers.close()
    assert stored(tmp_path / "sequence").magic == MAGIC


steps = st.lists(
    st.sampled_from(["take", "take", "take", "many", "ahead", "restart", "kill", "power loss", "skip"]), max_size=40
)


@given(steps)
@settings(max_examples=80, deadline=None)
def test_numbers_only_ever_rise_whatever_happens(steps: list[str]) -> None:
    with TemporaryDirectory() as name, watched(Path(name) / "sequence") as disk:
        boot, taken = 1, [0]
        numbers = SequenceFile(disk.path, boot.to_bytes(16, "big"))
        killed: list[SequenceFile] = []  # kept, so that nothing of them is tidied up
        for step in steps:
            if step == "take":
                taken.append(numbers.take())
            elif step == "many":
                taken += [numbers.take() for _ in range(200)]
            elif step == "ahead":
                numbers.reserve_ahead()
            elif step == "skip":
                numbers.skip_to(numbers.upcoming + 7)
            elif step == "restart":
                numbers.close()
                numbers = SequenceFile(disk.path, boot.to_bytes(16, "big"))
            elif step == "kill":
                killed.append(numbers)
                upcoming = numbers.upcoming
                numbers = SequenceFile(disk.path, boot.to_bytes(16, "big"))
                assert numbers.upcoming == upcoming
            else:
                killed.append(numbers)
                boot += 1
                disk.lose_power()
                numbers = SequenceFile(disk.path, boot.to_bytes(16, "big"))
        numbers.close()
        assert all(later > earlier for earlier, later in pairwise(taken))


def test_two_threads_share_it_without_a_repeated_number(tmp_path: Path) -> None:
    numbers = SequenceFile(tmp_path / "sequence", BOOT)
    finished = threading.Event()

    def reserve() -> None:
        while not finished.is_set():
            numbers.reserve_ahead()

    thread = threading.Thread(target=reserve)
    thread.start()
    try:
        taken = [numbers.take() for _ in range(20_000)]
    finally:
        finished.set()
        thread.join(20)
    assert taken == list(range(1, 20_001))
    assert stored(tmp_path / "sequence").reserved > 20_000
    numbers.close()


@pytest.mark.parametrize("size", [10, 4096, 10_000])
def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path, size: int) -> None:
    path = tmp_path / "sequence"
    path.write_bytes(b"x" * size)
    with pytest.raises(SequenceError, match="sequence"):
        SequenceFile(path, BOOT)
    assert path.read_bytes() == b"x" * size


def test_a_path_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="check disk"):
        SequenceFile(tmp_path, BOOT)
