"""Engines that were built on this box, by all that decides them. They are executable: none comes from elsewhere."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from engines.errors import RuntimeUnavailable
from engines.runtimes.tensorrt_build import OPTIONS

DIGEST = hashlib.sha256().digest_size
WRITABLE_BY_OTHERS = 0o022


def cache_folder() -> Path:
    """Where engines lie: `$XDG_CACHE_HOME/line-inspector/engines`, by default below `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "line-inspector" / "engines"


@dataclass(frozen=True, slots=True)
class Target:
    """What an engine and its measurements are tied to: TensorRT's version, and the GPU as `Cuda.gpu` tells it."""

    version: str
    gpu: str


def engine_key(model: bytes, target: Target) -> str:
    """Name of the engine of a graph: sha256 over the graph's, version, GPU and options."""
    return _digest({"model": hashlib.sha256(model).hexdigest(), **asdict(target), **OPTIONS})


@dataclass(frozen=True, slots=True)
class EngineCache:
    """A folder of engines and of timing caches, for one user only.

    A file is its content's sha256 (32 bytes), then the content: a torn or flipped file is not there.
    """

    folder: Path

    def engine(self, key: str) -> bytes | None:
        """The engine of that key; None: it has to be built."""
        return self._read(f"{key}.engine")

    def keep_engine(self, key: str, engine: bytes) -> None:
        """Keep an engine that was built here."""
        self._write(f"{key}.engine", engine)

    def drop_engine(self, key: str) -> None:
        """Forget an engine that TensorRT does not take back."""
        (self.folder / f"{key}.engine").unlink(missing_ok=True)

    def timing(self, target: Target) -> bytes:
        """What earlier builds measured on this target; empty: nothing."""
        return self._read(f"{_digest(asdict(target))}.timing") or b""

    def keep_timing(self, target: Target, timing: bytes) -> None:
        """Keep what a build measured."""
        self._write(f"{_digest(asdict(target))}.timing", timing)

    def _read(self, name: str) -> bytes | None:
        """The content of a file if it is whole.

        Raises:
            RuntimeUnavailable: others may write here, and what they write would be executed.
        """
        self._check_rights(name)
        try:
            data = (self.folder / name).read_bytes()
        except OSError:
            return None
        content = data[DIGEST:]
        return content if content and hashlib.sha256(content).digest() == data[:DIGEST] else None

    def _write(self, name: str, content: bytes) -> None:
        """Keep a file, whole or not at all; a full disk costs another build, not the line."""
        draft = self.folder / f".draft-{os.getpid()}-{name}"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(draft, "wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.folder / name)
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)

    def _check_rights(self, name: str) -> None:
        for path in (self.folder, self.folder / name):
            if not path.exists():
                continue
            found = path.stat()
            if found.st_uid not in (0, os.geteuid()) or found.st_mode & WRITABLE_BY_OTHERS:
                raise RuntimeUnavailable(
                    f"{path} belongs to another user or may be written by others, and engines are executable code; "
                    f"remove it, or chmod go-w"
                )


def _digest(facts: dict[str, object]) -> str:
    return hashlib.sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()
