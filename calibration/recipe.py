"""Recipe: all that one product needs to be judged. Versioned folders of recipe.toml + recipe.npz, one checksum."""

from __future__ import annotations

import hashlib
import math
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tomlkit
from numpy.typing import NDArray

from calibration.changes import Change, note
from calibration.errors import RecipeError
from calibration.evidence import Evidence
from calibration.frames import SERIES, SIDE, Frames
from calibration.thresholds import Thresholds
from engines.bundle import write_folder
from engines.errors import EngineError
from engines.scoring import Scoring, rule_values
from engines.scoring_file import Arrays, arrays_scoring, pack_arrays, scoring_arrays, unpack_arrays

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FORMAT = 1
TEXT, ARRAYS, ACTIVE = "recipe.toml", "recipe.npz", "active"
RULE = "rule:"  # before the name of a rule whose values are kept
VERSION = re.compile(r"[0-9]{4,9}")
PRODUCT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class ByHand:
    """Who moved the limits away from where calibration had put them.

    Attributes:
        engineer: who signed for limits outside the calibrated ones; "": they lie between them. A name that was typed:
            the program does not yet know users.
        review, reject, rules: the limits as calibrated.
    """

    date: str
    operator: str
    engineer: str
    reason: str
    review: float
    reject: float
    rules: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one product is judged, and why that may be trusted.

    Attributes:
        bundle: id of the bundle it was calibrated with.
        engine: runtime that gave the calibration scores.
        calibrate: fingerprints of the pictures behind the thresholds, by ascending score.
        scores: one per picture, ascending; infinite where the part was not found.
        groups: one per picture: what the contract counts as one; empty in recipes that don't know it.
        rules: by name, one value per picture for each further rule that has a limit; see `Thresholds.rules`.
        by_hand: None: the limits are those of calibration.
        frames: of the same pictures; None: not known, and drift is watched by scores alone.
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
    groups: tuple[str, ...] = ()
    by_hand: ByHand | None = None
    frames: Frames | None = None
    checksum: str = ""
    rules: dict[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def plc_checksum(self) -> int:
        """The checksum's first 32 bits: an unsigned double word that a PLC can compare."""
        return int(self.checksum[:8] or "0", 16)


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
    by_hand: ByHand | None = None


def check_product_name(name: str) -> str:
    """Return `name` if it may name a folder.

    Raises:
        RecipeError: it may not.
    """
    if not PRODUCT_NAME.fullmatch(name):
        raise RecipeError(f"product name {name!r}: use 1 to 64 of a-z, 0-9, '-' and '_', not starting with '-' or '_'")
    return name


def save_recipe(parent: Path, recipe: Recipe, reason: str = "calibrated") -> Recipe:
    """Write the next version below `parent` and make it the active one; return it with its checksum."""
    arrays = pack_arrays(_recipe_arrays(recipe))
    text = _recipe_text(recipe, hashlib.sha256(arrays).hexdigest())
    checksum = _checksum(text)
    text["checksum"] = checksum
    version = f"{_last_version(parent) + 1:04d}"
    write_folder(parent / version, {TEXT: tomlkit.dumps(text).encode(), ARRAYS: arrays})
    operator = recipe.by_hand.operator if recipe.by_hand else recipe.evidence.operator
    activate(parent, version, checksum, operator, reason)
    return replace(recipe, checksum=checksum)


def activate(parent: Path, version: str, checksum: str = "", operator: str = "", reason: str = "") -> None:
    """Make a saved version the active one, atomically; who did it and why is noted first, for ever."""
    note(parent, Change.now(version, checksum, operator, reason))
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
    return read_version(parent / active_version(parent))


def active_version(parent: Path) -> str:
    """The name of the active version below `parent`.

    Raises:
        RecipeError: none was calibrated, or the name is no version's.
    """
    version = _read(parent / ACTIVE).decode("utf-8", "replace").strip()
    if not VERSION.fullmatch(version):
        raise RecipeError(
            f"{parent / ACTIVE} says {version!r}, not a version such as 0001; calibrate the product again"
        )
    return version


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
    limits = (text.thresholds.review, *text.thresholds.rules.values())
    if not all(map(math.isfinite, limits)) or not text.thresholds.review <= text.thresholds.reject:
        raise RecipeError(f"{folder / TEXT} has limits {text.thresholds}; calibrate the product again")
    evidence = text.evidence
    shares = (evidence.bound, evidence.confidence, evidence.asked, 1.0 if evidence.within is None else evidence.within)
    if not all(0 < share <= 1 for share in shares) or 1 in shares[1:3]:
        raise RecipeError(f"{folder / TEXT} has shares {shares} in its evidence; calibrate the product again")


def _assemble(folder: Path, text: _Text, data: bytes) -> Recipe:
    try:
        arrays = unpack_arrays(data)
        prints = tuple(bytes(row).hex() for row in np.asarray(arrays.pop("calibrate"), np.uint8))
        scores = tuple(float(value) for value in np.asarray(arrays.pop("scores"), np.float64))
        groups = tuple(str(name) for name in np.asarray(arrays.pop("groups", ()), np.str_))
        frames = _frames(arrays.pop("frame_reference", None), arrays.pop("frame_values", None))
        rules = {
            key.removeprefix(RULE): tuple(np.asarray(arrays.pop(key), np.float64).tolist())
            for key in list(arrays)
            if key.startswith(RULE)
        }
        scoring = arrays_scoring(arrays)
        unknown = text.thresholds.rules.keys() - rule_values(0.0, dict.fromkeys(scoring.zones, 0.0))
        if unknown or any(len(values) != len(scores) for values in rules.values()):
            raise ValueError(f"limits of {sorted(unknown)}, values of {sorted(rules)}: not those of its pictures")
        if any(map(math.isnan, scores)):
            raise ValueError("a score is NaN")
        if not len(groups or scores) == len(scores) == len(prints):
            raise ValueError(f"{len(scores)} scores, {len(groups)} groups and {len(prints)} fingerprints")
    except (EngineError, KeyError, ValueError, TypeError) as error:
        raise RecipeError(f"{folder / ARRAYS}: {error}; calibrate the product again") from error
    return Recipe(
        text.product, text.bundle, text.engine, text.created, scoring, text.thresholds, text.evidence, prints, scores,
        groups, text.by_hand, frames, text.checksum, rules,
    )  # fmt: skip


def _frames(reference: NDArray[np.generic] | None, values: NDArray[np.generic] | None) -> Frames | None:
    if reference is None or values is None:
        return None
    by_series = np.asarray(values, np.float64).reshape(-1, len(SERIES))
    return Frames(np.asarray(reference, np.float32).reshape(SIDE, SIDE), by_series)


def _recipe_arrays(recipe: Recipe) -> Arrays:
    prints = np.frombuffer(bytes.fromhex("".join(recipe.calibrate)), np.uint8).reshape(-1, 32)
    arrays = {**scoring_arrays(recipe.scoring), "calibrate": prints, "scores": np.asarray(recipe.scores, np.float64)}
    if recipe.groups:
        arrays["groups"] = np.asarray(recipe.groups, np.str_)
    arrays |= {f"{RULE}{name}": np.asarray(values, np.float64) for name, values in recipe.rules.items()}
    if recipe.frames is not None:
        arrays |= {"frame_reference": recipe.frames.reference, "frame_values": recipe.frames.values}
    return arrays


def _recipe_text(recipe: Recipe, arrays: str) -> dict[str, Any]:
    text = {
        "format": FORMAT,
        "product": recipe.product,
        "bundle": recipe.bundle,
        "engine": recipe.engine,
        "created": recipe.created,
        "arrays": arrays,
        "thresholds": {key: value for key, value in asdict(recipe.thresholds).items() if value != {}},
        # TOML has no null: what is None is left out
        "evidence": {key: value for key, value in asdict(recipe.evidence).items() if value is not None},
    }
    if recipe.by_hand is not None:
        text["by_hand"] = {key: value for key, value in asdict(recipe.by_hand).items() if value != {}}
    return text


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
