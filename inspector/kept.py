"""The pictures behind a product's threshold, kept so that another engine gets its own threshold without `--good`."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.console import Console

from calibration.calibrate import Calibration, Contract
from calibration.errors import SampleError
from calibration.recipe import Recipe
from calibration.samples import Sample
from engines.bundle import Bundle
from engines.errors import ImageError
from engines.image import fingerprint, read_image
from inspector.products import Product
from inspector.teaching import calibrate_on

INDEX = "index.json"
SAME_NETWORK = ("model.onnx", "scoring.npz")  # what gives the reference's scores


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One picture: its file in the folder, what it shows, and how it was grouped; see `Sample`."""

    file: str
    fingerprint: str
    part: str
    session: str


def keep_calibration(product: Product, made: Calibration) -> int:
    """Copy the pictures behind an active recipe, in place of those kept before; bytes they take.

    Raises:
        OSError: no room, or a picture is gone; what was kept before stays.
    """
    product.folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=product.folder))
    try:
        kept = [_copy(sample, name, draft) for sample, name in zip(made.samples, made.recipe.calibrate)]
        (draft / INDEX).write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1))
        draft.chmod(0o755)
        forget_calibration(product)
        os.replace(draft, product.kept)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return sum(path.stat().st_size for path in product.kept.iterdir())


def forget_calibration(product: Product) -> None:
    """Delete the kept pictures, if there are any."""
    shutil.rmtree(product.kept, ignore_errors=True)


def recalibrate(
    product: Product, engine: str, operator: str, strict: bool, console: Console, report: Path | None = None
) -> Calibration:
    """Score the kept pictures again on an engine, and set the threshold anew with what the active recipe was asked.

    Raises:
        SampleError: they are not those behind the active recipe, one was changed, or its limits were set by hand.
        BundleError, CertificateError, RuntimeUnavailable, UnreachableBound: see `calibrate_on`.
    """
    active, bundle = product.active()
    contract = _contract(active, operator, strict, product)
    samples = kept_samples(product, active)
    return calibrate_on(product, samples, engine, contract, console, report, _newest_alike(product, bundle))


def kept_samples(product: Product, active: Recipe) -> list[Sample]:
    """The kept pictures, each one checked, if they are all and only those behind a recipe.

    Raises:
        SampleError: see `recalibrate`.
    """
    kept = _index(product)
    if {entry.fingerprint for entry in kept} != set(active.calibrate):
        raise _again(product, f"the {len(kept)} kept pictures are not the {len(active.calibrate)} behind its recipe")
    return list(_checked(product, kept))


def _checked(product: Product, kept: list[_Kept]) -> Iterator[Sample]:
    for entry in kept:
        path = product.kept / Path(entry.file).name
        try:
            found = fingerprint(read_image(path))
        except ImageError as error:
            raise _again(product, f"a kept picture can't be read: {error}") from error
        if found != entry.fingerprint:
            raise _again(product, f"{path} was changed since it was kept")
        yield Sample(path, entry.part, entry.session)


def _index(product: Product) -> list[_Kept]:
    path = product.kept / INDEX
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[_Kept])
    except FileNotFoundError as error:
        raise _again(product, "no picture was kept") from error
    except (OSError, msgspec.DecodeError) as error:
        raise _again(product, f"{path} is no index of kept pictures: {error}") from error


def _contract(active: Recipe, operator: str, strict: bool, product: Product) -> Contract:
    asked = active.evidence
    if active.by_hand is not None or asked.method == "hand":
        raise _again(product, "its limits were set by hand, on scores that another engine doesn't give")
    return Contract(asked.asked, asked.confidence, strict, asked.method, asked.unit, operator)


def _newest_alike(product: Product, active: Bundle) -> Bundle:
    """The newest bundle if it is the active one with more graphs, such as INT8; else the active one.

    Another network would be another promise: that takes `--good`.
    """
    newest = product.newest_bundle()
    alike = all(newest.files.get(name) == active.files.get(name) for name in SAME_NETWORK)
    return newest if alike and newest.manifest.input == active.manifest.input else active


def _copy(sample: Sample, name: str, folder: Path) -> _Kept:
    file = f"{name}{sample.path.suffix.lower()}"
    shutil.copyfile(sample.path, folder / file)
    return _Kept(file, name, sample.part, sample.session)


def _again(product: Product, why: str) -> SampleError:
    return SampleError(f"{product.name} can't be calibrated without --good: {why}; give the folder of good parts")
