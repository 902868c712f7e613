"""Changes: which recipe was made active when, by whom and why. An append-only file beside the versions."""

from __future__ import annotations

import contextlib
import datetime
import os
from pathlib import Path

import msgspec

CHANGES = "changes.jsonl"


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the file.

    Attributes:
        at: UTC.
        operator: who did it; a name, not yet an identity.
    """

    at: str
    version: str
    checksum: str
    operator: str
    reason: str

    @staticmethod
    def now(version: str, checksum: str, operator: str, reason: str) -> Change:
        """A change that happens now."""
        return Change(utc_now(), version, checksum, operator, reason)


def note(parent: Path, change: Change) -> None:
    """Append a change, durably, before it takes effect."""
    append_line(parent / CHANGES, msgspec.json.encode(change))


def append_line(path: Path, line: bytes) -> None:
    """Append a line durably; what a crash tore before it stays a line of its own, and takes this one not with it.

    Raises:
        OSError: the disk refuses.
    """
    with open(path, "a+b") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        is_torn = file.read(1) not in (b"", b"\n")
        file.write(b"\n" * is_torn + line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_changes(parent: Path) -> list[Change]:
    """All changes, oldest first; a line that a crash tore is left out."""
    path, changes = parent / CHANGES, []
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        with contextlib.suppress(msgspec.DecodeError):
            changes.append(msgspec.json.decode(line, type=Change))
    return changes


def utc_now() -> str:
    """Now, as recipes write it."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
