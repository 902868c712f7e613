"""A bundle as one file, to carry it from box to box: an uncompressed tar of its files, nothing else."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from engines.bundle import GRAPHS, MANIFEST, REPORT, SCORING, TEMPLATE, Bundle, verify
from engines.errors import BundleError
from engines.signature import SIGNATURE, Keys

NAMES = frozenset({MANIFEST, SCORING, TEMPLATE, REPORT, SIGNATURE, *GRAPHS.values()})
LARGEST = 1 << 30  # bytes of an archive; the largest teacher's bundle has 500 million


def pack(bundle: Bundle) -> bytes:
    """The archive of a bundle; the same bundle gives the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in sorted(bundle.files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def read_archive(path: Path, keys: Keys | None = None) -> Bundle:
    """A verified bundle from an archive file; nothing is written.

    Raises:
        BundleError: see `unpack`; or the file can't be read or is too large.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise BundleError(
            f"cannot read {path}: {error.strerror}; give an archive of `inspector bundle export`"
        ) from error
    if len(data) > LARGEST:
        raise BundleError(f"{path} is larger than {LARGEST >> 20} MiB, which no bundle is; look at where it comes from")
    return unpack(data, str(path), keys)


def unpack(data: bytes, where: str, keys: Keys | None = None) -> Bundle:
    """A verified bundle from an archive's bytes.

    Raises:
        BundleError: it holds a link, a path, a file twice, a file that no bundle has or its manifest does not list, or
            lacks one; or see `verify`.
    """
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for member in archive:
                _check_member(member, files, where)
                content = archive.extractfile(member)
                files[member.name] = content.read() if content else b""
    # What damaged headers raise: numbers, texts and places that can't be.
    except (tarfile.TarError, ValueError, OverflowError, EOFError, OSError, RecursionError) as error:
        raise BundleError(f"{where} is not a bundle's archive: {error}; export it again") from error
    if MANIFEST not in files:
        raise BundleError(f"{where} holds no {MANIFEST}; give an archive of `inspector bundle export`")
    return verify(files, where, keys)


def _check_member(member: tarfile.TarInfo, seen: dict[str, bytes], where: str) -> None:
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse() or member.pax_headers:
        raise BundleError(
            f"{where}: {member.name!r} is no plain file; a bundle has no links, folders or extended headers"
        )
    if member.name not in NAMES:
        raise BundleError(
            f"{where}: {member.name!r} belongs to no bundle; its files lie side by side and have fixed names"
        )
    if member.name in seen:
        raise BundleError(f"{where} holds {member.name} twice; export it again")
