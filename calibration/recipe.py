"""Recipe: all that one product needs to be judged. Versioned folders of recipe.toml + recipe.npz, one checksum."""

from __future__ import annotations

import hashlib
import math
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tomlkit

from calibration.errors import RecipeError
from calibration.thresholds import Evidence, Thresholds
from engines.bundle import write_folder
from engines.errors import EngineError
from engines.scoring import Scoring
from engines.scoring_file import Arrays, arrays_scoring, pack_arrays, scoring_arrays, unpack_arrays

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FORMAT = 1
TEXT, ARRAYS, ACTIVE = "recipe.toml", "recipe.npz", "active"
PRODUCT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one product is judged, and why that may be trusted.

    Attributes:
        bundle: id of the bundle it was calibrated with.
        engine: runtime that gave the calibration scores.
        calibrate: fingerprints of the pictures behind the thresholds.
        scores: their scores, ascending, one per independent part or picture.
        checksum: sha256 over text and arrays; "" until saved.
    """

    product: str
    bundle: str
    engine: str
    created: str
    scoring: Scoring
    thresholds: Thresholds
    evidence: Evidence
    calibrate: tuple[str, ...]
    scores: tuple[float, ...]
    checksum: str = ""


class _Text(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """recipe.toml as it stands in the file."""

    format: int
    product: str
    bundle: str
    engine: str
    created: str
    arrays: str
    checksum: str
    thresholds: Thresholds
    evidence: Evidence


def check_product_name(name: str) -> str:
    """Return `name` if it may name a folder.

    Raises:
        RecipeError: it may not.
    """
    if not PRODUCT_NAME.fullmatch(name):
        raise RecipeError(f"product name {name!r}: use 1 to 64 of a-z, 0-9, '-' and '_', not starting with '-' or '_'")
    return name


def save_recipe(parent: Path, recipe: Recipe) -> Recipe:
    """Write the next version below `parent` and make it the active one; return it with its checksum."""
    arrays = pack_arrays(_recipe_arrays(recipe))
    text = _recipe_text(recipe, hashlib.sha256(arrays).hexdigest())
    checksum = _checksum(text)
    text["checksum"] = checksum
    version = f"{_last_version(parent) + 1:04d}"
    write_folder(parent / version, {TEXT: tomlkit.dumps(text).encode(), ARRAYS: arrays})
    activate(parent, version)
    return replace(recipe, checksum=checksum)


def activate(parent: Path, version: str) -> None:
    """Make a saved version the active one, atomically."""
    draft = parent / f".{ACTIVE}"
    with open(draft, "w", encoding="utf-8") as file:
        file.write(version + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(parent / ACTIVE)


def load_recipe(parent: Path) -> Recipe:
    """Read and verify the active recipe below `parent`.

    Raises:
        RecipeError: none was calibrated, or it was changed by hand or damaged.
    """
    version = _read(parent / ACTIVE).decode("utf-8", "replace").strip()
    if not re.fullmatch(r"\d{4,}", version):
        raise RecipeError(
            f"{parent / ACTIVE} says {version!r}, not a version such as 0001; calibrate the product again"
        )
    return read_version(parent / version)


def read_version(folder: Path) -> Recipe:
    """Read and verify one saved version.

    Raises:
        RecipeError: it was changed by hand or damaged.
    """
    raw, arrays = _read(folder / TEXT), _read(folder / ARRAYS)
    try:
        document = tomllib.loads(raw.decode("utf-8"))
        text = msgspec.convert(document, _Text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as error:
        raise RecipeError(f"{folder / TEXT} is not a recipe: {error}; calibrate the product again") from error
    _verify(folder, document, text, arrays)
    return _assemble(folder, text, arrays)


def _verify(folder: Path, document: dict[str, Any], text: _Text, arrays: bytes) -> None:
    if text.format != FORMAT:
        raise RecipeError(f"{folder / TEXT} has format {text.format}, this program reads {FORMAT}; upgrade it")
    if hashlib.sha256(arrays).hexdigest() != text.arrays:
        raise RecipeError(f"{folder / ARRAYS} was changed since calibration; calibrate the product again")
    if _checksum(document) != text.checksum:
        raise RecipeError(f"{folder / TEXT} was changed since calibration; calibrate the product again")
    if not math.isfinite(text.thresholds.review) or not text.thresholds.review <= text.thresholds.reject:
        raise RecipeError(f"{folder / TEXT} has limits {text.thresholds}; calibrate the product again")


def _assemble(folder: Path, text: _Text, data: bytes) -> Recipe:
    try:
        arrays = unpack_arrays(data)
        prints = tuple(bytes(row).hex() for row in np.asarray(arrays.pop("calibrate"), np.uint8))
        scores = tuple(float(value) for value in np.asarray(arrays.pop("scores"), np.float64))
        scoring = arrays_scoring(arrays)
    except (EngineError, KeyError, ValueError, TypeError) as error:
        raise RecipeError(f"{folder / ARRAYS}: {error}; calibrate the product again") from error
    return Recipe(
        text.product, text.bundle, text.engine, text.created, scoring, text.thresholds, text.evidence, prints, scores,
        text.checksum,
    )  # fmt: skip


def _recipe_arrays(recipe: Recipe) -> Arrays:
    prints = np.frombuffer(bytes.fromhex("".join(recipe.calibrate)), np.uint8).reshape(-1, 32)
    return {**scoring_arrays(recipe.scoring), "calibrate": prints, "scores": np.asarray(recipe.scores, np.float64)}


def _recipe_text(recipe: Recipe, arrays: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "product": recipe.product,
        "bundle": recipe.bundle,
        "engine": recipe.engine,
        "created": recipe.created,
        "arrays": arrays,
        "thresholds": asdict(recipe.thresholds),
        "evidence": asdict(recipe.evidence),
    }


def _checksum(text: Mapping[str, Any]) -> str:
    """sha256 of the text's values in canonical order (the arrays' sha256 is one of them), without the checksum."""
    content = {key: value for key, value in text.items() if key != "checksum"}
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def _last_version(parent: Path) -> int:
    names = [path.name for path in parent.glob("[0-9]*")] if parent.is_dir() else []
    return max((int(name) for name in names if name.isdigit()), default=0)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecipeError(
            f"cannot read {path}: {error.strerror}; calibrate the product: inspector calibrate PRODUCT --good DIR"
        ) from error
