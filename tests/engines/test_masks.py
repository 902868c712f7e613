"""Masks that people draw."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.bundle import Bundle
from engines.errors import ImageError
from engines.masks import with_masks
from engines.scoring import score_fused

SIDE = 64  # px of the tiny bundle's frames; its map has 16 positions a side


def drawn(path: Path, x: int, y: int, width: int, height: int, side: int = SIDE) -> Path:
    picture = np.zeros((side, side), np.uint8)
    picture[y : y + height, x : x + width] = 255
    cv2.imwrite(str(path), picture)
    return path


def test_a_zone_covers_the_positions_that_are_drawn_and_scores_them_alone(tiny_bundle: Bundle, tmp_path: Path) -> None:
    rim = drawn(tmp_path / "rim.png", 0, 0, 32, 16)
    scoring = with_masks(tiny_bundle.scoring, tiny_bundle.manifest, None, {"rim": rim})
    expected = np.zeros((16, 16), np.bool_)
    expected[:4, :8] = True
    assert np.array_equal(scoring.zones["rim"], expected)
    fused = np.zeros((16, 16), np.float32)
    fused[15, 15] = 9.0
    assert score_fused(fused, scoring).zones == {"rim": 0.0}
    fused[0, 0] = 7.0
    assert score_fused(fused, scoring).zones == {"rim": 7.0}


def test_what_is_ignored_counts_nowhere(tiny_bundle: Bundle, tmp_path: Path) -> None:
    masks = {"rim": drawn(tmp_path / "rim.png", 0, 0, 64, 16)}
    scoring = with_masks(tiny_bundle.scoring, tiny_bundle.manifest, drawn(tmp_path / "i.png", 0, 0, 16, 16), masks)
    fused = np.zeros((16, 16), np.float32)
    fused[:4, :4] = 99.0
    seen = score_fused(fused, scoring)
    assert (seen.value, seen.zones, seen.area) == (0.0, {"rim": 0.0}, 0.0)


def test_zones_add_up_and_one_of_the_same_name_takes_the_others_place(tiny_bundle: Bundle, tmp_path: Path) -> None:
    first = with_masks(
        tiny_bundle.scoring, tiny_bundle.manifest, None,
        {"rim": drawn(tmp_path / "a.png", 0, 0, 64, 16), "bore": drawn(tmp_path / "b.png", 16, 16, 16, 16)},
    )  # fmt: skip
    second = with_masks(first, tiny_bundle.manifest, None, {"rim": drawn(tmp_path / "c.png", 0, 0, 16, 16)})
    assert {name: int(zone.sum()) for name, zone in second.zones.items()} == {"rim": 16, "bore": 16}


@pytest.mark.parametrize(
    ("name", "area", "side", "complaint"),
    [
        ("rim", (0, 0, 16, 16), 32, "frames are"),
        ("rim", (0, 0, 1, 1), SIDE, "covers no position"),
        ("Rim 1", (0, 0, 16, 16), SIDE, "zone name 'Rim 1'"),
        ("", (0, 0, 16, 16), SIDE, "zone name ''"),
    ],
)
def test_a_mask_that_cannot_be_is_explained(
    tiny_bundle: Bundle, tmp_path: Path, name: str, area: tuple[int, int, int, int], side: int, complaint: str
) -> None:
    path = drawn(tmp_path / "mask.png", *area, side=side)
    with pytest.raises(ImageError, match=complaint):
        with_masks(tiny_bundle.scoring, tiny_bundle.manifest, None, {name: path})


@pytest.mark.parametrize("zone", ["the whole region", "rim"])
def test_ignoring_all_that_a_rule_looks_at_is_refused(tiny_bundle: Bundle, tmp_path: Path, zone: str) -> None:
    hidden = drawn(tmp_path / "ignore.png", 0, 0, SIDE, SIDE if zone == "the whole region" else 16)
    with pytest.raises(ImageError, match=f"leaves nothing of {zone}"):
        with_masks(
            tiny_bundle.scoring, tiny_bundle.manifest, hidden, {"rim": drawn(tmp_path / "rim.png", 0, 0, 16, 16)}
        )
