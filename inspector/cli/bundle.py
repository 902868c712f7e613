"""Bundles: look at them, verify, sign, and carry them from box to box."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from engines.bundle import Bundle, load_bundle, newest_bundle, write_bundle
from engines.errors import BundleError
from engines.signature import SIGNATURE, Keys, read_keys
from inspector.cli.common import PRODUCTION_DIR, DataDir, Json, show
from inspector.products import KEYS, Product, product

app = typer.Typer(no_args_is_help=True, help="Bundles: inspect, verify, sign, export and import.")

Target = Annotated[str, typer.Argument(metavar="PRODUCT|FILE", help="A product, or an archive such as gasket.bundle.")]
Name = Annotated[str, typer.Argument(metavar="PRODUCT")]
Which = Annotated[str, typer.Option("--bundle", help="Id, or how it begins; default: the newest.")]


@app.command(epilog="Example: inspector bundle inspect gasket --data-dir ./data --json")
def inspect(target: Target, which: Which = "", data_dir: DataDir = PRODUCTION_DIR, as_json: Json = False) -> None:
    """What a bundle is: network, pictures, files, signature, and how its graphs were checked."""
    from engines.bundle import REPORT
    from engines.training_report import decode_report

    bundle = _load(target, which, data_dir, None)
    facts = _facts(bundle) | {
        "teacher": bundle.manifest.teacher, "weights_licence": bundle.manifest.weights_licence,
        "input": msgspec.to_builtins(bundle.manifest.input), "levels": bundle.manifest.levels,
        "training": bundle.manifest.training, "versions": bundle.manifest.versions,
        "files": {name: len(data) for name, data in sorted(bundle.files.items())},
    }  # fmt: skip
    if REPORT in bundle.files:
        facts["graphs"] = msgspec.to_builtins(decode_report(bundle.files[REPORT]).graphs)
    show(facts, as_json)


@app.command(epilog="Example: inspector bundle verify gasket.bundle --data-dir /var/lib/inspector")
def verify(target: Target, which: Which = "", data_dir: DataDir = PRODUCTION_DIR, as_json: Json = False) -> None:
    """Whether a bundle is whole, unchanged, and signed as this box asks. Exit code 1 when it is not."""
    keys = read_keys(data_dir / KEYS)
    bundle = _load(target, which, data_dir, keys)
    trust = "signed by a trusted key" if keys else "this box asks for no signature"
    show(_facts(bundle), as_json, f"Whole and unchanged; {trust}.")


@app.command(epilog="Example: inspector bundle sign gasket --key release.pem --data-dir ./data")
def sign(
    name: Name,
    key: Annotated[Path, typer.Option(help="Ed25519 private key, PEM; docs/BUNDLE.md says how to make one.")],
    which: Which = "",
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """Sign a bundle, over an earlier signature if there is one."""
    from engines import signature
    from engines.bundle import MANIFEST

    folder = _folder(product(data_dir, name), which)
    manifest, private = _bytes(folder / MANIFEST), _bytes(key)
    if not folder.name.endswith(hashlib.sha256(manifest).hexdigest()[:12]):
        raise BundleError(f"{folder / MANIFEST} was changed since export; it must not be signed, restore it")
    _put_signature(folder, signature.sign(manifest, private))
    show(_facts(load_bundle(folder)), as_json, f"Others trust it with its public key in DATA_DIR/{KEYS}.")


@app.command(name="export", epilog="Example: inspector bundle export gasket --out gasket.bundle --data-dir ./data")
def export_bundle(
    name: Name,
    out: Annotated[Path, typer.Option(help="Archive to write.")],
    which: Which = "",
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """Write a bundle as one file, to import it on another box. Engines are not in it: each box builds its own."""
    from engines.bundle_archive import pack

    bundle = _load(name, which, data_dir, None)
    data = pack(bundle)
    try:
        out.write_bytes(data)
    except OSError as error:
        raise BundleError(f"cannot write {out}: {error.strerror}; give another --out") from error
    show(_facts(bundle) | {"file": str(out), "bytes": len(data)}, as_json)


@app.command(name="import", epilog="Example: inspector bundle import gasket.bundle --data-dir /var/lib/inspector")
def import_bundle(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An archive of `inspector bundle export`.")],
    data_dir: DataDir = PRODUCTION_DIR,
    as_json: Json = False,
) -> None:
    """Verify an archive and add its bundle to the product that it names. Calibrate before the line uses it."""
    from engines.bundle_archive import read_archive

    bundle = read_archive(file, read_keys(data_dir / KEYS))
    owner = product(data_dir, bundle.manifest.product)
    known = sorted(owner.bundles.glob(f"*-{bundle.id[:12]}"))
    try:
        folder = known[0] if known else write_bundle(owner.bundles, bundle.files)
        if known and SIGNATURE in bundle.files:
            _put_signature(folder, bundle.files[SIGNATURE])
    except OSError as error:
        raise BundleError(f"cannot write to {owner.bundles}: {error.strerror}; free space or give rights") from error
    closing = f"Next: inspector calibrate {owner.name} --good DIR --data-dir {data_dir}"
    show(_facts(load_bundle(folder)) | {"folder": str(folder), "was_there": bool(known)}, as_json, closing)


def _load(target: str, which: str, data_dir: Path, keys: Keys | None) -> Bundle:
    """From an archive, or of a product; no product's name has a dot or a slash."""
    if "." in target or "/" in target:
        from engines.bundle_archive import read_archive

        return read_archive(Path(target), keys)
    return load_bundle(_folder(product(data_dir, target), which), keys)


def _folder(owner: Product, which: str) -> Path:
    if not which:
        return newest_bundle(owner.bundles)
    found = sorted(owner.bundles.glob(f"*-{which[:12]}*")) if which.isalnum() else []
    if len(found) != 1:
        raise BundleError(f"{len(found)} bundles of {owner.name} begin with {which!r}; `ls {owner.bundles}` names all")
    return found[0]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}; give the file's right name") from error


def _put_signature(folder: Path, data: bytes) -> None:
    """Durably: a power cut leaves the old signature or the new one."""
    draft = folder / f".{SIGNATURE}"
    with open(draft, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / SIGNATURE)


def _facts(bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "product": manifest.product, "bundle": bundle.id, "format": manifest.format, "created": manifest.created,
        "signer": bundle.signer,
    }  # fmt: skip
