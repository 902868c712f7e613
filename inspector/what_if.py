"""What if: stored scores judged again under proposed limits. Pure; nothing is changed, and no picture is needed.

A score belongs to the bundle and the masks that gave it, so parts of others are counted apart. An ERROR stays one:
no limit had to do with it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from calibration.thresholds import Thresholds
from engines.scoring import rule_values
from inspector.inspection import Band, Outcome
from inspector.judge import weigh

Row = Mapping[str, Any]
Marks = Mapping[tuple[str, int], tuple[str, str]]  # by boot and sequence: ("good" | "bad", whose word it is)
NO_MARKS: Marks = {}


@dataclass(frozen=True, slots=True)
class Change:
    """A part that would be judged differently.

    Attributes:
        marked: "good" or "bad", as people said; "": nobody did.
        by: "operator", or "engineer" who accepted it.
    """

    sequence: int
    captured_us: int | None
    part_ref: str | None
    score: float
    was: Outcome
    becomes: Outcome
    why: str
    marked: str = ""
    by: str = ""


@dataclass(slots=True)
class WhatIf:
    """What proposed limits would have done.

    Attributes:
        parts: that were judged again; `before` and `after` count their outcomes.
        errors: parts that stay ERROR.
        not_comparable: parts whose score another bundle gave, or other masks.
        without_rule: parts that have no value of a rule that is proposed.
    """

    parts: int = 0
    errors: int = 0
    not_comparable: int = 0
    without_rule: int = 0
    before: dict[Outcome, int] = field(default_factory=lambda: {Outcome.GOOD: 0, Outcome.REJECT: 0})
    after: dict[Outcome, int] = field(default_factory=lambda: {Outcome.GOOD: 0, Outcome.REJECT: 0})
    changes: list[Change] = field(default_factory=list)

    @property
    def marks(self) -> dict[str, dict[str, int]]:
        """How many of the parts that change were marked, by what is said of them and whose word it is."""
        said = Counter((change.marked, change.by) for change in self.changes)
        return {says: {by: said[says, by] for by in ("operator", "engineer")} for says in ("good", "bad")}

    def sentence(self) -> str:
        """What it comes to."""
        before, after = self.before[Outcome.REJECT], self.after[Outcome.REJECT]
        said = f"{self.parts} parts: {before} -> {after} rejects; {len(self.changes)} parts change"
        for count, why in (
            (self.errors, "stay ERROR"),
            (self.not_comparable, "were judged with another bundle or other masks and are left out"),
            (self.without_rule, "have no value of a rule and are left out"),
        ):
            said += f"; {count} {why}" if count else ""
        return said + self._marked()

    def _marked(self) -> str:
        said = ""
        for says, counts in self.marks.items():
            if count := sum(counts.values()):
                said += f"; {count} of those that change {'was' if count == 1 else 'were'} marked {says}"
                said += f" ({counts['engineer']} accepted by an engineer)"
        escaped = sum(change.marked == "bad" and change.becomes is Outcome.GOOD for change in self.changes)
        return said + (f"; {escaped} marked bad would PASS" if escaped else "")


def what_if(rows: Iterable[Row], limits: Thresholds, recipes: Collection[str], marks: Marks = NO_MARKS) -> WhatIf:
    """Judge rows of the history again.

    Args:
        rows: as `each_part` gives them.
        limits: proposed.
        recipes: checksums of those that score as the one which they are for; see `comparable`.
        marks: what people said of parts.
    """
    found = WhatIf()
    for row in rows:
        if row["outcome"] not in (Outcome.GOOD, Outcome.REJECT) or row["score"] is None:
            found.errors += 1
        elif row["recipe"] not in recipes:
            found.not_comparable += 1
        elif limits.rules.keys() - rules_of(row):
            found.without_rule += 1
        else:
            _judge_again(row, limits, marks, found)
    return found


def rules_of(row: Row) -> dict[str, float]:
    """Values of further rules that a row of the history holds, by name."""
    values = rule_values(row["area"], row["zone_scores"] or {})
    return {name: value for name, value in values.items() if value is not None}


def _judge_again(row: Row, limits: Thresholds, marks: Marks, found: WhatIf) -> None:
    was, (becomes, why) = Outcome(row["outcome"]), _outcome(row, limits)
    found.parts += 1
    found.before[was] += 1
    found.after[becomes] += 1
    if was is not becomes:
        facts = row["sequence"], row["captured_us"], row["part_ref"], row["score"]
        marked = marks.get((row["boot"], row["sequence"]), ("", ""))
        found.changes.append(Change(*facts, was, becomes, why, *marked))


def _outcome(row: Row, limits: Thresholds) -> tuple[Outcome, str]:
    if not math.isfinite(row["score"]):
        return Outcome.REJECT, "not finite"
    outcome, band, why = weigh(row["score"], rules_of(row), limits)
    if outcome is Outcome.REJECT:
        return outcome, why or ("between the limits" if band is Band.REVIEW else "above the reject limit")
    return outcome, "below every limit" if limits.rules else "below the review limit"
