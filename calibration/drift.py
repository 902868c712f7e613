"""Drift: are today's parts, and the frames they are seen in, still those of calibration? Pure.

Each series (scores; brightness, focus, position of frames) is ranked among calibration and all that came since. While
nothing changes, the ranks are exactly uniform and independent, whatever the distribution and however few the calibrated
parts (conformal prediction; Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2022, ch. 8). Each rank
is bet on a change that would show so: e, whose mean is 1 while nothing changes. The Shiryaev-Roberts sum

    R <- (1 + R) e

then grows by 1 per part in the mean, so the mean run length until R first reaches A is at least A (Pollak 1985; Shin,
Ramdas & Rinaldo, E-detectors, 2023). The average of several R is such a sum itself: one stated run length for all.

A bet may depend on all that was seen before, so also on when the change is supposed to have begun: `Starts`.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

State = Literal["OK", "WATCH", "RECALIBRATE"]
Cause = Literal["", "part", "frame"]
SCORE = "score"
RUN_LENGTH = 20_000  # parts; the mean time to a RECALIBRATE while nothing changes is at least this
WATCH_SHARE = 10  # WATCH comes at a tenth of it
BETS = {True: 5, False: 6}  # for scores; for each series of frames
MATCHED = 0.5  # of the stake on scores is on more parts in the tail; the bets above share the rest
TAIL, EVERY, STARTS = 0.1, 20, 40  # the tail; parts between two starts; starts that are kept
LARGEST = 1e300  # a sum need not grow beyond it
KEPT = 20_000  # values a series is ranked among; from then on the ranks are only as good as so many values
SHIFTS = (0.5, 1.0, 2.0, 4.0)  # standard deviations that a series may move: frames either way, scores up
_COST = [math.exp(-(shift**2) / 2) for shift in SHIFTS]  # makes the mean payoff of a bet on a shift 1
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Drift:
    """Where the monitor stands.

    Attributes:
        cause: what has most of the evidence: `part` (scores alone) or `frame` (lamp, focus, position); "" while OK.
        series: the one with most of it.
        evidence: R; it reaches `run_length` at RECALIBRATE.
        parts: seen since calibration.
    """

    state: State
    cause: Cause
    series: str
    evidence: float
    parts: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a monitor goes on from; see its attributes."""

    known: dict[str, list[float]]
    sums: dict[str, list[float]]
    starts: list[tuple[int, float]]
    lots: tuple[int, tuple[int, ...], float | None]
    parts: int
    alarm: Drift | None


class Starts:
    """The bet that from some part on scores fall twice as often among the tenth that was largest until then.

    Parts after the change are ranked among each other too. With N before and m after it the old tail's share of all is
    b = 0.1 (N + 2 m) / (N + m) in the mean, and a new rank lies below b with a chance of 0.2. The payoff is 0.2 / b
    there and 0.8 / (1 - b) above: 1 in the mean over uniform ranks, whatever b. A start that comes after EVERY parts
    has their weight, one each, so that the sum grows as R does; a start that is dropped only makes it smaller.
    """

    def __init__(self, kept: Sequence[tuple[int, float]] = ()) -> None:
        """Args:
        kept: up to STARTS times (values known before the start, its part of the sum).
        """
        free = [(1, 0.0)] * (STARTS - len(kept))
        self._before, self._totals = (np.array(column, np.float64) for column in zip(*kept, *free))

    def update(self, rank: float, known: int) -> None:
        """One more rank, among so many values known before it."""
        np.minimum(self._totals * _tail_payoffs(rank, self._before, known), LARGEST, out=self._totals)

    def begin(self, known: int) -> None:
        """A change may have begun now; where there are too many starts the one that speaks least for it goes."""
        place = self._totals.argmin()
        self._before[place], self._totals[place] = known, EVERY

    @property
    def kept(self) -> list[tuple[int, float]]:
        """What `Starts` takes."""
        return [(int(before), total) for before, total in zip(self._before, self._totals.tolist())]

    @property
    def total(self) -> float:
        """The sum."""
        return float(self._totals.sum())


class DriftMonitor:
    """Watches the parts of one recipe, one after another. RECALIBRATE stays until there is a new recipe."""

    def __init__(
        self, calibrated: Mapping[str, Sequence[float]], run_length: float = RUN_LENGTH, seed: int = 0
    ) -> None:
        """Args:
        calibrated: by series, its values of calibration; `score` is the parts', the others are the frames'.
        run_length: parts; the mean time to a false RECALIBRATE is at least this.
        """
        self._known = {name: sorted(values) for name, values in calibrated.items()}
        self._run_length = run_length
        self._lots = Random(seed)
        self._sums = {name: [0.0] * BETS[name == SCORE] for name in calibrated}
        self._starts = Starts()
        self._stakes = _stakes(calibrated)
        self._parts = 0
        self._alarm: Drift | None = None

    @property
    def drift(self) -> Drift:
        """The state after the last part."""
        return self._alarm or self._standing()

    @classmethod
    def resume(cls, snapshot: Snapshot, run_length: float = RUN_LENGTH) -> DriftMonitor:
        """A monitor that goes on exactly where another one was."""
        monitor = cls(snapshot.known, run_length)
        monitor._sums = {name: list(sums) for name, sums in snapshot.sums.items()}
        monitor._starts = Starts(snapshot.starts)
        monitor._lots.setstate(snapshot.lots)
        monitor._parts, monitor._alarm = snapshot.parts, snapshot.alarm
        return monitor

    def snapshot(self) -> Snapshot:
        """What `resume` needs; later updates leave it as it is."""
        known = {name: list(values) for name, values in self._known.items()}
        sums = {name: list(values) for name, values in self._sums.items()}
        return Snapshot(known, sums, self._starts.kept, self._lots.getstate(), self._parts, self._alarm)

    def update(self, values: Mapping[str, float]) -> Drift:
        """The state after one more part; a series without a value is left as it is.

        Args:
            values: by series; infinite where the part was not found. NaN counts as missing.
        """
        self._parts += 1
        for name, known in self._known.items():
            value = values.get(name, math.nan)
            if not math.isnan(value):
                self._bet(name, known, value)
        standing = self._standing()
        if self._alarm is None and standing.state == "RECALIBRATE":
            self._alarm = standing
        return self._alarm or standing

    def _bet(self, name: str, known: list[float], value: float) -> None:
        before = len(known)
        rank = self._rank(known, value)
        bets = _bets(name == SCORE, rank)
        self._sums[name] = [min((1 + total) * bet, LARGEST) for total, bet in zip(self._sums[name], bets)]
        if name == SCORE:
            self._starts.update(rank, before)
            if self._parts % EVERY == 0:
                self._starts.begin(len(known))

    def _rank(self, known: list[float], value: float) -> float:
        """Share of the known values above this one, ties by lot: uniform in 0..1 while nothing changes."""
        left, right = bisect.bisect_left(known, value), bisect.bisect_right(known, value)
        rank = (len(known) - right + self._lots.random() * (right - left + 1)) / (len(known) + 1)
        if len(known) < KEPT:
            known.insert(right, value)
        return min(max(rank, 1e-12), 1 - 1e-12)

    def _standing(self) -> Drift:
        evidence = {name: self._stakes[name] * sum(sums) / len(sums) for name, sums in self._sums.items()}
        if SCORE in evidence:
            starts = self._stakes[SCORE] * self._starts.total
            evidence[SCORE] = (1 - MATCHED) * evidence[SCORE] + MATCHED * starts
        total = sum(evidence.values())
        if total < self._run_length / WATCH_SHARE:
            return Drift("OK", "", "", total, self._parts)
        state: State = "RECALIBRATE" if total >= self._run_length else "WATCH"
        return Drift(state, *self._cause(evidence), total, self._parts)

    def _cause(self, evidence: Mapping[str, float]) -> tuple[Cause, str]:
        """Frames explain scores, not the other way round: with evidence for a WATCH against frames, it is they."""
        frames = {name: value for name, value in evidence.items() if name != SCORE}
        if frames and sum(frames.values()) >= min(self._run_length / WATCH_SHARE, evidence.get(SCORE, 0.0)):
            return "frame", max(frames, key=lambda name: frames[name])
        return "part", SCORE


def _stakes(names: Collection[str]) -> dict[str, float]:
    """Half is on scores, half on frames: how many series these have must not drown those. They add up to 1."""
    frames = len(names) - (SCORE in names)
    if frames in (0, len(names)):
        return dict.fromkeys(names, 1 / len(names))
    return {name: 0.5 if name == SCORE else 0.5 / frames for name in names}


def _bets(is_score: bool, rank: float) -> tuple[float, ...]:
    """Payoffs whose mean is 1 while nothing changes: scores may rise or spread, frames may move either way."""
    half = math.exp(-0.5 * _NORMAL.inv_cdf(rank))  # e^(shift z) of the normal score z, at a shift of 0.5
    one = half * half
    two = one * one
    up = half * _COST[0], one * _COST[1], two * _COST[2]
    if is_score:
        return *up, two * two * _COST[3], _doubled_excess(rank)
    return *up, _COST[0] / half, _COST[1] / one, _COST[2] / two


def _tail_payoffs(rank: float, before: NDArray[np.float64], known: int) -> NDArray[np.float64]:
    below = TAIL * (2 - before / known)
    return np.where(rank < below, 2 * TAIL / below, (1 - 2 * TAIL) / (1 - below))


def _doubled_excess(rank: float) -> float:
    """A bet on exponential excesses over the median, twice as large."""
    return 0.5 / math.sqrt(2 * rank) if rank < 0.5 else 1.0
