"""What the `select` parts decide about scoring, from good parts alone.

Statistics by position help parts that always lie the same way and ruin those that lie in any orientation. Which of the
two a product is shows on its own good parts: with defects painted on them, does standardising by position separate
painted from clean better than standardising by level?
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines.metrics import auroc
from engines.scoring import Layout, Map, Scoring, Statistics, learn_scoring, score

Maps = Sequence[Map]  # one picture's raw maps, fine to coarse

FOLDS = 3


def choose_scoring(
    clean: Sequence[Maps],
    painted: Sequence[Maps],
    layout: Layout = Layout(),
    weights: tuple[float, ...] = (),
    discrepancies: int | None = None,
) -> Scoring:
    """Learn statistics of the kind that separates painted from clean `select` pictures better.

    Args:
        clean: raw maps of at least one good picture.
        painted: raw maps of the same pictures with defects painted on, in the same order.
        weights: see `Scoring`.
        discrepancies: how many maps, from the first, are discrepancies and choose; None: all. What a map of the
            segmentation head says of painted defects says nothing: it was taught with them.
    """
    seen, shown = ([maps[:discrepancies] for maps in pictures] for pictures in (clean, painted))
    statistics = choose_statistics(seen, shown, layout, weights[:discrepancies])
    return learn_scoring(clean, statistics, layout, weights, discrepancies)


def choose_statistics(
    clean: Sequence[Maps], painted: Sequence[Maps], layout: Layout = Layout(), weights: tuple[float, ...] = ()
) -> Statistics:
    """`position` only where it wins on pictures its statistics were not learnt from; `level` otherwise."""
    if len(clean) < 2 * FOLDS:
        return "level"  # too few to learn a position's statistics and check them on others
    by_level, by_position = (separation(clean, painted, kind, layout, weights) for kind in ("level", "position"))
    return "position" if by_position > by_level else "level"


def separation(
    clean: Sequence[Maps],
    painted: Sequence[Maps],
    statistics: Statistics,
    layout: Layout = Layout(),
    weights: tuple[float, ...] = (),
) -> float:
    """Mean over folds of the AUROC of painted against clean pictures held out from the statistics."""
    folds = np.arange(len(clean)) * FOLDS // len(clean)  # in one piece each: pictures of one part lie side by side
    areas = []
    for fold in range(FOLDS):
        scoring = learn_scoring([maps for maps, f in zip(clean, folds) if f != fold], statistics, layout, weights)
        good = [score(maps, scoring).value for maps, f in zip(clean, folds) if f == fold]
        bad = [score(maps, scoring).value for maps, f in zip(painted, folds) if f == fold]
        areas.append(auroc(good, bad))
    return float(np.mean(areas))
