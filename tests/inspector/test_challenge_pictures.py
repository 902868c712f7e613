"""A challenge from pictures: judged as the line judges, on record as what it is, and it releases no line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from calibration.recipe import Recipe, load_recipe, save_recipe
from engines.bundle import Bundle, save_bundle
from engines.image import Image
from inspector.cameras.synthetic import draw_part
from inspector.site.challenge import passed
from inspector.site.database import reading

if TYPE_CHECKING:
    from tests.inspector.conftest import Call

Challenge = Callable[[], tuple[int, Any, str]]


def part(size: int = 64, is_cut: bool = False) -> Image:
    image = draw_part(12, 3, False, size)
    if is_cut:
        image[20:40, 20:40] = 0
    return image


@pytest.fixture
def place(tmp_path: Path, call: Call, tiny_bundle: Bundle, tiny_recipe: Recipe) -> Path:
    """A site whose product has two challenge parts, and their pictures."""
    home = tmp_path / "products" / "ring"
    save_bundle(home / "bundles", tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring)
    (home / "recipes").mkdir()
    save_recipe(home / "recipes", tiny_recipe)
    (tmp_path / "line.toml").write_text(
        f'[line]\nname = "line1"\nproduct = "ring"\ndata_dir = "{tmp_path}"\n[camera]\nkind = "synthetic"\n'
    )
    parts = ("--part", "fine=good", "--part", "cut=bad", "--engineer", "Berta")
    assert call("challenge", "define", "ring", *parts, "--data-dir", tmp_path)[0] == 0
    (tmp_path / "pictures").mkdir()
    for name in ("fine", "cut"):
        cv2.imwrite(str(tmp_path / "pictures" / f"{name}.png"), part(is_cut=name == "cut"))
    return tmp_path


@pytest.fixture
def challenge(call: Call, place: Path) -> Challenge:
    """Run it; the findings as JSON gives them, None where nothing was told."""

    def run() -> tuple[int, Any, str]:
        at = ("--config", place / "line.toml", "--pictures", place / "pictures", "--operator", "Otto", "--json")
        code, out, err = call("challenge", "run", *at)
        return code, json.loads(out) if out else None, err

    return run


def test_parts_that_come_out_right_are_on_record_and_release_nothing(
    call: Call, challenge: Challenge, place: Path
) -> None:
    code, told, err = challenge()
    assert (code, told["state"]) == (0, "passed"), err
    assert (told["line"], told["recipe"]) == ("", load_recipe(place / "products" / "ring" / "recipes").checksum)
    good, bad = told["findings"]
    assert (good["outcome"], bad["outcome"], good["fault"], bad["fault"]) == ("GOOD", "REJECT", "", "")
    assert bad["score"] > good["score"]
    assert good["picture"].endswith("fine.png")
    assert len(good["fingerprint"]) == 64
    with reading(place) as site:
        assert site is not None
        assert all(passed(site, line) == {} for line in ("line1", "ring", "pictures"))
    assert call("audit", "verify", "--data-dir", place)[0] == 0
    assert "(pictures)" in call("challenge", "list", "--data-dir", place)[1]


@pytest.mark.parametrize(
    ("name", "image", "fault"),
    [
        ("cut", part(), "GOOD instead of REJECT"),
        ("fine", part(is_cut=True), "REJECT above_limit instead of GOOD"),
        ("cut", part(80), "ERROR bad_frame: frame of (80, 80) px"),
    ],
)
def test_a_part_that_comes_out_wrong_fails_and_says_why(
    challenge: Challenge, place: Path, name: str, image: Image, fault: str
) -> None:
    cv2.imwrite(str(place / "pictures" / f"{name}.png"), image)
    code, told, err = challenge()
    assert (code, told["state"]) == (1, "failed")
    (wrong,) = (found for found in told["findings"] if found["fault"])
    assert wrong["name"] == name
    assert fault in wrong["fault"]
    assert "don't produce with this recipe" in err


def test_a_part_without_one_picture_is_named_and_nothing_is_on_record(
    call: Call, challenge: Challenge, place: Path
) -> None:
    cv2.imwrite(str(place / "pictures" / "fine.bmp"), np.asarray(part()))
    code, told, err = challenge()
    assert (code, told) == (1, None)
    assert "holds 2 pictures of challenge part 'fine'" in err
    for path in (place / "pictures").glob("fine.*"):
        path.unlink()
    assert "holds 0 pictures of challenge part 'fine'; put exactly one there, such as fine.png" in challenge()[2]
    assert json.loads(call("challenge", "list", "--json", "--data-dir", place)[1]) == []
