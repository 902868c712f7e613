"""Confirm: running parts that an engineer found good add to a calibration, until it supports what was asked.

Only a whole stretch of consecutive parts may be confirmed, each of them looked at. Were only the rejected ones looked
at, or those somebody picked, the scores would be no sample of good parts, and the bound none.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from calibration.changes import utc_now
from calibration.errors import SampleError
from calibration.recipe import Recipe
from calibration.thresholds import find_thresholds


@dataclass(frozen=True, slots=True)
class Confirmed:
    """One running part that is good.

    Attributes:
        name: of the part, the same whenever it is asked for.
        session: of the line's run.
        score: infinite where the part was not found.
        rules: values of further rules by name; empty where the part was not found.
    """

    name: str
    session: str
    score: float
    rules: Mapping[str, float] = field(default_factory=dict)

    @property
    def print(self) -> str:
        """What stands for the fingerprint: its picture is not kept."""
        return hashlib.sha256(self.name.encode()).hexdigest()


def add_confirmed(recipe: Recipe, parts: Sequence[Confirmed], engineer: str) -> Recipe:
    """The recipe with more parts behind it and limits found again, unsaved. Parts that it has already don't count.

    Raises:
        SampleError: limits were set by hand, its groups are not known, no part is new, or one lacks a rule's value.
    """
    if recipe.by_hand is not None or len(recipe.groups) != len(recipe.scores):
        raise SampleError("this recipe's limits don't come from its parts alone; calibrate the product again first")
    known = set(recipe.calibrate)
    new = [part for part in parts if part.print not in known]
    if not new:
        raise SampleError(f"none of the {len(parts)} confirmed parts is new to this recipe; confirm others")
    by_session = recipe.evidence.unit == "session"
    names = tuple(recipe.rules)
    rows = [
        *zip(recipe.scores, recipe.calibrate, recipe.groups, *recipe.rules.values()),
        *((part.score, part.print, part.session if by_session else part.name, *_values(part, names)) for part in new),
    ]
    scores, prints, groups, *values = zip(*sorted(rows))
    rules = dict(zip(names, values))
    asked, confidence = recipe.evidence.asked, recipe.evidence.confidence
    thresholds, found = find_thresholds(
        scores, groups, asked, confidence, lots=prints, method="provisional", rules=rules
    )
    sessions = len({part.session for part in new}) + recipe.evidence.sessions
    evidence = replace(found, unit=recipe.evidence.unit, sessions=sessions, operator=engineer)
    return replace(
        recipe, created=utc_now(), thresholds=thresholds, evidence=evidence, calibrate=prints, scores=scores,
        groups=groups, rules=rules, checksum="",
    )  # fmt: skip


def _values(part: Confirmed, names: Sequence[str]) -> list[float]:
    if not math.isfinite(part.score):
        return [math.inf] * len(names)
    missing = [name for name in names if name not in part.rules]
    if missing:
        raise SampleError(
            f"part {part.name} has no value of {', '.join(missing)}; confirm parts that this recipe judged"
        )
    return [part.rules[name] for name in names]
