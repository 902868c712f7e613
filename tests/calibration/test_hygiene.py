"""Doubts about good parts."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from calibration.hygiene import Kind, doubts, look, robust_deviations
from engines.image import Image
from inspector.cameras.synthetic import draw_part


@pytest.fixture(scope="module")
def parts() -> list[Image]:
    return [draw_part(5, number, False, 96) for number in range(40)]


def found(pictures: list[Image], scores: list[float] | None = None) -> list[tuple[int, Kind]]:
    values = scores or [1.0 + index % 7 / 10 for index in range(len(pictures))]
    return [(doubt.index, doubt.kind) for doubt in doubts([look(picture) for picture in pictures], values)]


def noisy(picture: Image) -> Image:
    """The same part, shot once more."""
    noise = np.random.default_rng(1).normal(0, 2, picture.shape)
    return np.asarray(np.clip(picture + noise, 0, 255), np.uint8)


def blurred(picture: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 3), np.uint8)


def exposed(gain: float, offset: float) -> Callable[[Image], Image]:
    return lambda picture: np.asarray(np.clip(picture * gain + offset, 0, 255), np.uint8)


def test_usual_parts_raise_no_doubt(parts: list[Image]) -> None:
    assert found(parts) == []


@pytest.mark.parametrize(
    ("change", "kind"),
    [(blurred, "blurred"), (exposed(1.0, 110), "over_exposed"), (exposed(0.1, 0), "under_exposed")],
)
def test_a_bad_picture_is_named(parts: list[Image], change: Callable[[Image], Image], kind: Kind) -> None:
    assert (7, kind) in found([*parts[:7], change(parts[7]), *parts[8:]])


def test_a_second_shot_of_a_part_is_named_with_the_first(parts: list[Image]) -> None:
    pictures = [*parts, noisy(parts[3])]
    (doubt,) = doubts([look(picture) for picture in pictures], [1.0] * len(pictures))
    assert (doubt.index, doubt.kind, doubt.detail) == (40, "near_duplicate", "of picture 3")


def test_an_odd_score_and_a_missing_part_are_named(parts: list[Image]) -> None:
    scores = [1.0 + index % 7 / 10 for index in range(40)]
    scores[5], scores[6] = 9.0, math.inf
    assert found(parts, scores) == [(5, "odd_score"), (6, "not_found")]


def test_deviations_are_robust_and_have_a_least_unit() -> None:
    values = np.array([1.0, 1.0, 1.0, 1.0, 3.0, math.inf])
    assert robust_deviations(values, 0.5).tolist() == [0, 0, 0, 0, 4, math.inf]
