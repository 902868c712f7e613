"""Bundle: a folder with the exported model, the scoring that `select` parts chose, and a manifest over all of it.

A product whose parts are located has its template there too.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engines.errors import BundleError, EngineError
from engines.image import InputSpec
from engines.locate import Grey, decode_template, encode_template
from engines.scoring import Scoring
from engines.scoring_file import arrays_scoring, pack_arrays, scoring_arrays, unpack_arrays
from engines.tiling import check_tiling

FORMAT = 2  # 2: `input` states fit, tiling and locate; a program of format 1 would pass them over and stretch
MANIFEST, MODEL, SCORING, TEMPLATE = "manifest.json", "model.onnx", "scoring.npz", "template.png"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known of a bundle; written by export, never edited.

    Attributes:
        input: everything between a frame and the model.
        levels: (height, width) of each raw map of a part, stitched: scored levels fine to coarse, then the head's.
        fit, select: fingerprints of the pictures in these roles.
        files: sha256 by file name.
    """

    format: int
    product: str
    created: str
    teacher: str
    weights_licence: str
    input: InputSpec
    levels: list[tuple[int, int]]
    fit: list[str]
    select: list[str]
    training: dict[str, float | int | str]
    versions: dict[str, str]
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle in memory: nothing is read from its folder after this.

    Attributes:
        id: sha256 of the manifest, and through it of every file.
        model: the ONNX bytes that were verified.
        template: (h, w) grey, of products whose parts are located.
    """

    id: str
    manifest: Manifest
    model: bytes
    scoring: Scoring
    template: Grey | None = None


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle and verify every byte against its manifest.

    Raises:
        BundleError: missing, of an unknown format, or changed since export.
    """
    raw = _read(folder / MANIFEST)
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except msgspec.DecodeError as error:
        raise BundleError(f"{folder / MANIFEST} is not a manifest: {error}; train the product again") from error
    if manifest.format != FORMAT:
        raise BundleError(
            f"{folder} has bundle format {manifest.format}, this program reads {FORMAT}; train again or upgrade"
        )
    expected = {MODEL, SCORING} if manifest.input.locate is None else {MODEL, SCORING, TEMPLATE}
    if set(manifest.files) != expected:
        raise BundleError(f"{folder / MANIFEST} lists {sorted(manifest.files)}, expected {sorted(expected)}")
    verified = {name: _verified(folder / name, digest) for name, digest in manifest.files.items()}
    try:
        scoring = arrays_scoring(unpack_arrays(verified[SCORING]))
        check_tiling(manifest.input)
        template = decode_template(verified[TEMPLATE]) if TEMPLATE in verified else None
    except EngineError as error:
        raise BundleError(f"{folder}: {error}") from error
    return Bundle(hashlib.sha256(raw).hexdigest(), manifest, verified[MODEL], scoring, template)


def save_bundle(parent: Path, manifest: Manifest, model: bytes, scoring: Scoring, template: Grey | None = None) -> Path:
    """Write a new bundle folder below `parent`, whole or not at all; return it.

    The manifest's `files` are filled in here. Folder names sort by time of creation.
    """
    files = {MODEL: model, SCORING: pack_arrays(scoring_arrays(scoring))}
    if template is not None:
        files[TEMPLATE] = encode_template(template)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    raw = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(manifest, files=digests)), indent=1)
    stamp = manifest.created.translate(str.maketrans("", "", ":-.+"))
    return write_folder(parent / f"{stamp}-{hashlib.sha256(raw).hexdigest()[:12]}", {**files, MANIFEST: raw})


def write_folder(target: Path, files: dict[str, bytes]) -> Path:
    """Write a folder of files durably and atomically: it appears complete under its name, or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=target.parent))
    try:
        for name, data in files.items():
            with open(draft / name, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        draft.chmod(0o755)
        draft.rename(target)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    _sync_folder(target.parent)
    return target


def newest_bundle(parent: Path) -> Path:
    """The bundle folder below `parent` that was created last.

    Raises:
        BundleError: there is none.
    """
    folders = sorted(path for path in parent.glob("*") if (path / MANIFEST).is_file()) if parent.is_dir() else []
    if not folders:
        raise BundleError(f"no bundle in {parent}; train the product first: inspector train PRODUCT --good DIR")
    return folders[-1]


def find_bundle(parent: Path, bundle_id: str) -> Bundle:
    """Load the bundle of that id from below `parent`.

    Raises:
        BundleError: it isn't there, or was changed since.
    """
    for folder in sorted(parent.glob(f"*-{bundle_id[:12]}")):
        bundle = load_bundle(folder)
        if bundle.id == bundle_id:
            return bundle
        raise BundleError(f"{folder} was changed since export: it is {bundle.id[:12]}, its name says {bundle_id[:12]}")
    raise BundleError(f"bundle {bundle_id[:12]} is not in {parent}; calibrate the product with a bundle that is there")


def _verified(path: Path, digest: str) -> bytes:
    data = _read(path)
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise BundleError(
            f"{path} was changed since export: sha256 {found[:12]}, manifest says {digest[:12]}; "
            "restore it or train the product again"
        )
    return data


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}; train the product or restore the bundle") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
