"""What the `select` parts decide about scoring, from good parts alone.

Statistics by position, and the Gaussian by position, help parts that always lie the same way and ruin those that lie in
any orientation. Which of the two a product is shows on its own good parts: with defects painted on them, which scoring
separates painted from clean best?
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, get_args

import numpy as np

from engines.metrics import auroc
from engines.scoring import Layout, Map, Scoring, Statistics, learn_scoring, score

Maps = Sequence[Map]  # one picture's raw maps, fine to coarse
Weights = tuple[float, ...]

FOLDS = 3


class Choice(NamedTuple):
    """What is to be decided."""

    statistics: Statistics
    weights: Weights


def choose_scoring(
    clean: Sequence[Maps],
    painted: Sequence[Maps],
    layout: Layout = Layout(),
    weights: Weights = (),
    good_maps: int | None = None,
    optional: int | None = None,
) -> Scoring:
    """Learn the scoring that separates painted from clean `select` pictures best.

    Args:
        clean: raw maps of at least one good picture.
        painted: raw maps of the same pictures with defects painted on, in the same order.
        weights: see `Scoring`.
        good_maps: how many maps, from the first, were learnt from good parts alone, and choose; None: all. What a map
            of the segmentation head says of painted defects says nothing: it was taught with them.
        optional: place of a map that may be left out.
    """
    weights = weights or (1.0,) * len(clean[0])
    offered = [weights] if optional is None else [_without(weights, optional), weights]
    seen, shown = ([maps[:good_maps] for maps in pictures] for pictures in (clean, painted))
    choice = choose(seen, shown, [given[:good_maps] for given in offered], layout)
    chosen = next(given for given in offered if given[:good_maps] == choice.weights)
    return learn_scoring(clean, choice.statistics, layout, chosen, good_maps)


def choose(
    clean: Sequence[Maps], painted: Sequence[Maps], offered: Sequence[Weights], layout: Layout = Layout()
) -> Choice:
    """The plainest, statistics by level and the first weights, unless another wins on pictures it was not learnt from.

    Too few to learn a position's statistics and check them on others: the plainest.
    """
    choices = [Choice(statistics, weights) for statistics in get_args(Statistics) for weights in offered]
    if len(clean) < 2 * FOLDS:
        return choices[0]
    return max(choices, key=lambda choice: separation(clean, painted, choice, layout))  # the first of equals


def separation(clean: Sequence[Maps], painted: Sequence[Maps], choice: Choice, layout: Layout = Layout()) -> float:
    """Mean over folds of the AUROC of painted against clean pictures held out from the statistics."""
    folds = np.arange(len(clean)) * FOLDS // len(clean)  # in one piece each: pictures of one part lie side by side
    areas = []
    for fold in range(FOLDS):
        learnt = [maps for maps, f in zip(clean, folds) if f != fold]
        scoring = learn_scoring(learnt, choice.statistics, layout, choice.weights)
        good = [score(maps, scoring).value for maps, f in zip(clean, folds) if f == fold]
        bad = [score(maps, scoring).value for maps, f in zip(painted, folds) if f == fold]
        areas.append(auroc(good, bad))
    return float(np.mean(areas))


def _without(weights: Weights, place: int) -> Weights:
    return (*weights[:place], 0.0, *weights[place + 1 :])
