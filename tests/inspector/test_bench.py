"""The bench runs a whole line: its books balance, and what it says of stages adds up."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from engines.bundle import Bundle
from engines.errors import InferenceFailed
from engines.image import Image, Locate
from engines.runtimes.onnxruntime import OnnxRuntime
from engines.scoring import Map
from inspector import bench
from inspector.bench import passing_recipe, product_frames
from inspector.bench_line import BenchCamera
from inspector.cameras.base import EndOfParts
from inspector.cameras.synthetic import draw_part
from inspector.certify import keep_pictures
from inspector.errors import ConfigError
from inspector.products import product

STAGES = ["grab", "preprocess", "infer", "score", "judge", "send", "ack"]


@pytest.fixture
def images() -> list[Image]:
    return [draw_part(3, number, False, 64) for number in range(4)]


def test_line_and_runtime_take_turns_and_every_part_is_accounted_for(
    tiny_bundle: Bundle, images: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "ROUND_S", 0.05)
    seen: list[tuple[int, int]] = []
    recipe = passing_recipe(tiny_bundle, "onnxruntime")
    found = bench.bench(tiny_bundle, recipe, images, 2, 2, 0.2, lambda *done: seen.append(done))
    assert found.is_balanced
    assert list(found.stages) == STAGES
    assert all(times.p50 <= times.p99 <= times.p99_9 <= times.max for times in found.stages.values())
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert found.rounds == 4
    assert 0 < found.lowest <= found.line_over_bare <= found.highest
    assert (found.threads, found.in_flight, found.inferences) == (2, 2, 1)
    per_part_ms = sum(found.stages[name].p50 for name in ("preprocess", "infer", "score"))
    assert per_part_ms / found.in_flight < 1000 / found.line_hz
    assert 10 < found.resident_mb <= found.peak_mb + 1


def test_a_part_that_could_not_be_looked_at_spoils_the_books(
    tiny_bundle: Bundle, images: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "ROUND_S", 0.02)
    infer, count = OnnxRuntime.infer, 0

    def once_in_a_while(self: OnnxRuntime, picture: Image) -> tuple[Map, ...]:
        nonlocal count
        count += picture.any()  # the bare runtime looks at black pictures
        if picture.any() and count == 3:
            raise InferenceFailed("the cable came off")
        return infer(self, picture)

    monkeypatch.setattr(OnnxRuntime, "infer", once_in_a_while)
    found = bench.bench(tiny_bundle, passing_recipe(tiny_bundle, "onnxruntime"), images, 1, 1, 0.04)
    assert not found.is_balanced


def test_a_camera_gives_one_frame_per_place_then_ends(images: list[Image]) -> None:
    camera = BenchCamera(images)
    camera.make_places(2)
    frames = [camera.grab(0) for _ in range(2)]
    assert [frame.block_id for frame in frames if frame is not None] == [0, 1]
    assert camera.grab(0) is None
    camera.end()
    with pytest.raises(EndOfParts):
        camera.grab(0)


def test_frames_are_those_given_else_those_kept_at_training_else_noise_of_the_taught_size(
    tiny_bundle: Bundle, tmp_path: Path, images: list[Image]
) -> None:
    ring = product(tmp_path, "ring")
    assert [frame.shape for frame in product_frames(ring, tiny_bundle, None)] == [(64, 64, 3)] * 2
    for number, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    keep_pictures(ring, sorted(tmp_path.glob("*.png"))[:3])
    assert len(product_frames(ring, tiny_bundle, None)) == 3
    (tmp_path / "good").mkdir()
    cv2.imwrite(str(tmp_path / "good" / "0.png"), images[0])
    np.testing.assert_array_equal(product_frames(ring, tiny_bundle, tmp_path / "good"), images[:1])


def test_parts_that_are_located_cannot_be_benched_on_noise(tiny_bundle: Bundle, tmp_path: Path) -> None:
    spec = msgspec.structs.replace(tiny_bundle.manifest.input, region=(0, 0, 9, 9), locate=Locate((0, 0, 9, 9), 0.5))
    located = dataclasses.replace(tiny_bundle, manifest=msgspec.structs.replace(tiny_bundle.manifest, input=spec))
    with pytest.raises(ConfigError, match="--good DIR"):
        product_frames(product(tmp_path, "ring"), located, None)


def test_every_part_passes_the_recipe_of_a_bundle_that_was_never_calibrated(tiny_bundle: Bundle) -> None:
    recipe = passing_recipe(tiny_bundle, "onnxruntime")
    assert np.isfinite(recipe.thresholds.review)
    assert recipe.thresholds.review > 1e30
