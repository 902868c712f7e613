"""Confirmed parts of a history: a stretch that an engineer has looked at, part by part.

Feedback joins in here and nowhere else: accepted marks say which rejects are good and which passed parts are bad. They
never add a part by themselves: parts that were picked are no sample of good ones.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from calibration.confirm import Confirmed
from calibration.errors import SampleError
from inspector.inspection import Outcome, Reason
from inspector.what_if import rules_of

PartId = tuple[str, int]  # boot, sequence: a history that was replaced may count from 1 again
NO_MARKS: Mapping[PartId, str] = {}


def confirmed_parts(
    rows: Iterable[Mapping[str, Any]],
    recipes: Collection[str],
    first: int,
    last: int,
    bad: Collection[int],
    known: Mapping[PartId, str] = NO_MARKS,
    undecided: Collection[PartId] = (),
) -> list[Confirmed]:
    """Good parts from `first` to `last`, all but the `bad` ones and those known as bad.

    A part that the line never looked at (a lost frame, overload) says nothing of scores and is passed over.

    Args:
        rows: as `each_part` gives them.
        recipes: checksums of those whose scores are comparable; see `comparable`.
        known: "good" or "bad", as accepted.
        undecided: parts with an open mark.

    Raises:
        SampleError: the stretch holds parts of another bundle or other masks, an open mark, or a reject that nobody has
            said anything of; or a bad part lies outside it.
    """
    outside = sorted(number for number in bad if not first <= number <= last)
    if outside:
        raise SampleError(f"bad part {outside[0]} lies outside {first} to {last}; name parts of the stretch")
    found = []
    for row in rows:
        number, part, score = row["sequence"], (row["boot"], row["sequence"]), score_of(row)
        if not first <= number <= last:
            continue
        if part in undecided:
            raise SampleError(f"a mark of part {number} is open; accept or refuse it: inspector feedback list")
        if number in bad or known.get(part) == "bad" or score is None:
            continue
        if row["recipe"] not in recipes:
            raise SampleError(
                f"part {number} was judged with another bundle or other masks; confirm parts of this recipe's"
            )
        if Outcome.REJECT in (row["outcome"], row["judged"]) and known.get(part) != "good":
            raise SampleError(f"part {number} was judged REJECT; give --bad {number}, or accept a mark that it is good")
        found.append(Confirmed(f"{row['boot']}/{number}", row["boot"], score, rules_of(row)))
    return found


def score_of(row: Mapping[str, Any]) -> float | None:
    """A judged part's score, infinite where it was not found; None: never judged, or while the line was held."""
    if row["reason"] == Reason.PART_NOT_FOUND:
        return math.inf
    return None if row["score"] is None or row["reason"] == Reason.NOT_RELEASED else float(row["score"])
