"""Bundle: a folder with the exported graphs, the scoring that `select` parts chose, and a manifest over all of it.

docs/BUNDLE.md describes the format for whoever writes another reader.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from engines.errors import BundleError, EngineError
from engines.image import InputSpec
from engines.locate import Grey, decode_template, encode_template
from engines.scoring import Scoring
from engines.scoring_file import arrays_scoring, pack_arrays, scoring_arrays, unpack_arrays
from engines.signature import SIGNATURE, Keys, check_signature
from engines.tiling import check_tiling

FORMAT = 3  # 3: FP16 and INT8 graphs and a training report may be there
READ = (2, 3)  # 2 is read as a bundle of format 3 without them; 1 had no view and would be stretched
MANIFEST, SCORING, TEMPLATE, REPORT = "manifest.json", "scoring.npz", "template.png", "training.json"
MODEL = "model.onnx"

OUTSIDE = b"location"  # ONNX's key of external data; strings lie in a graph's bytes as they are

Graph = Literal["fp32", "fp16", "int8"]
GRAPHS: dict[Graph, str] = {"fp32": MODEL, "fp16": "model.fp16.onnx", "int8": "model.int8.onnx"}
OPTIONAL = {2: frozenset[str](), 3: frozenset({GRAPHS["fp16"], GRAPHS["int8"], REPORT})}  # by format


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


class _Format(msgspec.Struct):
    """What every manifest has, of whatever format."""

    format: int


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle in memory: nothing is read from its folder after this.

    Attributes:
        id: sha256 of the manifest, and through it of every file.
        files: the bytes that were verified, by name, and the manifest's and signature's own.
        template: (h, w) grey, of products whose parts are located.
        signer: public key that signed it, hexadecimal; None: nobody did.
    """

    id: str
    manifest: Manifest
    files: Mapping[str, bytes]
    scoring: Scoring
    template: Grey | None = None
    signer: str | None = None

    @property
    def model(self) -> bytes:
        """The FP32 graph."""
        return self.files[MODEL]

    def graph(self, precision: Graph) -> bytes:
        """The ONNX bytes of a precision.

        Raises:
            BundleError: the bundle has no such graph.
        """
        if GRAPHS[precision] not in self.files:
            had = ", ".join(name for name in sorted(self.files) if name.endswith(".onnx"))
            raise BundleError(
                f"bundle {self.id[:12]} has no {GRAPHS[precision]}, only {had}; "
                f"`inspector bundle inspect {self.manifest.product}` says why, or train the product again"
            )
        return self.files[GRAPHS[precision]]


def load_bundle(folder: Path, keys: Keys | None = None) -> Bundle:
    """Read a bundle and verify every byte against its manifest.

    Args:
        keys: that may have signed it; None: it need not be signed.

    Raises:
        BundleError: missing, of an unknown format, changed since export, or not signed as it should be.
    """
    raw = _read(folder / MANIFEST)
    names = set(read_manifest(raw, str(folder)).files) | ({SIGNATURE} if (folder / SIGNATURE).exists() else set())
    return verify({MANIFEST: raw, **{name: _read(folder / name) for name in names}}, str(folder), keys)


def read_manifest(raw: bytes, where: str) -> Manifest:
    """The manifest of its bytes; what it lists is of its format, nothing more and nothing less.

    Args:
        where: the bundle's folder or file, for messages.

    Raises:
        BundleError: it is none, or of an unknown format, or contradicts itself.
    """
    try:
        kind = msgspec.json.decode(raw, type=_Format).format
        if kind not in READ:
            raise BundleError(
                f"{where} has bundle format {kind}, this program reads {' and '.join(map(str, READ))}; "
                "train again or upgrade"
            )
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{where}: {MANIFEST} is not a manifest: {error}; train the product again") from error
    required = {MODEL, SCORING} if manifest.input.locate is None else {MODEL, SCORING, TEMPLATE}
    listed = set(manifest.files)
    if not required <= listed <= required | OPTIONAL[kind]:
        raise BundleError(
            f"{where}: {MANIFEST} lists {sorted(listed)}, format {kind} needs {sorted(required)} and may have "
            f"{sorted(OPTIONAL[kind]) or 'nothing more'}; train the product again"
        )
    return manifest


def verify(files: Mapping[str, bytes], where: str, keys: Keys | None = None) -> Bundle:
    """A bundle from its files' bytes: the one way there is. Nothing is decoded before it was found unchanged.

    Args:
        files: the manifest, all that it lists, and the signature where there is one, by name; nothing else.
        keys: see `load_bundle`.

    Raises:
        BundleError: see `load_bundle`.
    """
    manifest = read_manifest(files[MANIFEST], where)
    signer = check_signature(files[MANIFEST], files.get(SIGNATURE), keys, where)
    if set(files) - {MANIFEST, SIGNATURE} != set(manifest.files):
        wrong = sorted(set(files) - {MANIFEST, SIGNATURE} ^ set(manifest.files))
        raise BundleError(
            f"{where}: {', '.join(wrong)} is there and not in {MANIFEST}, or the reverse; export it again"
        )
    for name, digest in manifest.files.items():
        found = hashlib.sha256(files[name]).hexdigest()
        if found != digest:
            raise BundleError(
                f"{where}/{name} was changed since export: sha256 {found[:12]}, manifest says {digest[:12]}; "
                "restore it or train the product again"
            )
    _refuse_outside_data(files, where)
    try:
        scoring = arrays_scoring(unpack_arrays(files[SCORING]))
        check_tiling(manifest.input)
        template = decode_template(files[TEMPLATE]) if TEMPLATE in files else None
    except EngineError as error:
        raise BundleError(f"{where}: {error}") from error
    return Bundle(hashlib.sha256(files[MANIFEST]).hexdigest(), manifest, dict(files), scoring, template, signer)


def _refuse_outside_data(files: Mapping[str, bytes], where: str) -> None:
    """Nobody verified what lies outside: runtimes look for such a file where the line was started.

    Raises:
        BundleError: a graph names a file to take tensors from; none that this program writes has the word.
    """
    for name in GRAPHS.values():
        if OUTSIDE in files.get(name, b""):
            raise BundleError(f"{where}/{name} takes weights from outside the bundle; export it without external data")


def save_bundle(
    parent: Path,
    manifest: Manifest,
    model: bytes,
    scoring: Scoring,
    template: Grey | None = None,
    fp16: bytes | None = None,
    int8: bytes | None = None,
    report: bytes | None = None,
) -> Path:
    """Write a new bundle folder below `parent`, whole or not at all; return it.

    The manifest's `files` are filled in here. Folder names sort by time of creation.

    Args:
        model, fp16, int8: ONNX bytes.
        report: see `engines.training_report`.
    """
    maybe = {
        TEMPLATE: None if template is None else encode_template(template),
        GRAPHS["fp16"]: fp16, GRAPHS["int8"]: int8, REPORT: report,
    }  # fmt: skip
    files = {MODEL: model, SCORING: pack_arrays(scoring_arrays(scoring))}
    files |= {name: data for name, data in maybe.items() if data is not None}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    raw = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(manifest, files=digests)), indent=1)
    return write_bundle(parent, {**files, MANIFEST: raw})


def write_bundle(parent: Path, files: Mapping[str, bytes]) -> Path:
    """Write a bundle's files, the manifest among them, below `parent` under the name that manifest gives."""
    raw = files[MANIFEST]
    created = read_manifest(raw, str(parent)).created
    stamp = "".join(letter for letter in created if letter.isascii() and letter.isalnum())
    return write_folder(parent / f"{stamp[:20]}-{hashlib.sha256(raw).hexdigest()[:12]}", files)


def write_folder(target: Path, files: Mapping[str, bytes]) -> Path:
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


def find_bundle(parent: Path, bundle_id: str, keys: Keys | None = None) -> Bundle:
    """Load the bundle of that id from below `parent`; `keys` as for `load_bundle`.

    Raises:
        BundleError: it isn't there, was changed since, or is not signed as it should be.
    """
    for folder in sorted(parent.glob(f"*-{bundle_id[:12]}")):
        bundle = load_bundle(folder, keys)
        if bundle.id == bundle_id:
            return bundle
        raise BundleError(f"{folder} was changed since export: it is {bundle.id[:12]}, its name says {bundle_id[:12]}")
    raise BundleError(f"bundle {bundle_id[:12]} is not in {parent}; calibrate the product with a bundle that is there")


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
