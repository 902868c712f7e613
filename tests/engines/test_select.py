"""What select parts decide."""

from __future__ import annotations

import numpy as np

from engines.scoring import Map
from engines.select import choose_scoring, choose_statistics


def parts(count: int, pattern_strength: float, seed: int) -> tuple[list[tuple[Map]], list[tuple[Map]]]:
    """Good maps over a common pattern, and the same with a spot that is faint beside it."""
    rng = np.random.default_rng(seed)
    pattern = pattern_strength * rng.random((32, 32), np.float32)
    clean = [(pattern + rng.random((32, 32), np.float32),) for _ in range(count)]
    painted = []
    for (level,) in clean:
        spotted = level.copy()
        row, column = rng.integers(4, 28, 2)
        spotted[row - 2 : row + 2, column - 2 : column + 2] += 2.0
        painted.append((spotted,))
    return clean, painted


def test_parts_that_share_a_pattern_get_statistics_by_position() -> None:
    assert choose_statistics(*parts(24, 20.0, 0)) == "position"


def test_a_tie_and_too_few_parts_get_statistics_by_level() -> None:
    clean, _ = parts(24, 0.0, 1)
    assert choose_statistics(clean, clean) == "level"
    assert choose_statistics(*parts(4, 20.0, 2)) == "level"


def test_the_chosen_scoring_is_learnt_from_all_clean_parts() -> None:
    clean, painted = parts(12, 20.0, 3)
    assert choose_scoring(clean, painted).means[0].shape == (32, 32)


def test_only_discrepancies_choose_and_only_they_are_learnt_by_position() -> None:
    clean, painted = parts(24, 20.0, 4)
    flat, _ = parts(24, 0.0, 5)
    both, marked = ([(*a, *b) for a, b in zip(pictures, flat)] for pictures in (clean, painted))
    by_pattern = choose_scoring(both, marked, weights=(1.0, 1.0), discrepancies=1)
    assert by_pattern.statistics == "position"
    assert [mean.ndim for mean in by_pattern.means] == [2, 0]
    unmarked = [(*a, *b) for a, b in zip(flat, clean)]
    assert choose_scoring(unmarked, unmarked, weights=(1.0, 1.0), discrepancies=1).statistics == "level"
