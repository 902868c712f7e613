"""From rows to the page: means over seeds, paired differences, and what stands outside the markers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from harness.paired import difference
from harness.report import BEGIN, END, document, page
from harness.results import Row

from engines.errors import EvaluationError

MakeRow = Callable[..., Row]


def test_difference_of_a_method_to_itself_is_nothing(make_row: MakeRow) -> None:
    rows = [make_row(seed=seed) for seed in range(3)]
    for figure in ("image_auroc", "missed_at_1pct_false_rejects"):
        found = difference(rows, rows, figure, 200)
        assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_a_better_method_leads_and_the_interval_says_so(make_row: MakeRow) -> None:
    better, worse = ([make_row(name, seed, lift) for seed in range(3)] for name, lift in (("default", 3.0), ("b", 0.3)))
    found = difference(better, worse, "image_auroc", 500)
    assert 0 < found.low <= found.value <= found.high
    assert difference(worse, better, "image_auroc", 500).value == pytest.approx(-found.value)
    assert difference(better, worse, "missed_at_1pct_false_rejects", 500).high < 0


def test_rows_of_other_pictures_are_not_compared(make_row: MakeRow) -> None:
    other = make_row("padim")
    other = dataclasses.replace(other, pictures={**other.pictures, "name": ["x"] * 60})
    with pytest.raises(EvaluationError, match="judged other pictures"):
        difference([make_row()], [other], "image_auroc", 10)


def test_page_shows_means_spread_and_lead(make_row: MakeRow) -> None:
    rows = [make_row(seed=seed, lift=3.0) for seed in range(3)] + [make_row("padim", lift=0.3)]
    lines = page(rows).splitlines()
    assert "## tiles, role dev" in lines
    [ours] = [line for line in lines if line.startswith("| default ")]
    [theirs] = [line for line in lines if line.startswith("| padim ")]
    assert "| 3 | 0.910 ± 0.010 |" in ours
    assert "| 1 | 0.900 |" in theirs
    assert "| +0." in theirs
    assert lines.index(ours) < lines.index(theirs)


def test_figures_that_cannot_be_had_are_blank(make_row: MakeRow) -> None:
    [line] = [line for line in page([make_row()]).splitlines() if line.startswith("| default ")]
    assert "| 0.900 |  |  | 0.200 |" in line


def test_page_shows_what_accuracy_costs_and_leaves_a_peers_unknown_time_blank(make_row: MakeRow) -> None:
    timed = make_row()
    timed = dataclasses.replace(timed, facts={**timed.facts, "infer_ms": 11.96, "infer_ratio_vs_stfpm": 0.339})
    lines = page([timed, make_row("padim")]).splitlines()
    [ours] = [line for line in lines if line.startswith("| default ")]
    [theirs] = [line for line in lines if line.startswith("| padim ")]
    assert ours.endswith("| 12.0 | 0.339 |")
    assert theirs.endswith("|  |  |")


def test_page_names_machine_versions_and_commit(make_row: MakeRow) -> None:
    text = page([make_row()])
    assert "press, 2 cores" in text
    assert "torch 2.13" in text
    assert "aaaaaaaaaaaa" in text


def test_words_outside_the_markers_are_kept() -> None:
    first = document("", "old table")
    edited = first.replace(BEGIN, f"My words.\n\n{BEGIN}").replace(END, f"{END}\n\nMore words.")
    second = document(edited, "new table")
    assert "old table" not in second
    for kept in ("# Benchmarks", "My words.", "More words.", "new table"):
        assert kept in second
