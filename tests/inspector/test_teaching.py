"""What a calibration looks at beside the score: as a user of `inspector calibrate` meets it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from calibration.recipe import load_recipe
from engines.bundle import Bundle, save_bundle
from inspector.cameras.synthetic import draw_part
from inspector.cli import main
from inspector.products import Product, product

Calibrate = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def ring(tmp_path: Path, tiny_bundle: Bundle) -> Product:
    """A taught product, with pictures of good parts and masks of the rim and the bore beside it."""
    found = product(tmp_path, "ring")
    save_bundle(found.bundles, tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring)
    (tmp_path / "good").mkdir()
    for number in range(30):
        cv2.imwrite(str(tmp_path / "good" / f"{number:02d}.png"), draw_part(41, number, False, 64))
    for row, name in enumerate(("rim", "bore", "print")):
        mask = np.zeros((64, 64), np.uint8)
        mask[16 * row : 16 * row + 16] = 255
        cv2.imwrite(str(tmp_path / f"{name}.png"), mask)
    return found


@pytest.fixture
def calibrate(ring: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str) -> tuple[int, Any, str]:
        told = ["calibrate", "ring", "--good", str(tmp_path / "good"), "--data-dir", str(tmp_path), "--json"]
        monkeypatch.setattr(sys, "argv", ["inspector", *told, "--max-false-reject", "0.3", *arguments])
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), json.loads(out or "null"), err

    return run


def rules(ring: Product) -> set[str]:
    return set(load_recipe(ring.recipes).thresholds.rules)


def test_zones_and_area_share_the_bound_and_stay_until_they_are_dropped(calibrate: Calibrate, ring: Product) -> None:
    page = ring.folder / "page.html"
    drawn = ("--zone", "rim=rim.png", "--ignore", "print.png", "--area", "--report", str(page))
    code, facts, _ = calibrate(*drawn, "--engine", "onnxruntime")
    assert code == 0
    assert "limit of zone:rim" in page.read_text()
    assert facts["evidence"]["rules"] == 3
    assert facts["evidence"]["bound"] <= 0.3
    assert "by 3 rules together" in facts["sentence"]
    assert rules(ring) == {"area", "zone:rim"}
    first = load_recipe(ring.recipes)
    assert set(first.rules) == {"area", "zone:rim"}
    calibrate("--zone", "bore=bore.png", "--engine", "onnxruntime")
    assert rules(ring) == {"area", "zone:rim", "zone:bore"}
    assert np.array_equal(load_recipe(ring.recipes).scoring.ignore, first.scoring.ignore)
    calibrate("--plain", "--engine", "onnxruntime")
    assert (rules(ring), load_recipe(ring.recipes).scoring.ignore) == (set(), None)


def test_masks_go_along_to_a_new_network_of_the_same_view_only(
    calibrate: Calibrate, ring: Product, tiny_bundle: Bundle
) -> None:
    calibrate("--zone", "rim=rim.png", "--engine", "onnxruntime")
    first = load_recipe(ring.recipes)
    again = msgspec.structs.replace(tiny_bundle.manifest, created="2026-02-01T06:00:00+00:00")
    save_bundle(ring.bundles, again, tiny_bundle.model, tiny_bundle.scoring)
    code, _, _ = calibrate("--engine", "onnxruntime")
    second = load_recipe(ring.recipes)
    assert (code, rules(ring)) == (0, {"zone:rim"})
    assert second.bundle != first.bundle
    view = msgspec.structs.replace(again.input, region=(0, 0, 32, 32))
    other = msgspec.structs.replace(again, created="2026-02-02T06:00:00+00:00", input=view)
    save_bundle(ring.bundles, other, tiny_bundle.model, tiny_bundle.scoring)
    code, _, error = calibrate("--engine", "onnxruntime")
    assert (code, load_recipe(ring.recipes).checksum) == (1, second.checksum)
    assert "drawn for another view" in error
    assert "--plain" in error


def test_a_recipe_that_cannot_be_read_drops_no_mask_in_silence(calibrate: Calibrate, ring: Product) -> None:
    calibrate("--zone", "rim=rim.png", "--engine", "onnxruntime")
    (ring.recipes / "0001" / "recipe.npz").write_bytes(b"")
    code, _, error = calibrate("--engine", "onnxruntime")
    assert code == 1
    assert "which masks ring has is not known" in error
    assert calibrate("--plain", "--engine", "onnxruntime")[0] == 0


@pytest.mark.parametrize("zones", [["rim"], ["rim=rim.png", "rim=bore.png"], ["rim=absent.png"]])
def test_a_zone_that_cannot_be_changes_nothing(calibrate: Calibrate, ring: Product, zones: list[str]) -> None:
    code, _, error = calibrate(*(word for zone in zones for word in ("--zone", zone)))
    assert (code, ring.is_calibrated) == (1, False)
    assert "rim" in error or "absent.png" in error
