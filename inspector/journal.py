"""The ejector's journal: append-only segments of one JSON entry per line, each with its CRC.

`append` returns when the kernel has the line, which survives kill -9; a thread syncs to disk within `SYNC_S`, which
survives power loss. A torn last line is what power loss leaves: it is cut off. Damage anywhere else is an error.

A segment's name is its place in the row and up to which sequence older ones were deleted:
journal-00000012-000000220000.jsonl
"""

from __future__ import annotations

import bisect
import os
import threading
import zlib
from pathlib import Path

import msgspec

from inspector.errors import JournalError
from inspector.messages import Entry

SYNC_S = 0.1
SEGMENT = 20_000  # entries per file, about 4 MB; a settled file is deleted whole

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Entry)


class Journal:
    """The entries that the line has not yet confirmed, on disk and in memory. One thread writes."""

    def __init__(self, folder: Path) -> None:
        """Open or create the journal and read what it holds.

        Raises:
            JournalError: it can't be read or written, or is damaged before its last line.
        """
        self._folder = folder
        self._entries: dict[int, Entry] = {}
        self._order: list[int] = []  # the sequences held, ascending
        self._segments: list[tuple[Path, set[int]]] = []
        self._forgotten = 0  # entries up to here may be deleted
        self._file = -1
        self._file_lock = threading.Lock()  # the writer changes files while the other thread syncs
        self._is_dirty = threading.Event()
        self._stopping = threading.Event()
        self._sync_error: OSError | None = None
        self._load()
        self._syncer = threading.Thread(target=self._sync_loop, name="journal-sync", daemon=True)
        self._syncer.start()

    def find(self, sequence: int) -> Entry | None:
        return self._entries.get(sequence)

    def after(self, sequence: int, limit: int) -> list[Entry]:
        start = bisect.bisect_right(self._order, sequence)
        return [self._entries[number] for number in self._order[start : start + limit]]

    def span(self) -> tuple[int, int]:
        return self._forgotten, self._order[-1] if self._order else 0

    def append(self, entry: Entry) -> None:
        """Write an entry; when this returns it survives kill -9.

        Raises:
            JournalError: it can't be written, or an earlier sync failed: then nothing more may be acknowledged.
        """
        if self._sync_error is not None:
            raise JournalError(f"journal {self._folder} can't be synced ({self._sync_error}); check the disk, restart")
        if not self._segments or len(self._segments[-1][1]) >= SEGMENT:
            self._start_segment()
        line = _frame(entry)
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise JournalError(f"cannot write journal {self._folder}: {error.strerror}; free the disk") from error
        if written != len(line):
            self._cut(written)
            raise JournalError(f"journal {self._folder} took {written} of {len(line)} bytes; free the disk")
        self._remember(entry, self._segments[-1][1])
        self._is_dirty.set()

    def prune(self, settled: int) -> None:
        """Delete the files whose every entry the line has; the newest file always stays.

        Raises:
            JournalError: they can't be renamed or deleted.
        """
        while len(self._segments) > 1 and max(self._segments[0][1], default=0) <= settled:
            path, numbers = self._segments[0]
            self._forgotten = max(self._forgotten, max(numbers, default=0))
            try:
                self._rename_oldest_kept()
                path.unlink(missing_ok=True)
            except OSError as error:
                raise JournalError(f"cannot delete {path}: {error.strerror}; check disk and permissions") from error
            del self._segments[0]
            self._order = [number for number in self._order if number not in numbers]
            for number in numbers:
                del self._entries[number]

    def close(self) -> None:
        """Sync and close; may be called twice."""
        self._stopping.set()
        self._is_dirty.set()
        self._syncer.join(timeout=5)
        if self._file >= 0:
            os.fsync(self._file)
            os.close(self._file)
            self._file = -1

    def _remember(self, entry: Entry, numbers: set[int]) -> None:
        numbers.add(entry.sequence)
        self._entries[entry.sequence] = entry
        if not self._order or entry.sequence > self._order[-1]:
            self._order.append(entry.sequence)
        else:
            bisect.insort(self._order, entry.sequence)

    def _rename_oldest_kept(self) -> None:
        """Before anything is deleted: the name says so, and a rename needs no space on a full disk."""
        path, numbers = self._segments[1]
        renamed = self._path(_index(path))
        path.rename(renamed)
        self._segments[1] = (renamed, numbers)

    def _path(self, index: int) -> Path:
        return self._folder / f"journal-{index:08d}-{self._forgotten:012d}.jsonl"

    def _start_segment(self) -> None:
        path = self._path(_index(self._segments[-1][0]) + 1 if self._segments else 1)
        try:
            with self._file_lock:
                if self._file >= 0:
                    os.fsync(self._file)
                    os.close(self._file)
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        except OSError as error:
            raise JournalError(f"cannot open {path}: {error.strerror}; check disk and permissions") from error
        self._segments.append((path, set()))

    def _load(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            paths = sorted(self._folder.glob("journal-*-*.jsonl"))
            self._forgotten = max((int(path.stem.split("-")[2]) for path in paths), default=0)
            for path in paths:
                self._load_segment(path, is_last=path == paths[-1])
            if paths:
                self._file = os.open(paths[-1], os.O_WRONLY | os.O_APPEND)
        except (OSError, ValueError) as error:
            raise JournalError(f"cannot open journal {self._folder}: {error}; check disk and permissions") from error

    def _load_segment(self, path: Path, is_last: bool) -> None:
        data = path.read_bytes()
        numbers: set[int] = set()
        position = 0
        while position < len(data):
            end = data.find(b"\n", position) + 1
            entry = _unframe(data[position:end]) if end else None
            if entry is None:
                if not is_last or (end and end < len(data)):
                    raise JournalError(
                        f"{path} is damaged at byte {position}; move it away and keep it for the analysis"
                    )
                os.truncate(path, position)  # a torn last line: the machine lost power before it was synced
                break
            self._remember(entry, numbers)
            position = end
        self._segments.append((path, numbers))

    def _cut(self, written: int) -> None:
        os.ftruncate(self._file, os.fstat(self._file).st_size - written)

    def _sync_loop(self) -> None:
        while not self._stopping.is_set():
            self._is_dirty.wait()
            self._is_dirty.clear()
            try:
                self._sync()
            except OSError as error:
                self._sync_error = error
            self._stopping.wait(SYNC_S / 2)

    def _sync(self) -> None:
        with self._file_lock:
            if self._file < 0:
                return
            descriptor = os.dup(self._file)
        try:
            os.fsync(descriptor)  # not under the lock: the writer must not wait for the disk
        finally:
            os.close(descriptor)


def _index(path: Path) -> int:
    return int(path.stem.split("-")[1])


def _frame(entry: Entry) -> bytes:
    body = _encoder.encode(entry)
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _unframe(line: bytes) -> Entry | None:
    """The entry of one line; None when its CRC or content is wrong."""
    body = line[9:-1]
    try:
        if int(line[:8], 16) != zlib.crc32(body):
            return None
        return _decoder.decode(body)
    except (ValueError, msgspec.DecodeError):
        return None
