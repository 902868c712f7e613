"""A calibration's report: self-contained, whole, and safe against names."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.calibrate import Calibration, Contract, calibrate
from calibration.samples import Sample, list_samples
from engines.bundle import Bundle
from engines.detector import Detector, open_detector
from inspector.calibration_page import calibration_page, report_facts, session_rows, write_report
from inspector.cameras.synthetic import draw_part
from inspector.errors import ConfigError

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def detector(tiny_bundle: Bundle) -> Detector:
    return open_detector(tiny_bundle, "onnxruntime", 1)


@pytest.fixture(scope="module")
def made(detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    """Thirty parts of three sessions, one defect and one second shot among them."""
    folder = tmp_path_factory.mktemp("good")
    for number in range(30):
        part = draw_part(3, number, False, 64)
        if number == 4:
            part[20:40, 20:40] = 0
        (folder / f"day{number % 3}").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / f"day{number % 3}" / f"{number:02d}.png"), part)
    again = np.clip(draw_part(3, 7, False, 64).astype(int) + 1, 0, 255).astype(np.uint8)
    cv2.imwrite(str(folder / "day0" / "again.png"), again)
    return calibrate("ring", list_samples(folder), detector, Contract(0.1, independent="part", operator="anna"))


def test_the_page_needs_nothing_else_and_says_what_an_operator_reads(made: Calibration, detector: Detector) -> None:
    page = calibration_page(made, detector)
    assert not re.search(r"<script|https?://(?!www\.w3)|<link|@import|src=\"(?!data:)", page)
    assert made.recipe.evidence.promise() in page
    assert "those of these 3 sessions" in page
    assert "near duplicate" in page
    assert "odd score" in page
    assert page.count('alt="heat map"') == 6
    for session in ("day0", "day1", "day2"):
        assert f"<th>{session}</th>" in page


def test_names_are_escaped(made: Calibration, detector: Detector) -> None:
    refused = (Sample(Path(f"{EVIL}.png"), "x"),)
    page = calibration_page(dataclasses.replace(made, refused=refused), detector)
    assert EVIL not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(("method", "word"), [("tail", "EXTRAPOLAT"), ("provisional", "PROVISIONAL")])
def test_what_is_no_bound_is_said_in_the_warning_on_top(
    made: Calibration, detector: Detector, method: str, word: str
) -> None:
    evidence = dataclasses.replace(made.recipe.evidence, method=method, bound=0.2)  # type: ignore[arg-type]
    recipe = dataclasses.replace(made.recipe, evidence=evidence)
    page = calibration_page(dataclasses.replace(made, recipe=recipe), detector)
    assert word in page.split('<section class="cards">')[0].split("</header>")[1]


def test_the_json_holds_every_picture_with_its_score(made: Calibration, detector: Detector, tmp_path: Path) -> None:
    write_report(tmp_path / "out.html", made, detector)
    facts = json.loads((tmp_path / "out.json").read_text())
    assert facts == json.loads(json.dumps(report_facts(made)))
    assert len(facts["pictures"]) == 31
    assert facts["evidence.operator"] == "anna"
    assert sum(row["pictures"] for row in session_rows(made)) == 31


def test_a_part_that_is_not_found_is_drawn_as_it_is(made: Calibration, detector: Detector) -> None:
    lost = dataclasses.replace(made, scores=(*made.scores[:-1], float("inf")))
    assert "part not found" in calibration_page(lost, detector)


def test_a_report_that_cannot_be_written_says_so(made: Calibration, detector: Detector, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write"):
        write_report(tmp_path / "none" / "out.html", made, detector)
