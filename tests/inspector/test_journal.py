"""The ejector's journal: what was acknowledged is read again, and nothing is read that was not written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector import journal as journal_module
from inspector.errors import JournalError
from inspector.inspection import Outcome
from inspector.journal import Journal
from inspector.messages import Entry

if TYPE_CHECKING:
    from tests.inspector.conftest import Make


@contextmanager
def opened(folder: Path) -> Iterator[Journal]:
    journal = Journal(folder)
    try:
        yield journal
    finally:
        journal.close()


def fill(folder: Path, entries: list[Entry]) -> None:
    with opened(folder) as journal:
        for entry in entries:
            journal.append(entry)


def run_python(script: str, folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(folder)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(journal_module, "SEGMENT", 3)
    return 3


def test_an_empty_journal_holds_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "new" / "journal") as journal:
        assert journal.span() == (0, 0)
        assert journal.find(1) is None
        assert journal.after(0, 10) == []


def test_an_entry_is_found_as_soon_as_it_is_appended(tmp_path: Path, make: Make) -> None:
    with opened(tmp_path) as journal:
        journal.append(make.entry(5, Outcome.REJECT))
        assert journal.find(5) == make.entry(5, Outcome.REJECT)
        assert journal.find(4) is None
        assert journal.span() == (0, 5)


def test_after_gives_what_is_above_a_sequence_ascending_and_not_more_than_asked(tmp_path: Path, make: Make) -> None:
    with opened(tmp_path) as journal:
        for sequence in (1, 2, 3, 4, 5):
            journal.append(make.entry(sequence))
        assert [entry.sequence for entry in journal.after(2, 2)] == [3, 4]
        assert [entry.sequence for entry in journal.after(5, 2)] == []
        assert [entry.sequence for entry in journal.after(0, 99)] == [1, 2, 3, 4, 5]


def test_entries_out_of_order_come_back_in_order(tmp_path: Path, make: Make) -> None:
    numbers = [5, 2, 9, 1, 7]
    fill(tmp_path, [make.entry(number) for number in numbers])
    with opened(tmp_path) as journal:
        assert [entry.sequence for entry in journal.after(0, 99)] == sorted(numbers)
        assert journal.span() == (0, 9)


def test_a_reopened_journal_goes_on_where_it_was(tmp_path: Path, make: Make) -> None:
    fill(tmp_path, [make.entry(1), make.entry(2, Outcome.ERROR)])
    fill(tmp_path, [make.entry(3, Outcome.REJECT)])
    with opened(tmp_path) as journal:
        assert [entry.outcome for entry in journal.after(0, 9)] == [Outcome.GOOD, Outcome.ERROR, Outcome.REJECT]


def test_an_appended_entry_is_with_the_kernel_before_append_returns(tmp_path: Path, make: Make) -> None:
    """The child is killed by its own hand: no close, no flush, no exit handler."""
    code, _ = run_python(
        """
        import os, signal, sys
        from pathlib import Path
        from inspector.inspection import Outcome
        from inspector.journal import Journal
        from inspector.messages import Entry
        Journal(Path(sys.argv[1])).append(Entry(sequence=1, boot="boot1", outcome=Outcome.GOOD, reason=None))
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        tmp_path / "journal",
    )
    assert code == -signal.SIGKILL
    with opened(tmp_path / "journal") as journal:
        assert journal.find(1) == make.entry(1)


def test_closing_twice_is_allowed(tmp_path: Path, make: Make) -> None:
    journal = Journal(tmp_path)
    journal.append(make.entry(1))
    journal.close()
    journal.close()
    assert len(files(tmp_path)) == 1


@given(kept=st.integers(0, 3), share=st.floats(0, 1, exclude_max=True), tail=st.binary(max_size=40))
@settings(max_examples=40, deadline=None)
def test_a_torn_last_line_is_cut_off_and_the_rest_kept(make: Make, kept: int, share: float, tail: bytes) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, [make.entry(number) for number in range(1, kept + 2)])
        path = files(folder)[0]
        lines = path.read_bytes().splitlines(keepends=True)
        torn = lines[-1][: int((len(lines[-1]) - 1) * share)] + tail.replace(b"\n", b"")
        path.write_bytes(b"".join(lines[:-1]) + torn)
        with opened(folder) as journal:
            assert [entry.sequence for entry in journal.after(0, 9)] == list(range(1, kept + 1))
            journal.append(make.entry(9))
        with opened(folder) as journal:
            assert [entry.sequence for entry in journal.after(0, 9)] == [*range(1, kept + 1), 9]


def test_a_last_line_of_zeros_as_power_loss_leaves_it_is_cut_off(tmp_path: Path, make: Make) -> None:
    fill(tmp_path, [make.entry(1)])
    with open(files(tmp_path)[0], "ab") as file:
        file.write(bytes(4096))
    with opened(tmp_path) as journal:
        assert journal.span() == (0, 1)
    assert b"\0" not in files(tmp_path)[0].read_bytes()


@pytest.mark.parametrize("at", [0, 9, 30], ids=["checksum", "content", "middle"])
def test_damage_before_the_last_line_is_an_error_that_names_the_file(tmp_path: Path, make: Make, at: int) -> None:
    fill(tmp_path, [make.entry(number) for number in (1, 2, 3)])
    path = files(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[at] ^= 0x01
    path.write_bytes(data)
    with pytest.raises(JournalError, match=path.name):
        Journal(tmp_path)
    assert path.read_bytes() == data  # kept as it is, for the analysis


def test_a_torn_line_in_an_older_file_is_damage(tmp_path: Path, make: Make, small_segments: int) -> None:
    fill(tmp_path, [make.entry(number) for number in range(1, small_segments + 2)])
    oldest = files(tmp_path)[0]
    oldest.write_bytes(oldest.read_bytes()[:-5])
    with pytest.raises(JournalError, match=oldest.name):
        Journal(tmp_path)


def test_a_journal_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("in the way")
    with pytest.raises(JournalError, match="check disk"):
        Journal(tmp_path / "journal")


def test_prune_deletes_only_files_that_are_settled_as_a_whole(tmp_path: Path, make: Make, small_segments: int) -> None:
    with opened(tmp_path) as journal:
        for number in range(1, 9):
            journal.append(make.entry(number))
        assert len(files(tmp_path)) == 3
        journal.prune(5)
        assert len(files(tmp_path)) == 2
        assert journal.find(3) is None
        assert [entry.sequence for entry in journal.after(0, 99)] == [4, 5, 6, 7, 8]
        assert journal.span() == (3, 8)


def test_prune_never_deletes_the_newest_file(tmp_path: Path, make: Make, small_segments: int) -> None:
    with opened(tmp_path) as journal:
        for number in range(1, 1 + 2 * small_segments):
            journal.append(make.entry(number))
        journal.prune(1_000_000)
        assert [entry.sequence for entry in journal.after(0, 99)] == [4, 5, 6]
        journal.append(make.entry(7))
    with opened(tmp_path) as journal:
        assert journal.span() == (3, 7)


def test_an_entry_below_those_held_is_not_taken_for_a_deleted_one(
    tmp_path: Path, make: Make, small_segments: int
) -> None:
    """Part 4 is still looked at while 5 is settled: the journal must not say that 4 was there."""
    fill(tmp_path, [make.entry(number) for number in (1, 2, 3, 5)])
    with opened(tmp_path) as journal:
        journal.prune(3)
        assert journal.span() == (3, 5)
        journal.append(make.entry(4))
    with opened(tmp_path) as journal:
        assert journal.span() == (3, 5)
        assert [entry.sequence for entry in journal.after(3, 99)] == [4, 5]


def test_a_file_with_one_open_part_is_kept(tmp_path: Path, make: Make, small_segments: int) -> None:
    with opened(tmp_path) as journal:
        for number in (9, 1, 2, 3, 4):
            journal.append(make.entry(number))
        journal.prune(8)
        assert journal.find(9) is not None
        assert len(files(tmp_path)) == 2


numbers_in_any_order = st.lists(st.integers(1, 60), unique=True, max_size=25)
steps = st.lists(st.sampled_from(["append", "append", "append", "reopen", "prune"]), max_size=40)


@given(numbers=numbers_in_any_order, steps=steps, data=st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_the_order_the_journal_holds_what_a_dictionary_would(
    make: Make, numbers: list[int], steps: list[str], data: st.DataObject
) -> None:
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_module, "SEGMENT", 3)
        journal, waiting, held, confirmed = Journal(Path(name)), list(numbers), set[int](), 0
        for step in steps:
            if step == "append" and waiting:
                journal.append(make.entry(waiting[0]))
                held.add(waiting.pop(0))
            elif step == "reopen":
                journal.close()
                journal = Journal(Path(name))
            elif step == "prune":
                confirmed = data.draw(st.integers(confirmed, 60))
                waiting = [number for number in waiting if number > confirmed]  # a line confirms nothing it has open
                journal.prune(confirmed)
        forgotten, last = journal.span()
        seen = [entry.sequence for entry in journal.after(0, 99)]
        journal.close()
    assert forgotten <= confirmed
    assert set(seen) <= held
    assert {number for number in held if number > confirmed} <= set(seen)  # nothing lost that is not confirmed
    assert all(number <= forgotten for number in held - set(seen))  # and every deleted one is owned up to
    assert last == max(seen, default=0)
    assert seen == sorted(seen)


def test_a_full_disk_is_named_and_leaves_the_journal_readable(tmp_path: Path, make: Make) -> None:
    """In a child, because the file size limit can't be raised again by everyone."""
    code, output = run_python(
        """
        import resource, signal, sys
        from pathlib import Path
        from inspector.errors import JournalError
        from inspector.inspection import Outcome
        from inspector.journal import Journal
        from inspector.messages import Entry
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        journal = Journal(Path(sys.argv[1]))
        try:
            for number in range(1, 100):
                journal.append(Entry(sequence=number, boot="b", outcome=Outcome.GOOD, reason=None))
        except JournalError as error:
            sys.stdout.write(f"{number}:{error}")
        """,
        tmp_path / "journal",
    )
    assert code == 0
    refused, message = output.split(":", 1)
    assert "free the disk" in message
    with opened(tmp_path / "journal") as journal:
        assert [entry.sequence for entry in journal.after(0, 99)] == list(range(1, int(refused)))
        journal.append(make.entry(int(refused)))
    with opened(tmp_path / "journal") as journal:
        assert journal.find(int(refused)) is not None


def test_half_a_written_line_is_taken_back(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as journal:
        journal.append(make.entry(1))
        real = os.write
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:10]))
            with pytest.raises(JournalError, match="took 10 of"):
                journal.append(make.entry(2))
        assert journal.find(2) is None
        journal.append(make.entry(3))
    with opened(tmp_path) as journal:
        assert [entry.sequence for entry in journal.after(0, 9)] == [1, 3]


def test_after_a_failed_sync_nothing_more_is_taken(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch, until: Callable[[Callable[[], bool], str], None]
) -> None:
    """The kernel forgets pages that it could not write: a second fsync would succeed and mean nothing."""

    def fsync(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with opened(tmp_path) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            journal.append(make.entry(1))
            until(lambda: journal._sync_error is not None, "the syncing thread sees the error")
            with pytest.raises(JournalError, match="Input/output error"):
                journal.append(make.entry(2))
        with pytest.raises(JournalError, match="can't be synced"):
            journal.append(make.entry(3))


def test_every_entry_is_synced_without_another_append(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = threading.Event()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        synced.set()

    monkeypatch.setattr(os, "fsync", fsync)
    with opened(tmp_path) as journal:
        journal.append(make.entry(1))
        assert synced.wait(20)
