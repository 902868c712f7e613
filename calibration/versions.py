"""Versions of a recipe: what each says, how two differ, going back to one, and limits that were set by hand."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from calibration.changes import utc_now
from calibration.errors import CalibrationError, RecipeError
from calibration.evidence import Evidence, percent
from calibration.recipe import ACTIVE, VERSION, ByHand, Recipe, activate, active_version, read_version
from calibration.thresholds import Thresholds, draw, false_reject_bound
from engines.scoring_file import pack_arrays, scoring_arrays

Fact = str | int | float | None


@dataclass(frozen=True, slots=True)
class Version:
    """One saved version.

    Attributes:
        recipe: None: it can't be used, for the reason in `fault`.
    """

    name: str
    recipe: Recipe | None
    fault: str
    is_active: bool


def list_versions(parent: Path) -> list[Version]:
    """All versions below `parent`, oldest first; those that were changed or damaged too."""
    active = active_version(parent) if (parent / ACTIVE).is_file() else ""
    names = sorted(path.name for path in parent.glob("[0-9]*") if VERSION.fullmatch(path.name))
    return [_version(parent, name, name == active) for name in names]


def read_named(parent: Path, name: str) -> Recipe:
    """A version by its name, such as 0003 or 3; "": the active one.

    Raises:
        RecipeError: there is none of that name, or it was changed or damaged.
    """
    wanted = active_version(parent) if not name else name.zfill(4)
    if not VERSION.fullmatch(wanted) or not (parent / wanted).is_dir():
        known = ", ".join(version.name for version in list_versions(parent)) or "none"
        raise RecipeError(f"no version {name!r} in {parent}; there are: {known}")
    return read_version(parent / wanted)


def facts(recipe: Recipe) -> dict[str, Fact]:
    """All of a recipe that people compare, flat."""
    scoring = hashlib.sha256(pack_arrays(scoring_arrays(recipe.scoring))).hexdigest()
    return {
        "product": recipe.product,
        "checksum": recipe.checksum,
        "plc_checksum": recipe.plc_checksum,
        "created": recipe.created,
        "bundle": recipe.bundle,
        "engine": recipe.engine,
        "scoring": f"by {recipe.scoring.statistics}, {len(recipe.scoring.zones)} zones, {scoring[:12]}",
        "pictures": len(recipe.calibrate),
        **{f"limit.{key}": value for key, value in asdict(recipe.thresholds).items()},
        **{f"evidence.{key}": value for key, value in asdict(recipe.evidence).items()},
        **({f"by_hand.{key}": value for key, value in asdict(recipe.by_hand).items()} if recipe.by_hand else {}),
    }


def differences(old: Recipe, new: Recipe) -> dict[str, tuple[Fact, Fact]]:
    """What differs between two recipes: (old, new) by name."""
    before, after = facts(old), facts(new)
    return {
        key: (before.get(key), after.get(key))
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    }


def roll_back(parent: Path, name: str, operator: str, reason: str) -> Recipe:
    """Make an older version the active one, byte for byte, so that its checksum is the old one too.

    Raises:
        RecipeError: there is no such version, it was changed or damaged, or no reason is given.
    """
    recipe = read_named(parent, name)
    if not reason.strip():
        raise RecipeError("a change of recipe needs its reason; say why with --reason")
    activate(parent, name.zfill(4), recipe.checksum, operator, f"rolled back: {reason}")
    return recipe


def set_limits(
    recipe: Recipe, review: float, reject: float | None, operator: str, engineer: str, reason: str
) -> Recipe:
    """The same recipe with other limits, unsaved.

    Limits between the calibrated ones need a reason; others an engineer's name too, because nothing that was measured
    supports them.

    Args:
        reject: None: as calibrated, or the review limit where that is larger.

    Raises:
        CalibrationError: not finite, in the wrong order, or without reason or signature.
    """
    origin = recipe.by_hand or ByHand("", "", "", "", recipe.thresholds.review, recipe.thresholds.reject)
    limits = Thresholds(review, max(review, origin.reject) if reject is None else reject)
    if not (math.isfinite(limits.review) and limits.review <= limits.reject < math.inf):
        raise CalibrationError(f"limits {limits.review} and {limits.reject}: give finite ones, review <= reject")
    if not reason.strip():
        raise CalibrationError("a limit set by hand needs its reason; say why with --reason")
    is_outside = limits.review < origin.review or limits.reject > origin.reject
    if is_outside and not engineer.strip():
        raise CalibrationError(
            f"limits {limits.review:.6g} and {limits.reject:.6g} lie outside the calibrated {origin.review:.6g} to "
            f"{origin.reject:.6g}; an engineer must sign: --engineer NAME"
        )
    signed = ByHand(utc_now(), operator, engineer, reason, origin.review, origin.reject)
    evidence = _evidence_at(recipe, limits.review, origin.review)
    return replace(recipe, created=signed.date, thresholds=limits, evidence=evidence, by_hand=signed, checksum="")


def _evidence_at(recipe: Recipe, review: float, calibrated: float) -> Evidence:
    """A higher limit keeps the bound; a lower one has that of the parts above it, if nobody chose it by looking."""
    drawn = np.asarray(recipe.scores)[
        draw(recipe.groups or [str(i) for i in range(len(recipe.scores))], recipe.calibrate)
    ]
    evidence = replace(recipe.evidence, method="hand", within=None, left_out=None, left_out_worst=None, tail_p=None)
    if evidence.bound == 1 or not drawn.size:
        return evidence
    above = int((drawn > min(review, calibrated)).sum())
    bound = false_reject_bound(drawn.size, above, evidence.confidence)
    return replace(evidence, above=int((drawn > review).sum()), bound=bound)


def summary(recipe: Recipe) -> str:
    """One line for a table."""
    method = "" if recipe.evidence.method == "order" else f", {recipe.evidence.method}"
    return f"{recipe.evidence.parts} {recipe.evidence.unit}s, at most {percent(recipe.evidence.bound)}{method}"


def _version(parent: Path, name: str, is_active: bool) -> Version:
    try:
        return Version(name, read_version(parent / name), "", is_active)
    except RecipeError as error:
        return Version(name, None, str(error), is_active)
