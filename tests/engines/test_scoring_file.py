"""Scoring to bytes and back."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import EngineError
from engines.scoring import Layout, Scoring, learn_scoring
from engines.scoring_file import arrays_scoring, pack_arrays, scoring_arrays, unpack_arrays


def example() -> Scoring:
    rng = np.random.default_rng(0)
    learnt = learn_scoring(
        [tuple(rng.random((side, side), np.float32) for side in (8, 4)) for _ in range(4)], "position"
    )
    zone = np.zeros((8, 8), bool)
    zone[2:4] = True
    layout = Layout((0.5, 0.25), (0.0, 0.125, 1.0, 0.75))
    zones, weights = {"rim": zone}, (1.0, 2.5)
    return replace(learnt, ignore=~zone, zones=zones, layout=layout, weights=weights)


def test_a_scoring_comes_back_as_it_was() -> None:
    before = example()
    after = arrays_scoring(unpack_arrays(pack_arrays(scoring_arrays(before))))
    assert after.statistics == before.statistics
    assert after.pixel_limit == before.pixel_limit
    assert after.layout == before.layout
    assert after.weights == before.weights
    assert before.baseline is not None
    assert after.baseline == before.baseline
    np.testing.assert_array_equal(after.ignore, before.ignore)
    np.testing.assert_array_equal(after.zones["rim"], before.zones["rim"])
    for ours, theirs in zip((*before.means, *before.stds), (*after.means, *after.stds)):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "baseline", [(2, 1, 2), (0, np.inf, 2), (np.nan, 1, 2), (0, 1, 0), (0, 1, 3), (0, 1, 1.5), (0, 1)]
)
def test_a_baseline_that_is_no_range_is_refused(baseline: tuple[float, ...]) -> None:
    with pytest.raises(EngineError, match="damaged"):
        arrays_scoring({**scoring_arrays(example()), "baseline": np.asarray(baseline, np.float64)})


@given(st.binary(max_size=300))
def test_bytes_that_are_no_archive_give_a_named_error(data: bytes) -> None:
    with pytest.raises(EngineError):
        arrays_scoring(unpack_arrays(data))


@given(st.data())
def test_a_damaged_archive_never_raises_anything_else(data: st.DataObject) -> None:
    raw = bytearray(pack_arrays(scoring_arrays(example())))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(EngineError):
        arrays_scoring(unpack_arrays(bytes(raw)))


def test_a_deviation_of_zero_is_refused() -> None:
    arrays = scoring_arrays(example())
    arrays["std0"] = np.zeros_like(arrays["std0"])
    with pytest.raises(EngineError, match="not above zero"):
        arrays_scoring(arrays)


@pytest.mark.parametrize("layout", [(1, 1, 0, 0, 0, 1), (1, 2, 0, 0, 1, 1), (1, 1, 0.5, 0, 0.6, 1), (1, 1, 0)])
def test_a_layout_that_does_not_lie_in_the_map_is_refused(layout: tuple[float, ...]) -> None:
    with pytest.raises(EngineError, match="damaged"):
        arrays_scoring({**scoring_arrays(example()), "layout": np.asarray(layout)})


@pytest.mark.parametrize(
    "weights", [(1.0,), (1.0, 2.0, 3.0), (0.0, 0.0), (1.0, -1.0), (1.0, float("nan")), (1.0, float("inf"))]
)
def test_weights_that_no_sum_can_have_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(EngineError, match="weights"):
        arrays_scoring({**scoring_arrays(example()), "weights": np.asarray(weights)})
