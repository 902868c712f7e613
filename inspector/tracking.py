"""Tracking: which part is at the gate. Pure: (event, place on the belt) -> fates; no clock, no file, no output.

Places are in the belt's own travel: encoder pulses, or nanoseconds where a belt of constant speed has no encoder. So a
belt that stands or slows down changes nothing: what has not travelled has not come nearer to the gate.

    line's trigger           own sensor                   gate
        |------ sensor ----------|                          |
        |---------------------- gate -----------------------|   open from `reach` before to `reach` after the part

    a part   SEEN --verdict of a part that was seen in the same place--> CLAIMED
               |                                                            |
               +----------- arrives at the gate ----------------------------+--> every claim is GOOD: let through
                                |                                                otherwise: ejected
                                +--> no claim: ejected. A verdict that comes later still finds its part, and moves
                                     nothing. None for PATIENCE: the line never saw it, `no_trigger`.

A verdict that fits two parts proves neither, and neither does one for a part that is told from no place.
Without a sensor of its own the ejector takes each verdict's word that there is a part.
"""

from __future__ import annotations

import bisect
from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from inspector.inspection import Outcome

PATIENCE = 50  # times the way to the gate, while a line serves: a restarted line has told all it knows long before


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are along the belt, in its travel (pulses or ns), from the line's trigger.

    Attributes:
        gate: where the part must be let through.
        reach: the gate is open from so much before the part's place to so much after.
        sensor: where the ejector's own sensor stands; None: it has none.
        tolerance: a verdict and a seen part are the same within this; below half the smallest distance of two parts.
    """

    gate: int
    reach: int
    sensor: int | None
    tolerance: int


class Why(str, Enum):
    """What decided a part's fate."""

    PROVEN = "proven"  # let through; all others are ejected
    NOT_GOOD = "not_good"  # REJECT or ERROR
    UNPROVEN = "unproven"  # no verdict when it came to the gate; a later one says which part it was
    AMBIGUOUS = "ambiguous"  # its verdict fits another part as well, or a part too close to it may not pass
    FAIL_SAFE = "fail_safe"  # the line was silent
    NO_TRIGGER = "no_trigger"  # the line never saw it
    UNRECORDED = "unrecorded"  # it must be one of those that the line numbered and forgot in a crash


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a part. One for every part that was seen; one more for each further verdict that claims it.

    Attributes:
        number: the ejector's own count of parts.
        sequence: the line's; None: it has none.
    """

    number: int
    sequence: int | None
    passed: bool
    why: Why


@dataclass(frozen=True, slots=True)
class Open:
    """Open the gate now."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Close:
    """Let the gate fall back now."""


Move = Fate | Open | Close


@dataclass(slots=True)
class _Seen:
    """A part on its way; `at` is where the belt was when it passed the line's trigger."""

    number: int
    at: int
    claims: dict[int, Outcome] = field(default_factory=dict)
    is_ambiguous: bool = False
    due: int = 0  # once it has passed the gate unclaimed: when patience with the line ends


@dataclass(frozen=True, slots=True)
class _Claim:
    at: int
    sequence: int
    outcome: Outcome


class Tracker:
    """Every part between sensor and gate, and those that passed it without a verdict. `count`: parts seen before."""

    def __init__(self, layout: Layout, count: int = 0) -> None:
        self.count = count
        self.phantoms = 0  # verdicts for which no part came
        self._layout = layout
        self._coming: deque[_Seen] = deque()
        self._gone: deque[_Seen] = deque()  # unclaimed
        self._claims: deque[_Claim] = deque()  # of parts that the sensor has not seen yet, or never will
        self._recent: deque[_Seen] = deque(maxlen=64)  # decided and claimed: a double trigger may claim them again
        self._forgotten = 0  # parts that the line numbered and can't place any more
        self._served = self._place = 0
        self._close_at: int | None = None

    def saw(self, place: int) -> None:
        """The own sensor sees a part; the belt is at `place`."""
        part = self._add(place - (self._layout.sensor or 0))
        claims = [claim for claim in self._claims if abs(claim.at - part.at) <= self._layout.tolerance]
        for claim in claims:
            part.claims[claim.sequence] = claim.outcome
            self._claims.remove(claim)

    def told(self, sequence: int, outcome: Outcome, at: int | None) -> list[Move]:
        """A verdict was written; the belt was `at` when the line saw the part. None: the line no longer knows."""
        if at is None:
            self._forgotten += 1
            return []
        found = [part for part in self._coming if self._fits(part, at)]
        if not found and self._layout.sensor is None and at + self._layout.gate - self._layout.reach > self._place:
            found = [self._add(at)]
        if found:
            for part in found:
                part.claims[sequence] = outcome
                part.is_ambiguous = len(found) > 1
            return []
        if at + self._layout.gate - self._layout.reach - self._layout.tolerance > self._place:
            self._claims.append(_Claim(at, sequence, outcome))  # the usual case: the sensor has yet to see it
            return []
        return self._told_late(sequence, outcome, at)

    def can_pass(self, at: int | None) -> bool:
        """Has a part that the line saw `at` this place not yet come to the gate? After it a GOOD is worth nothing."""
        return at is not None and self._place < at + self._layout.gate - self._layout.reach

    def moved(self, place: int, is_serving: bool) -> list[Move]:
        """The belt is at `place` now. `is_serving`: a line is there; without one nothing is let through."""
        moves: list[Move] = []
        if is_serving:
            self._served += place - self._place
        self._place = place
        while self._coming and place >= self._coming[0].at + self._layout.gate - self._layout.reach:
            moves += self._arrived(self._coming.popleft(), is_serving)
        if self._close_at is not None and (place >= self._close_at or not is_serving):
            self._close_at = None
            moves.append(Close())
        return moves + self._give_up()

    @property
    def next_place(self) -> int | None:
        """Where the belt will be when `moved` has something to do next; None: nothing is on its way."""
        opening = self._coming[0].at + self._layout.gate - self._layout.reach if self._coming else None
        known = [place for place in (opening, self._close_at) if place is not None]
        return min(known, default=None)

    def _add(self, at: int) -> _Seen:
        self.count += 1
        part = _Seen(self.count, at)
        self._coming.append(part)
        if len(self._coming) > 1 and at < self._coming[-2].at:  # told out of order, without a sensor
            self._coming = deque(sorted(self._coming, key=lambda seen: seen.at))
        return part

    def _fits(self, part: _Seen, at: int) -> bool:
        return abs(part.at - at) <= self._layout.tolerance

    def _arrived(self, part: _Seen, is_serving: bool) -> list[Move]:
        why = self._weigh(part, is_serving)
        if not part.claims:
            part.due = self._served + PATIENCE * self._layout.gate
            self._gone.append(part)
            return [Close()] if self._interrupts(part) else []
        self._recent.append(part)
        passed = why is Why.PROVEN
        fates: list[Move] = [Fate(part.number, sequence, passed, why) for sequence in part.claims]
        if passed:
            self._close_at = part.at + self._layout.gate + self._layout.reach
            return [*fates, Open(next(iter(part.claims)))]  # known before it is done: a kill between can't hide it
        return [*([Close()] if self._interrupts(part) else []), *fates]

    def _interrupts(self, part: _Seen) -> bool:
        """The gate is still open for the part before this one, which may not pass."""
        is_open, self._close_at = self._close_at is not None, None
        return is_open

    def _weigh(self, part: _Seen, is_serving: bool) -> Why:
        if not is_serving:
            return Why.FAIL_SAFE
        if any(outcome is not Outcome.GOOD for outcome in part.claims.values()):
            return Why.NOT_GOOD
        if part.is_ambiguous or self._is_crowded(part):
            return Why.AMBIGUOUS
        return Why.PROVEN if part.claims else Why.UNPROVEN

    def _is_crowded(self, part: _Seen) -> bool:
        """The next part would be in the gate while it is open for this one."""
        return bool(self._coming) and self._coming[0].at - part.at <= 2 * self._layout.reach

    def _told_late(self, sequence: int, outcome: Outcome, at: int) -> list[Move]:
        for part in self._gone:
            if self._fits(part, at):
                self._gone.remove(part)
                self._recent.append(part)
                part.claims[sequence] = outcome
                return [Fate(part.number, sequence, False, Why.UNPROVEN)]
        for part in self._recent:
            if self._fits(part, at):
                part.claims[sequence] = outcome
                return [Fate(part.number, sequence, False, Why.AMBIGUOUS)]
        self._claims.append(_Claim(at, sequence, outcome))
        return []

    def _give_up(self) -> list[Move]:
        """Parts that no verdict claimed in time, and verdicts whose part never came to the sensor."""
        moves: list[Move] = []
        while self._gone and self._gone[0].due <= self._served:
            part = self._gone.popleft()
            is_known = self._forgotten > 0
            self._forgotten -= is_known
            moves.append(Fate(part.number, None, False, Why.UNRECORDED if is_known else Why.NO_TRIGGER))
        horizon = self._place - (self._layout.sensor or 0) - self._layout.tolerance
        while self._claims and self._claims[0].at < horizon:
            self._claims.popleft()
            self.phantoms += 1
        return moves


class Odometer:
    """Where the belt was at a time: samples of its encoder, and straight lines between them."""

    def __init__(self, memory_ns: int) -> None:
        """`memory_ns`: how far back; samples of a belt that stands still take no room."""
        self._memory_ns = memory_ns
        self._times: list[int] = []
        self._places: list[int] = []

    def sample(self, now_ns: int, place: int) -> None:
        """The belt is at `place` now."""
        if len(self._places) > 1 and self._places[-1] == self._places[-2] == place:
            self._times[-1] = now_ns
            return
        self._times.append(now_ns)
        self._places.append(place)
        stale = bisect.bisect_left(self._times, now_ns - self._memory_ns) - 1
        if stale > 1000:  # seldom: a list forgets its front slowly
            del self._times[:stale], self._places[:stale]

    def at(self, then_ns: int) -> int | None:
        """Where it was; None: that is longer ago than it remembers."""
        after = bisect.bisect_right(self._times, then_ns)
        if after == 0:
            return None
        if after == len(self._times):
            return self._places[-1]
        start, end = self._times[after - 1], self._times[after]
        first, last = self._places[after - 1], self._places[after]
        return first + (last - first) * (then_ns - start) // (end - start)
