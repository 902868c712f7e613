"""What if: stored scores judged again under proposed limits. Pure; nothing is changed, and no picture is needed.

A score belongs to the bundle that gave it, so parts of other bundles are counted apart. An ERROR stays one: no limit
had to do with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from calibration.thresholds import Thresholds
from inspector.inspection import Band, Outcome
from inspector.judge import weigh

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Limits that might be.

    Attributes:
        zones: by name, the score of that zone above which a part is rejected, whatever its score as a whole.
    """

    limits: Thresholds
    zones: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """A part that would be judged differently."""

    sequence: int
    captured_us: int | None
    part_ref: str | None
    score: float
    was: Outcome
    becomes: Outcome
    why: str


@dataclass(slots=True)
class WhatIf:
    """What proposed limits would have done.

    Attributes:
        parts: that were judged again; `before` and `after` count their outcomes.
        errors: parts that stay ERROR.
        other_bundle: parts whose score another bundle gave.
        without_zone: parts that have no score in a proposed zone.
    """

    parts: int = 0
    errors: int = 0
    other_bundle: int = 0
    without_zone: int = 0
    before: dict[Outcome, int] = field(default_factory=lambda: {Outcome.GOOD: 0, Outcome.REJECT: 0})
    after: dict[Outcome, int] = field(default_factory=lambda: {Outcome.GOOD: 0, Outcome.REJECT: 0})
    changes: list[Change] = field(default_factory=list)

    def sentence(self) -> str:
        """What it comes to."""
        before, after = self.before[Outcome.REJECT], self.after[Outcome.REJECT]
        said = f"{self.parts} parts: {before} -> {after} rejects; {len(self.changes)} parts change"
        for count, why in (
            (self.errors, "stay ERROR"),
            (self.other_bundle, "were judged with another bundle and are left out"),
            (self.without_zone, "have no score in the zone and are left out"),
        ):
            said += f"; {count} {why}" if count else ""
        return said


def what_if(rows: Iterable[Row], proposal: Proposal, bundle: str) -> WhatIf:
    """Judge rows of the history again.

    Args:
        rows: as `each_part` gives them.
        bundle: id of the bundle that the proposal's limits are for.
    """
    found = WhatIf()
    for row in rows:
        if row["outcome"] not in (Outcome.GOOD, Outcome.REJECT) or row["score"] is None:
            found.errors += 1
        elif row["bundle"] != bundle:
            found.other_bundle += 1
        elif not set(proposal.zones) <= set(row["zone_scores"] or {}):
            found.without_zone += 1
        else:
            _judge_again(row, proposal, found)
    return found


def _judge_again(row: Row, proposal: Proposal, found: WhatIf) -> None:
    was, (becomes, why) = Outcome(row["outcome"]), _outcome(row, proposal)
    found.parts += 1
    found.before[was] += 1
    found.after[becomes] += 1
    if was is not becomes:
        facts = row["sequence"], row["captured_us"], row["part_ref"], row["score"]
        found.changes.append(Change(*facts, was, becomes, why))


def _outcome(row: Row, proposal: Proposal) -> tuple[Outcome, str]:
    if not math.isfinite(row["score"]):
        return Outcome.REJECT, "not finite"
    outcome, band = weigh(row["score"], proposal.limits)
    if outcome is Outcome.REJECT:
        return outcome, "between the limits" if band is Band.REVIEW else "above the reject limit"
    for name, limit in proposal.zones.items():
        if not row["zone_scores"][name] <= limit:  # a NaN is not below it
            return Outcome.REJECT, f"zone {name} {row['zone_scores'][name]:.4g} above {limit:.4g}"
    return outcome, "below the review limit"
