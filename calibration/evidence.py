"""Evidence: why thresholds may be trusted and how far, and the sentences that people read of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Method = Literal["order", "tail", "provisional", "hand"]
Unit = Literal["session", "part"]

UNITS: tuple[Unit, ...] = ("session", "part")
METHODS: tuple[Method, ...] = ("order", "tail", "provisional")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why the thresholds may be trusted, and how far.

    Attributes:
        parts: independent scores used: sessions or physical parts, see `unit`.
        pictures: pictures scored.
        above: independent ones above the review limit.
        bound: at most this share of good parts will be rejected ...
        confidence: ... with this confidence. 1: no bound holds, too many parts were not found.
        asked: the bound that was asked for; `bound` is larger when the parts don't support it.
        method: `order`: the bound is all there is; `tail`: the limit was extrapolated; `provisional`: confirmed parts
            are to complete it; `hand`: an engineer set the limit.
        missing: pictures in which the part was not found; they count as rejected.
        unit: what counts as independent.
        sessions: how many the pictures come from; 0: not known.
        within: the bound if parts of one session were independent, which holds only for parts like those of these
            sessions; None: `bound` says so itself.
        left_out, left_out_worst: share of a session's pictures above the limit that the other sessions set, mean and
            worst session; None: fewer than two sessions.
        tail_p: p-value of the fitted tail's goodness of fit; None: no tail was fitted.
        operator: who calibrated; a name, not yet an identity.
        rules: how many limits share the bound: a part that breaks any of them is rejected.
    """

    parts: int
    pictures: int
    above: int
    bound: float
    confidence: float
    asked: float
    method: Method = "order"
    missing: int = 0
    unit: Unit = "part"
    sessions: int = 0
    within: float | None = None
    left_out: float | None = None
    left_out_worst: float | None = None
    tail_p: float | None = None
    operator: str = ""
    rules: int = 1

    @property
    def reaches_asked(self) -> bool:
        """Whether the parts support the bound that was asked for."""
        return self.bound <= self.asked

    @property
    def needed(self) -> int:
        """Fewest independent parts that can support what was asked."""
        return parts_needed(self.asked, self.confidence, self.rules)

    def sentence(self) -> str:
        """What the parts support, in one line."""
        unit = f"{self.unit}{'' if self.parts == 1 else 's'}"
        if self.bound == 1:
            return (
                f"{self.parts} {unit}: no bound, {self.missing} of {self.pictures} pictures show no part where it "
                "should be found; mend the location (docs/INPUT.md)"
            )
        said = [f"{self.parts} {unit}: at most {percent(self.bound)} false rejects, {self._sure} confidence"]
        if self.rules > 1:
            said.append(f"by {self.rules} rules together")
        if not self.reaches_asked:
            said.append(f"the {percent(self.asked)} asked for needs at least {self.needed} {self.unit}s")
        if self.within is not None:
            said.append(f"at most {percent(self.within)} as long as parts look like those of {self._these}")
        said += self._method_says()
        if self.left_out is not None and self.left_out_worst is not None:
            said.append(
                f"a session left out had {percent(self.left_out)} above the others' limit, "
                f"the worst {percent(self.left_out_worst)}"
            )
        return "; ".join(said)

    def promise(self) -> str:
        """What an operator reads."""
        share = self.bound if self.within is None else self.within
        if share == 1:
            return "No promise: too many good parts were not found."
        many = f"1 in {math.floor(1 / share)} good parts" if share <= 1 / 3 else f"{percent(share)} of the good parts"
        like = f"those of {self._these}" if self.sessions else "those calibrated with"
        return f"At most {many} will be rejected, with {self._sure} confidence, as long as parts look like {like}."

    @property
    def _sure(self) -> str:
        return f"{100 * self.confidence:.6g}%"

    @property
    def _these(self) -> str:
        return "this 1 session" if self.sessions == 1 else f"these {self.sessions} sessions"

    def _method_says(self) -> list[str]:
        if self.method == "tail":
            return [f"the limit is EXTRAPOLATED by a fitted tail to {percent(self.asked)}, which is no bound"]
        if self.method == "provisional":
            missing = max(self.needed - self.parts, 1)
            return [f"PROVISIONAL until {missing} more confirmed {self.unit}s are added"]
        return ["the limit was SET BY HAND"] if self.method == "hand" else []


def parts_needed(bound: float, confidence: float, rules: int = 1) -> int:
    """Fewest good parts that can support `bound` at all: n of which, at that share, fewer than `rules` are rejected
    with probability 1 - confidence at most. For one rule (1 - bound)^n <= 1 - confidence.
    """
    parts = math.ceil(math.log(1 - confidence) / math.log(1 - bound))
    while rules > 1 and _fewer(rules, parts, bound) > 1 - confidence:
        parts += 1
    return parts


def _fewer(rules: int, parts: int, share: float) -> float:
    """Probability that of so many parts fewer than `rules` are among the share."""
    return sum(math.comb(parts, k) * share**k * (1 - share) ** (parts - k) for k in range(rules))


def percent(share: float) -> str:
    """As people write it: two digits, rounded up, so that "at most" stays true."""
    if share <= 0:
        return "0%"
    step = 10.0 ** (math.floor(math.log10(100 * share)) - 1)
    return f"{math.ceil(100 * share / step - 1e-6) * step:.6g}%"
