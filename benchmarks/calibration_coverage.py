"""Does the bound of a calibration hold as often as it claims? Simulated good parts, through the product's own function.

    python benchmarks/calibration_coverage.py --json [--quick]

Each repetition draws n scores, sets thresholds, and knows the true share of good parts above the limit: that of a new
part of a new group. Scores are light-tailed (exponential) or heavy-tailed (Student's t with 2 degrees of freedom).
Grouped: pictures come in groups of GROUP_SIZE, with intra-group correlation ICC of the normal scores behind them. With
`rules` 3 there are two more values of that law, as of zones, all three under one bound: their normal scores correlate
by BETWEEN, and what counts is the share of good parts above any limit.

A cell is claimed where n (groups, when grouped) reaches ceil(ln(1 - confidence) / ln(1 - bound)), and with several
rules what `parts_needed` says of as many; there `held` counts repetitions whose true share is at most `bound`.
Elsewhere the tool claims a wider bound, `stated`, and `held` counts that one. `min_p` is the smallest one-sided exact
binomial p-value over claimed cells, times their number.

`mean_realised` of a claimed cell is no mean of few sampled limits, which scatters by 6 % over 300 repetitions. Of n + 1
drawn groups each could be the new one, so each is left out in turn and held against the limit that the product finds
for the others: the share of those above is the exact mean given the n + 1 scores, and EXCHANGES such draws are
averaged. Elsewhere `mean_realised` is the mean over the repetitions, and for several rules too: no order of the parts
says which would fall outside the others' limits. At least three parts lie above those, so that it scatters by 3 %.
"""

from __future__ import annotations

import argparse
import bisect
import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from calibration.evidence import parts_needed
from calibration.thresholds import find_thresholds

Values = NDArray[np.float64]

PARTS = (60, 300, 1000, 3000)
BOUNDS = (0.05, 0.01, 0.005, 0.001)
RULES, RULES_BOUNDS = 3, (0.05, 0.01)
CONFIDENCE = 0.95
GROUP_SIZE, ICC = 5, 0.5
REPETITIONS, QUICK = 2000, 300
BETWEEN = 0.5  # correlation of the rules: a bad zone raises the score too
EXCHANGES = 5
DEGREES = 2  # of freedom of the heavy tail: its variance is infinite
SEED = 2026
_NODES, _WIDTHS = np.polynomial.legendre.leggauss(200)
SHARED = 8 * _NODES  # values of what the rules share, and their weights in a mean
WEIGHTS = 8 * _WIDTHS * np.exp(-0.5 * SHARED**2) / np.sqrt(2 * np.pi)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} repetitions instead of {REPETITIONS}")
    parser.add_argument("--json", action="store_true", help="for a machine to read")
    parser.add_argument("--seed", type=int, default=SEED, help="of all draws")
    options = parser.parse_args()
    started = time.perf_counter()
    repetitions = QUICK if options.quick else REPETITIONS
    cells = [
        cell(parts, grouped, law, bound, repetitions, options.seed, rules)
        for rules, bounds in ((1, BOUNDS), (RULES, RULES_BOUNDS))
        for parts in PARTS
        for grouped in (False, True)
        for law in ("light", "heavy")
        for bound in bounds
    ]
    facts = summary(cells, repetitions) | {"seed": options.seed, "seconds": round(time.perf_counter() - started, 1)}
    if options.json:
        print(json.dumps({**facts, "cells": cells}))
        return
    for row in cells:
        mark = "claimed" if row["claimed"] else f"stated {row['stated']:.3f}"
        print(
            f"{row['n']:5} parts {row['groups'] or '':>5} {row['scores']:5} {row['rules']} {row['bound']:.3f} "
            f"held {row['held_share']:.4f}  realised {row['mean_realised']:.5f}  {mark}"
        )
    print(json.dumps(facts))


def cell(
    parts: int, grouped: bool, law: str, bound: float, repetitions: int, seed: int = SEED, rules: int = 1
) -> dict[str, Any]:
    """One row of the table."""
    size = GROUP_SIZE if grouped else 1
    names = [str(number // size) for number in range(parts)]
    independent = parts // size
    claimed = independent >= parts_needed(bound, CONFIDENCE, rules)
    which = [seed, parts, size, "lightheavy".index(law), round(1e6 * bound)]
    rng = np.random.default_rng(which if rules == 1 else [*which, rules])
    held, realised, stated = 0, 0.0, 1.0
    for _ in range(repetitions):
        scores, *others = score_of(draw_rules(rng, parts, size, rules), law)
        further = {f"zone:{number}": values for number, values in enumerate(others)}
        # Pictures of a group are alike: their order is a lot.
        thresholds, evidence = find_thresholds(scores, names, bound, CONFIDENCE, rules=further)
        share = share_above_any([thresholds.review, *thresholds.rules.values()], law)
        stated = evidence.bound
        held += share <= (bound if claimed else stated)
        realised += share / repetitions
    if claimed and rules == 1:
        realised = float(np.mean([exchanged(rng, parts, size, law, bound) for _ in range(EXCHANGES)]))
    return {
        "n": parts, "groups": independent if grouped else None, "icc": ICC if grouped else None, "scores": law,
        "rules": rules, "between": BETWEEN if rules > 1 else None,
        "bound": bound, "confidence": CONFIDENCE, "claimed": claimed, "stated": stated, "held": held,
        "held_share": held / repetitions, "mean_realised": realised,
        "p": float(special.bdtr(held, repetitions, CONFIDENCE)),
    }  # fmt: skip


def exchanged(rng: np.random.Generator, parts: int, size: int, law: str, bound: float) -> float:
    """Share of one group more than `parts` make whose first score lies above the limit of all others."""
    groups = score_of(draw_normal(rng, parts + size, size), law).reshape(-1, size)
    names = [str(number // size) for number in range(parts)]

    def is_within(left_out: int) -> bool:
        others = np.delete(groups, left_out, 0).ravel()
        return bool(groups[left_out, 0] <= find_thresholds(others, names, bound, CONFIDENCE)[0].review)

    # The lower the one that is left out, the higher the limit of the others: above it lie the first few only.
    falling = np.argsort(-groups[:, 0]).tolist()
    return bisect.bisect_left(falling, True, key=is_within) / len(groups)


def draw_normal(rng: np.random.Generator, parts: int, size: int) -> Values:
    """Standard normal values (parts,), `size` after one another sharing the variance ICC."""
    if size == 1:
        return rng.standard_normal(parts)
    shared = np.repeat(rng.standard_normal(parts // size), size)
    return np.sqrt(ICC) * shared + np.sqrt(1 - ICC) * rng.standard_normal(parts)


def draw_rules(rng: np.random.Generator, parts: int, size: int, rules: int) -> Values:
    """Standard normal values (rules, parts) that correlate by BETWEEN from rule to rule, each as `draw_normal`'s."""
    shared = draw_normal(rng, parts, size)
    if rules == 1:
        return shared[None]
    own = np.stack([draw_normal(rng, parts, size) for _ in range(rules)])
    return np.sqrt(BETWEEN) * shared + np.sqrt(1 - BETWEEN) * own


def score_of(normal: Values, law: str) -> Values:
    """Scores of the law whose quantiles are those of the normal values."""
    above = special.ndtr(-normal)
    return -np.log(above) if law == "light" else np.asarray(special.stdtrit(DEGREES, 1 - above), np.float64)


def share_above(limit: float, law: str) -> float:
    """True share of good parts above a limit."""
    return float(np.exp(-limit) if law == "light" else special.stdtr(DEGREES, -limit))


def share_above_any(limits: Sequence[float], law: str) -> float:
    """True share of good parts above any limit: given what the rules share they are independent; Gauss-Legendre."""
    if len(limits) == 1:
        return share_above(limits[0], law)
    normal = -special.ndtri(np.array([share_above(limit, law) for limit in limits]))
    below = special.ndtr((normal[:, None] - np.sqrt(BETWEEN) * SHARED) / np.sqrt(1 - BETWEEN)).prod(0)
    return float(1 - (WEIGHTS * below).sum())


def summary(cells: list[dict[str, Any]], repetitions: int) -> dict[str, Any]:
    """What the table must show."""
    claimed = [row for row in cells if row["claimed"]]
    return {
        "repetitions": repetitions,
        "claimed_cells": len(claimed),
        "min_p": min(1.0, len(claimed) * min(row["p"] for row in claimed)),
        "min_realised_of_bound": min(row["mean_realised"] / row["bound"] for row in claimed),
    }


if __name__ == "__main__":
    main()
