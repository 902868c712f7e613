"""The command line's questions to the history: the same figures as table, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inspector.history.database import data_file, open_for_writing
from inspector.history.writer import HistoryWriter, Session
from inspector.inspection import Outcome

if TYPE_CHECKING:
    from tests.inspector.conftest import Call, Make


@pytest.fixture
def judged(tmp_path: Path, make: Make) -> Path:
    """The data directory of a line that judged a good part and two rejects, an hour apart."""
    database = open_for_writing(data_file(tmp_path))
    writer = HistoryWriter(database, Session("boot1", "line", 1, "ring", "", "", ""), make.recipe())
    outcomes = (Outcome.GOOD, Outcome.REJECT, Outcome.REJECT)
    records = [make.record(number, outcome) for number, outcome in enumerate(outcomes, 1)]
    writer.write([replace(record, captured_us=record.sequence * 3_600_000_000) for record in records])
    database.dispose()
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "figure", "expected"),
    [
        (("trend", "--by", "hour"), "reject", [0, 1, 1]),
        (("trend", "--by", "day"), "rejects_per_1000", [pytest.approx(2000 / 3)]),
        (("chart", "--by", "day"), "outside", [False]),
        (("chart", "--until", "1970-01-01T02:00"), "judged", [1]),
        (("pareto", "--grid", "2"), "where", ["column 1, row 2"]),
        (("pareto", "--by", "zone", "--since", "1970-01-01T03:00"), "rejects", [1]),
        (("list", "--position", "0,0.5,0.5,1", "--verdict", "reject"), "sequence", [3, 2]),
    ],
    ids=str,
)
def test_the_history_s_figures_are_the_same_in_each_form(
    call: Call, judged: Path, asked: tuple[str, ...], figure: str, expected: list[object]
) -> None:
    code, out, _ = call("history", *asked, "--data-dir", judged, "--json")
    assert code == 0
    assert [row[figure] for row in json.loads(out)] == expected
    code, table, _ = call("history", *asked, "--data-dir", judged)
    assert code == 0
    assert len(table.splitlines()) == len(expected) + 1
    if asked[0] != "list":
        code, text, _ = call("history", *asked, "--data-dir", judged, "--csv")
        assert [row[figure] for row in csv.DictReader(io.StringIO(text))] == [
            str(row[figure]) for row in json.loads(out)
        ]


@pytest.mark.parametrize("position", ["0,0,1", "a,b,c,d", "0.5,0,0.2,1", "0,0,1,2"])
def test_a_position_that_is_no_box_is_explained(call: Call, judged: Path, position: str) -> None:
    code, _, err = call("history", "list", "--data-dir", judged, "--position", position)
    assert code == 1
    assert "shares" in err


def test_a_recount_says_what_the_tallies_say(call: Call, judged: Path) -> None:
    _, counted, _ = call("history", "summary", "--data-dir", judged, "--json")
    _, recounted, _ = call("history", "summary", "--data-dir", judged, "--json", "--recount")
    assert json.loads(counted) == json.loads(recounted)
    assert json.loads(counted)["triggers"] == 3
