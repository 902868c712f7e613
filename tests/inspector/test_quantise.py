"""A product's INT8 graph: a new bundle beside the old one; what judges stays."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.recipe import Recipe, load_recipe, save_recipe
from engines.bundle import Bundle, save_bundle
from engines.errors import TrainingError
from engines.image import Image
from engines.training_report import GraphCheck
from inspector import quantise
from inspector.cameras.synthetic import draw_part
from inspector.certify import keep_pictures
from inspector.products import Product, product


@pytest.fixture
def ring(tmp_path: Path, tiny_bundle: Bundle, tiny_recipe: Recipe) -> Product:
    ring = product(tmp_path, "ring")
    save_bundle(ring.bundles, tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring)
    ring.recipes.mkdir()
    save_recipe(ring.recipes, tiny_recipe)
    paths = [tmp_path / f"{number}.png" for number in range(9)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), draw_part(31, number, False, 64))
    keep_pictures(ring, paths)
    return ring


def test_the_new_bundle_has_the_graph_and_what_judges_stays(
    ring: Product, tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Image] = []

    def make(model: bytes, ranges: Image, pictures: Image) -> tuple[bytes, GraphCheck]:
        given.extend((ranges, pictures))
        return b"eight bits", GraphCheck("fp32", 0.1, 0.5, len(pictures))

    monkeypatch.setattr(quantise, "make_int8", make)
    before = load_recipe(ring.recipes).checksum
    made, check = quantise.quantise_product(ring)
    assert made.graph("int8") == b"eight bits"
    assert made.model == tiny_bundle.model
    assert ring.newest_bundle().id == made.id != tiny_bundle.id
    assert load_recipe(ring.recipes).checksum == before
    assert ring.active()[1].id == tiny_bundle.id
    ranges, pictures = given
    assert (len(ranges), len(pictures), check.pictures) == (5, 4, 4)
    assert not any(np.array_equal(one, other) for one in ranges for other in pictures)


def test_a_refused_graph_writes_no_bundle(ring: Product, tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = GraphCheck("fp32", 0.9, 0.5, 4, None, "its maps differ")
    monkeypatch.setattr(quantise, "make_int8", lambda *_: (None, refused))
    with pytest.raises(TrainingError, match="ring gets no INT8 graph: its maps differ"):
        quantise.quantise_product(ring)
    assert ring.newest_bundle().id == tiny_bundle.id


def test_a_product_without_kept_pictures_says_where_to_quantise(ring: Product) -> None:
    keep_pictures(ring, [])
    with pytest.raises(TrainingError, match="quantise where it was trained"):
        quantise.quantise_product(ring)
