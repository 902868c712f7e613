"""Good parts: find them, know which pictures show the same part, and give each part one role."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from calibration.errors import SampleError
from calibration.evidence import Unit
from engines.image import list_images

Role = Literal["fit", "select", "calibrate"]

ROLES: tuple[Role, ...] = ("fit", "select", "calibrate")


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture of a good part.

    Attributes:
        part: name of the physical part; pictures of one part are not independent.
        session: when it was taken; parts of one session share light, batch and set-up. "": not known.
    """

    path: Path
    part: str
    session: str = ""

    @property
    def group(self) -> str:
        """What has one role, and counts as one: the session where it is known, else the part."""
        return self.session or self.part


@dataclass(frozen=True, slots=True)
class Shares:
    """Share of the parts that each role gets; they add up to 1."""

    fit: float = 0.6
    select: float = 0.1
    calibrate: float = 0.3


def list_samples(folder: Path, sub_folder: Unit = "session") -> list[Sample]:
    """Pictures below a folder.

    A sub-folder is one session, and a folder in it holds pictures of one part; pictures directly in the folder, or in
    a session, are parts of their own.

    Args:
        sub_folder: `part`: a sub-folder holds pictures of one part, and sessions are not known.

    Raises:
        ImageError: no such folder, or no picture in it.
    """
    return [_sample(path, path.relative_to(folder), sub_folder) for path in list_images(folder)]


def split_roles(samples: Sequence[Sample], shares: Shares = Shares()) -> dict[Role, list[Sample]]:
    """Give every group one role, so that no part serves in two.

    The order is by hash of the group's name: the same pictures get the same roles tomorrow, on any machine.

    Raises:
        SampleError: too few groups for every role that has a share.
    """
    groups = sorted({sample.group for sample in samples}, key=lambda name: hashlib.sha256(name.encode()).digest())
    wanted = {role: float(getattr(shares, role)) for role in ROLES}
    if abs(sum(wanted.values()) - 1) > 1e-6 or min(wanted.values()) < 0:
        raise SampleError(f"shares {wanted} must each be at least 0 and add up to 1")
    role_of: dict[str, Role] = {}
    start = 0.0
    for role, share in wanted.items():
        end = start + share
        members = groups[round(start * len(groups)) : round(end * len(groups))]
        if share > 0 and not members:
            raise SampleError(f"{len(groups)} parts leave none for the role {role!r}; collect more good parts")
        role_of.update(dict.fromkeys(members, role))
        start = end
    return {role: [sample for sample in samples if role_of[sample.group] == role] for role in ROLES}


def unused(fingerprints: Sequence[str], groups: Sequence[str], used: Iterable[str]) -> list[bool]:
    """For each picture, whether neither it nor another of its group had another role. A repeated one counts once."""
    taken = set(used)
    tainted = {group for name, group in zip(fingerprints, groups) if name in taken}
    seen: set[str] = set()
    free = []
    for name, group in zip(fingerprints, groups):
        free.append(group not in tainted and name not in seen)
        seen.add(name)
    return free


def _sample(path: Path, relative: Path, sub_folder: Unit) -> Sample:
    depth = len(relative.parts)
    if sub_folder == "part":
        return Sample(path, (relative if depth == 1 else relative.parent).as_posix())
    part = relative if depth <= 2 else relative.parent
    return Sample(path, part.as_posix(), relative.parts[0] if depth > 1 else "")
