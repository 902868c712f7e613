"""Part numbers that never repeat, across restarts, kill -9 and power loss.

The file is one mapped page: `next` is stored at every part (a memory write: it survives kill -9, the page cache belongs
to the kernel), `reserved` is raised a block at a time and synced before any number of the block is given out. After a
power loss `next` may be stale, but no number at or above `reserved` was ever given: the parts whose trace is lost lie
in [next, reserved).
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from pathlib import Path

from inspector.errors import SequenceError

BLOCK = 256  # numbers per sync: at 200 parts/s one sync a second, and at most this many doubtful parts after power loss
LAYOUT = struct.Struct("<8sQQ16s")  # magic, next, reserved, the machine's boot id
MAGIC = b"LISEQ001"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SequenceFile:
    """The next part number, durable. Used by the acquisition thread; closed by its owner."""

    def __init__(self, path: Path, machine_boot: bytes | None = None) -> None:
        """Open or create the file.

        Raises:
            SequenceError: it can't be opened, or is no sequence file.
        """
        self._path = path
        self._lock = threading.Lock()
        self._machine_boot = machine_boot if machine_boot is not None else read_machine_boot()
        self._map = _open_map(path)
        magic, upcoming, reserved, boot = LAYOUT.unpack_from(self._map)
        if magic != MAGIC:
            raise SequenceError(
                f"{path} is not a sequence file; move it away, the ejector's journal restores the count"
            )
        # Same boot of the machine: the page cache was never lost, so `next` is exact. Otherwise it may be stale.
        is_exact = boot == self._machine_boot and any(boot)
        self._next: int = upcoming if is_exact else max(upcoming, reserved)
        self._reserved = reserved  # synced
        self._asked = reserved  # in the map, perhaps not yet synced
        self._reserve(reserved)  # a killed run may have stored a reservation that it had not synced yet

    @property
    def upcoming(self) -> int:
        """The number that the next part will get; every number below it may have been given out."""
        return self._next

    def skip_to(self, upcoming: int) -> None:
        """Give out no number below `upcoming`: the ejector's journal already has those."""
        with self._lock:
            self._next = max(self._next, upcoming)
            self._store()

    def take(self) -> int:
        """The next number.

        Raises:
            SequenceError: the next block can't be reserved on disk.
        """
        if self._next >= self._reserved:
            self._reserve(self._next + BLOCK)
        with self._lock:
            number = self._next
            self._next += 1
            self._store()
            return number

    def reserve_ahead(self) -> None:
        """Reserve the next block before it is needed, so that `take` seldom waits for a disk. Any thread.

        Raises:
            SequenceError: it can't be written.
        """
        if self._reserved - self._next < BLOCK // 2:
            self._reserve(self._reserved + BLOCK)

    def close(self) -> None:
        """Sync and unmap; may be called twice."""
        if not self._map.closed:
            self._store()
            self._map.flush()
            self._map.close()

    def _reserve(self, reserved: int) -> None:
        with self._lock:
            self._asked = max(self._asked, reserved)
            asked = self._asked
            self._store()
        try:
            self._map.flush()  # not under the lock: the other thread may go on with numbers already reserved
        except OSError as error:
            raise SequenceError(f"cannot reserve part numbers in {self._path}: {error.strerror}") from error
        with self._lock:
            self._reserved = max(self._reserved, asked)

    def _store(self) -> None:
        LAYOUT.pack_into(self._map, 0, MAGIC, self._next, self._asked, self._machine_boot)


def read_machine_boot() -> bytes:
    """16 bytes that change when the machine restarts; zero where the kernel has no such id."""
    try:
        return bytes.fromhex(BOOT_ID.read_text().strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


def _open_map(path: Path) -> mmap.mmap:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a+b") as file:
            if file.seek(0, os.SEEK_END) == 0:
                file.write(LAYOUT.pack(MAGIC, 1, 1, bytes(16)).ljust(mmap.PAGESIZE, b"\0"))
                file.flush()
                os.fsync(file.fileno())
            return mmap.mmap(file.fileno(), mmap.PAGESIZE)
    except (OSError, ValueError) as error:
        raise SequenceError(f"cannot open {path}: {error}; check disk and permissions") from error
