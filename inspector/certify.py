"""A product's certificates: the pictures kept for them, making one, and the check before an engine may judge."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from calibration.recipe import Recipe
from engines.bundle import Bundle
from engines.certificate import Certificate, Judgement, certify, check, decode_certificate, encode_certificate
from engines.detector import Detector, open_detector
from engines.errors import CertificateError
from engines.image import fingerprint, read_image
from engines.runtimes.base import REFERENCE, engine_name
from inspector.products import Product

KEPT = 32  # pictures; the share of parts in the margin band is then known to 3 %
PICTURES = "pictures"


def keep_pictures(product: Product, good: Sequence[Path]) -> None:
    """Copy some good parts that will set no threshold, so that a certificate can be renewed when nobody has them."""
    folder = product.certificates / PICTURES
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, path in enumerate(_some(good)):
        shutil.copyfile(path, folder / f"{number:04d}{path.suffix.lower()}")


def make_certificate(product: Product, recipe: Recipe, bundle: Bundle, more: Sequence[Path] = ()) -> Certificate:
    """Hold a recipe's engine against the reference, on the kept pictures and on others that did not set the threshold.

    Raises:
        CertificateError: too few pictures, or the engine is the reference.
        RuntimeUnavailable: the engine can't run on this box.
    """
    engine = engine_name(recipe.engine)
    if engine == REFERENCE:
        raise CertificateError(f"{engine} is the reference itself; it needs no certificate")
    judgement = Judgement(recipe.checksum, recipe.scoring, recipe.thresholds.review, recipe.thresholds.rules)
    with _opened(bundle, REFERENCE) as reference, _opened(bundle, engine) as candidate:
        return certify(reference, candidate, judgement, _unused(product, recipe, more))


def kept_pictures(product: Product) -> list[Path]:
    """Good parts that training kept; empty where the product was taught elsewhere."""
    return sorted((product.certificates / PICTURES).glob("*"))


def save_certificate(product: Product, certificate: Certificate) -> None:
    """Write it, whole or not at all."""
    path = _file(product, certificate.recipe)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_bytes(encode_certificate(certificate))
    os.replace(draft, path)


def check_certified(product: Product, recipe: Recipe) -> Certificate | None:
    """The certificate by which this recipe's engine may judge on this box; None: it is the reference.

    Raises:
        CertificateError: missing, damaged, stale or over its limits; the message says what to do.
    """
    engine = engine_name(recipe.engine)
    if engine == REFERENCE:
        return None
    try:
        certificate = _read(product, recipe, engine)
        check(certificate, engine, recipe.bundle, recipe.checksum)
    except CertificateError as error:
        raise CertificateError(
            f"{error}. Make it: inspector certify {product.name} --engine {engine}; "
            f"or calibrate with --engine {REFERENCE}, which needs none"
        ) from error
    return certificate


def _read(product: Product, recipe: Recipe, engine: str) -> Certificate:
    path = _file(product, recipe.checksum)
    try:
        return decode_certificate(path.read_bytes())
    except FileNotFoundError as error:
        raise CertificateError(f"{product.name} has no certificate of {engine} for its recipe on this box") from error
    except OSError as error:
        raise CertificateError(f"{path} can't be read: {error.strerror}") from error
    except CertificateError as error:
        raise CertificateError(f"{path} {error}") from error


def _file(product: Product, recipe: str) -> Path:
    return product.certificates / f"{recipe[:12]}.json"


def _unused(product: Product, recipe: Recipe, more: Sequence[Path]) -> list[Path]:
    """Up to `KEPT` pictures that did not set the threshold, the kept ones first; one twice counts once."""
    used, found = set(recipe.calibrate), list[Path]()
    for path in (*kept_pictures(product), *_some(more, len(more))):
        if len(found) == KEPT:
            break
        name = fingerprint(read_image(path))
        if name not in used:
            found.append(path)
        used.add(name)
    return found


def _some(paths: Sequence[Path], count: int = KEPT) -> list[Path]:
    """Drawn by lot: neighbours may show one part or one session."""
    order = np.random.default_rng(0).permutation(len(paths))[:count]
    return [paths[index] for index in order]


@contextmanager
def _opened(bundle: Bundle, engine: str) -> Iterator[Detector]:
    detector = open_detector(bundle, engine, any_size=bundle.manifest.input.frame_size is None)
    try:
        yield detector
    finally:
        detector.close()
