"""Good parts: find them, know which pictures show the same part, and give each part one role."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from calibration.errors import SampleError
from engines.image import list_images

Role = Literal["fit", "select", "calibrate"]

ROLES: tuple[Role, ...] = ("fit", "select", "calibrate")


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture of a good part.

    Attributes:
        group: pictures of one group are not independent: one physical part, or one session.
    """

    path: Path
    group: str


@dataclass(frozen=True, slots=True)
class Shares:
    """Share of the parts that each role gets; they add up to 1."""

    fit: float = 0.6
    select: float = 0.1
    calibrate: float = 0.3


def list_samples(folder: Path) -> list[Sample]:
    """Pictures below a folder: those in one sub-folder are one group, those directly in it are each their own.

    Raises:
        ImageError: no such folder, or no picture in it.
    """
    return [Sample(path, _group(path, folder)) for path in list_images(folder)]


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


def unused(fingerprints: Sequence[str], used: Iterable[str]) -> list[bool]:
    """For each picture, whether it had no other role. A picture twice in the list counts once."""
    seen = set(used)
    free = []
    for name in fingerprints:
        free.append(name not in seen)
        seen.add(name)
    return free


def _group(path: Path, folder: Path) -> str:
    relative = path.relative_to(folder)
    return relative.parent.as_posix() if len(relative.parts) > 1 else relative.as_posix()
