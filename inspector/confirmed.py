"""Confirmed parts of a history: a stretch that an engineer has looked at, part by part."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from calibration.confirm import Confirmed
from calibration.errors import SampleError
from inspector.inspection import Reason
from inspector.what_if import rules_of


def confirmed_parts(
    rows: Iterable[Mapping[str, Any]], recipes: Collection[str], first: int, last: int, bad: Collection[int]
) -> list[Confirmed]:
    """Good parts from `first` to `last`, all but the `bad` ones.

    A part that the line never looked at (a lost frame, overload) says nothing of scores and is passed over.

    Args:
        rows: as `each_part` gives them.
        recipes: checksums of those whose scores are comparable; see `comparable`.

    Raises:
        SampleError: the stretch holds parts of another bundle or other masks, or a bad part lies outside it.
    """
    outside = sorted(number for number in bad if not first <= number <= last)
    if outside:
        raise SampleError(f"bad part {outside[0]} lies outside {first} to {last}; name parts of the stretch")
    found = []
    for row in rows:
        if not first <= row["sequence"] <= last or row["sequence"] in bad:
            continue
        score = math.inf if row["reason"] == Reason.PART_NOT_FOUND else row["score"]
        if score is None:
            continue
        if row["recipe"] not in recipes:
            raise SampleError(
                f"part {row['sequence']} was judged with another bundle or other masks; confirm parts of this recipe's"
            )
        found.append(Confirmed(f"{row['boot']}/{row['sequence']}", row["boot"], float(score), rules_of(row)))
    return found
