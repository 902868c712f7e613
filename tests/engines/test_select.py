"""What select parts decide."""

from __future__ import annotations

import numpy as np

from engines.scoring import Map
from engines.select import Maps, choose, choose_scoring

ALIKE = [(1.0,)]


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
    assert choose(*parts(24, 20.0, 0), ALIKE).statistics == "position"


def test_a_tie_and_too_few_parts_get_statistics_by_level() -> None:
    clean, _ = parts(24, 0.0, 1)
    assert choose(clean, clean, ALIKE).statistics == "level"
    assert choose(*parts(4, 20.0, 2), ALIKE).statistics == "level"


def test_the_chosen_scoring_is_learnt_from_all_clean_parts() -> None:
    clean, painted = parts(12, 20.0, 3)
    assert choose_scoring(clean, painted).means[0].shape == (32, 32)


def test_only_discrepancies_choose_and_only_they_are_learnt_by_position() -> None:
    clean, painted = parts(24, 20.0, 4)
    flat, _ = parts(24, 0.0, 5)
    both, marked = ([(*a, *b) for a, b in zip(pictures, flat)] for pictures in (clean, painted))
    by_pattern = choose_scoring(both, marked, weights=(1.0, 1.0), good_maps=1)
    assert by_pattern.statistics == "position"
    assert [mean.ndim for mean in by_pattern.means] == [2, 0]
    unmarked = [(*a, *b) for a, b in zip(flat, clean)]
    assert choose_scoring(unmarked, unmarked, weights=(1.0, 1.0), good_maps=1).statistics == "level"


def beside(first: list[tuple[Map]], second: list[tuple[Map]]) -> list[Maps]:
    return [(*a, *b) for a, b in zip(first, second)]


def test_an_optional_map_counts_where_it_tells_painted_from_clean_and_not_where_it_hides_it() -> None:
    clean, painted = parts(24, 0.0, 6)
    noise = [(40 * level.clip(0.9, None),) for (level,) in parts(24, 0.0, 7)[0]]
    of_no_use = choose_scoring(beside(clean, noise), beside(painted, noise), weights=(1.0, 3.0), optional=1)
    assert of_no_use.weights == (1.0, 0.0)
    faint = [(0.1 * level,) for (level,) in parts(24, 0.0, 8)[0]]
    telling = choose_scoring(beside(faint, clean), beside(faint, painted), weights=(1.0, 3.0), optional=1)
    assert telling.weights == (1.0, 3.0)


def test_an_optional_map_that_too_few_parts_can_check_does_not_count() -> None:
    clean, painted = parts(4, 0.0, 9)
    assert choose_scoring(beside(clean, clean), beside(painted, painted), weights=(1.0, 3.0), optional=1).weights == (
        1.0,
        0.0,
    )
