"""Every data set by its name on the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engines.datasets.elpv import read_elpv
from engines.datasets.folder import read_folder
from engines.datasets.labelled import Labelled
from engines.datasets.magnetic_tile import read_magnetic_tile
from engines.datasets.mvtec import read_mvtec, read_mvtec3d
from engines.datasets.visa import read_visa
from engines.errors import ImageError


@dataclass(frozen=True, slots=True)
class Source:
    """Which pictures of a data set; the first of a reader's splits and modes stands for ""."""

    root: Path
    category: str
    split: str
    mode: str


@dataclass(frozen=True, slots=True)
class Reader:
    """How a data set is read, and what there is to choose in it.

    Attributes:
        read: called with a source whose choices are checked and filled in.
        splits, modes: what `split` and `mode` may be, the default first; empty: nothing to choose.
    """

    read: Callable[[Source], list[Labelled]]
    has_categories: bool = False
    splits: tuple[str, ...] = ()
    modes: tuple[str, ...] = ("rgb",)


READERS: dict[str, Reader] = {
    "folder": Reader(lambda source: read_folder(source.root, source.split), splits=("test", "hash")),
    "mvtec": Reader(lambda source: read_mvtec(source.root, source.category), has_categories=True),
    "mvtec3d": Reader(
        lambda source: read_mvtec3d(source.root, source.category, source.mode),
        has_categories=True,
        modes=("rgb", "depth", "both"),
    ),
    "visa": Reader(lambda source: read_visa(source.root, source.category), has_categories=True),
    "magnetic_tile": Reader(lambda source: read_magnetic_tile(source.root, source.split), splits=("tile", "image")),
    "elpv": Reader(lambda source: read_elpv(source.root)),
}


def read_dataset(
    name: str, root: Path | None, category: str = "", split: str = "", role: str = "", mode: str = ""
) -> list[Labelled]:
    """Pictures of a data set: training and validation ones, and the test ones of a role.

    Args:
        root: its folder; None: for `elpv`, that of the installed package.
        category, split, mode: "" is the only or default one.
        role: "dev" or "final"; "": every test picture.

    Raises:
        ImageError: no such data set or choice, a missing folder or another layout; the message says what is expected.
    """
    split, mode = filled_in(name, split, mode)
    if category and not READERS[name].has_categories:
        raise ImageError(f"{name} has no categories; leave --category {category} out")
    if root is None and name == "elpv":
        return _of_role(read_elpv(), name, role)
    if root is None or not root.is_dir():
        raise ImageError(f"--data {root} is no folder; give the folder of the {name} pictures")
    return _of_role(READERS[name].read(Source(root, category, split, mode)), name, role)


def filled_in(name: str, split: str, mode: str) -> tuple[str, str]:
    """Split and mode with defaults for "".

    Raises:
        ImageError: no such data set or choice.
    """
    if name not in READERS:
        raise ImageError(f"no data set {name!r}; choose one of {', '.join(READERS)}")
    reader = READERS[name]
    return _choice("--split", name, split, reader.splits), _choice("--input", name, mode, reader.modes)


def _choice(option: str, name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value and value not in allowed:
        raise ImageError(f"{name} has no {option} {value!r}; choose one of {', '.join(allowed) or 'none'}")
    return value or (allowed[0] if allowed else "")


def _of_role(entries: list[Labelled], name: str, role: str) -> list[Labelled]:
    roles = sorted({entry.role for entry in entries if entry.split == "test" and entry.role})
    if role and role not in roles:
        raise ImageError(f"{name} has no test picture of role {role!r} in this split; there is {roles or 'no role'}")
    return [entry for entry in entries if not role or entry.split != "test" or entry.role == role]
