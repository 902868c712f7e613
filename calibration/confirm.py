"""Confirm: running parts that an engineer found good add to a calibration, until it supports what was asked.

Only a whole stretch of consecutive parts may be confirmed, each of them looked at. Were only the rejected ones looked
at, or those somebody picked, the scores would be no sample of good parts, and the bound none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    """

    name: str
    session: str
    score: float

    @property
    def print(self) -> str:
        """What stands for the fingerprint: its picture is not kept."""
        return hashlib.sha256(self.name.encode()).hexdigest()


def add_confirmed(recipe: Recipe, parts: Sequence[Confirmed], engineer: str) -> Recipe:
    """The recipe with more parts behind it and limits found again, unsaved. Parts that it has already don't count.

    Raises:
        SampleError: limits were set by hand, its groups are not known, or no part is new.
    """
    if recipe.by_hand is not None or len(recipe.groups) != len(recipe.scores):
        raise SampleError("this recipe's limits don't come from its parts alone; calibrate the product again first")
    known = set(recipe.calibrate)
    new = [part for part in parts if part.print not in known]
    if not new:
        raise SampleError(f"none of the {len(parts)} confirmed parts is new to this recipe; confirm others")
    by_session = recipe.evidence.unit == "session"
    rows = [
        *zip(recipe.scores, recipe.calibrate, recipe.groups),
        *((part.score, part.print, part.session if by_session else part.name) for part in new),
    ]
    scores, prints, groups = zip(*sorted(rows))
    asked, confidence = recipe.evidence.asked, recipe.evidence.confidence
    thresholds, found = find_thresholds(scores, groups, asked, confidence, lots=prints, method="provisional")
    sessions = len({part.session for part in new}) + recipe.evidence.sessions
    evidence = replace(found, unit=recipe.evidence.unit, sessions=sessions, operator=engineer)
    return replace(
        recipe, created=utc_now(), thresholds=thresholds, evidence=evidence, calibrate=prints, scores=scores,
        groups=groups, checksum="",
    )  # fmt: skip
