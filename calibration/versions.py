"""Versions of a recipe: what each says, how two differ, going back to one, and limits that were set by hand."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.changes import utc_now
from calibration.errors import CalibrationError, RecipeError
from calibration.evidence import Evidence, percent
from calibration.recipe import ACTIVE, VERSION, ByHand, Recipe, activate, active_version, read_version
from calibration.thresholds import Thresholds, draw, false_reject_bound
from engines.scoring import rule_values
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
    return {
        "product": recipe.product,
        "checksum": recipe.checksum,
        "plc_checksum": recipe.plc_checksum,
        "created": recipe.created,
        "bundle": recipe.bundle,
        "engine": recipe.engine,
        "scoring": f"by {recipe.scoring.statistics}, {len(recipe.scoring.zones)} zones, {scoring_of(recipe)[:12]}",
        "pictures": len(recipe.calibrate),
        **_flat("limit", asdict(recipe.thresholds)),
        **{f"evidence.{key}": value for key, value in asdict(recipe.evidence).items()},
        **(_flat("by_hand", asdict(recipe.by_hand)) if recipe.by_hand else {}),
    }


def _flat(prefix: str, values: dict[str, Any]) -> dict[str, Fact]:
    rules = values.pop("rules", {})
    return {f"{prefix}.{key}": value for key, value in {**values, **rules}.items()}


def differences(old: Recipe, new: Recipe) -> dict[str, tuple[Fact, Fact]]:
    """What differs between two recipes: (old, new) by name."""
    before, after = facts(old), facts(new)
    return {
        key: (before.get(key), after.get(key))
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    }


def comparable(parent: Path, recipe: Recipe) -> frozenset[str]:
    """Checksums of all versions that score as this recipe does: the same bundle, statistics, masks and zones."""
    wanted = (recipe.bundle, scoring_of(recipe))
    known = (version.recipe for version in list_versions(parent) if version.recipe is not None)
    return frozenset(entry.checksum for entry in known if (entry.bundle, scoring_of(entry)) == wanted)


def scoring_of(recipe: Recipe) -> str:
    """sha256 of what turns maps into scores: statistics, masks, zones."""
    return hashlib.sha256(pack_arrays(scoring_arrays(recipe.scoring))).hexdigest()


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
    recipe: Recipe,
    review: float | None,
    reject: float | None,
    operator: str,
    engineer: str,
    reason: str,
    rules: Mapping[str, float] = MappingProxyType({}),
) -> Recipe:
    """The same recipe with other limits, unsaved.

    Limits between the calibrated ones need a reason; others an engineer's name too, because nothing that was measured
    supports them: a limit of a further rule other than the calibrated one, or of a rule that was not calibrated.

    Args:
        review: None: as it is.
        reject: None: as calibrated, or the review limit where that is larger.
        rules: limits of further rules by name; the others stay.

    Raises:
        CalibrationError: not finite, in the wrong order, of an unknown rule, or without reason or signature.
    """
    before = recipe.thresholds
    origin = recipe.by_hand or ByHand("", "", "", "", before.review, before.reject, before.rules)
    limits = _checked(recipe, before.review if review is None else review, reject, origin, {**before.rules, **rules})
    if not reason.strip():
        raise CalibrationError("a limit set by hand needs its reason; say why with --reason")
    if _is_outside(limits, origin) and not engineer.strip():
        raise CalibrationError(
            f"limits {_told(limits)} lie outside the calibrated {_told(origin)}; an engineer must sign: --engineer NAME"
        )
    signed = ByHand(utc_now(), operator, engineer, reason, origin.review, origin.reject, origin.rules)
    evidence = _evidence_at(recipe, limits, origin)
    return replace(recipe, created=signed.date, thresholds=limits, evidence=evidence, by_hand=signed, checksum="")


def _checked(
    recipe: Recipe, review: float, reject: float | None, origin: ByHand, rules: dict[str, float]
) -> Thresholds:
    limits = Thresholds(review, max(review, origin.reject) if reject is None else reject, rules)
    is_finite = all(map(math.isfinite, (limits.review, limits.reject, *rules.values())))
    if not is_finite or limits.review > limits.reject:
        raise CalibrationError(f"limits {_told(limits)}: give finite ones, review <= reject")
    known = rule_values(0.0, dict.fromkeys(recipe.scoring.zones, 0.0))
    for name in rules:
        if name not in known:
            raise CalibrationError(
                f"no rule {name!r} in this recipe; there are {', '.join(known)}: draw zones with calibrate --zone"
            )
    return limits


def _is_outside(limits: Thresholds, origin: ByHand) -> bool:
    return limits.review < origin.review or limits.reject > origin.reject or limits.rules != origin.rules


def _told(limits: Thresholds | ByHand) -> str:
    rules = "".join(f", {name} {limit:.6g}" for name, limit in limits.rules.items())
    return f"{limits.review:.6g} to {limits.reject:.6g}{rules}"


def _evidence_at(recipe: Recipe, limits: Thresholds, origin: ByHand) -> Evidence:
    """Higher limits keep the bound; with a lower one it is that of the parts above any, if nobody chose it by looking.

    No bound is left where a rule got a limit whose values are not known.
    """
    evidence = replace(
        recipe.evidence, method="hand", within=None, left_out=None, left_out_worst=None, tail_p=None,
        rules=1 + len(limits.rules),
    )  # fmt: skip
    if limits.rules.keys() - recipe.rules.keys():
        return replace(evidence, bound=1.0)
    drawn = _drawn(recipe, limits.rules)
    if evidence.bound == 1 or not drawn.size:
        return evidence
    now = np.array([limits.review, *limits.rules.values()])
    calibrated = np.array([origin.review, *(origin.rules.get(name, math.inf) for name in limits.rules)])
    above = int((drawn > now[:, None]).any(0).sum())
    if not (now < calibrated).any():
        return replace(evidence, above=above, bound=recipe.evidence.bound)
    stricter = int((drawn > np.minimum(now, calibrated)[:, None]).any(0).sum())
    bound = false_reject_bound(drawn.shape[1], stricter + len(limits.rules), evidence.confidence)
    return replace(evidence, above=above, bound=bound)


def _drawn(recipe: Recipe, rules: Iterable[str]) -> NDArray[np.float64]:
    """Scores and values of rules (R, n) of one picture per group."""
    groups = recipe.groups or [str(i) for i in range(len(recipe.scores))]
    values = np.asarray([recipe.scores, *(recipe.rules[name] for name in rules)], np.float64)
    return np.asarray(values[:, draw(groups, recipe.calibrate)], np.float64) if len(recipe.scores) else values


def summary(recipe: Recipe) -> str:
    """One line for a table."""
    method = "" if recipe.evidence.method == "order" else f", {recipe.evidence.method}"
    return f"{recipe.evidence.parts} {recipe.evidence.unit}s, at most {percent(recipe.evidence.bound)}{method}"


def _version(parent: Path, name: str, is_active: bool) -> Version:
    try:
        return Version(name, read_version(parent / name), "", is_active)
    except RecipeError as error:
        return Version(name, None, str(error), is_active)
