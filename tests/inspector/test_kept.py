"""Kept calibration pictures: another engine gets its own threshold from the same parts, with the same promise."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from rich.console import Console

from calibration.calibrate import Calibration, Contract
from calibration.errors import SampleError
from calibration.recipe import load_recipe, save_recipe
from calibration.versions import set_limits
from engines.bundle import Bundle, save_bundle
from engines.errors import CertificateError
from engines.image import Image
from engines.runtimes.openvino import OpenVinoRuntime
from engines.scoring import Map
from inspector.cameras.synthetic import draw_part
from inspector.certify import check_certified, keep_pictures
from inspector.kept import INDEX, forget_calibration, keep_calibration, kept_samples, recalibrate
from inspector.products import Product, product
from inspector.teaching import calibrate_product

QUIET = Console(file=io.StringIO())
OPENVINO = "openvino:fp32"
ASKED = Contract(0.3, 0.9, independent="part", operator="Moser")


def parts(folder: Path, seed: int, count: int) -> list[Path]:
    folder.mkdir(parents=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:04d}.png"), draw_part(seed, number, False, 64))
    return sorted(folder.iterdir())


@pytest.fixture
def ring(tmp_path: Path, tiny_bundle: Bundle) -> Product:
    ring = product(tmp_path, "ring")
    save_bundle(ring.bundles, tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring)
    keep_pictures(ring, parts(tmp_path / "select", 31, 12))
    return ring


@pytest.fixture
def made(ring: Product, tmp_path: Path) -> Calibration:
    """Two sessions of twelve parts, kept; the folder they came from is gone."""
    for session, seed in (("monday", 32), ("tuesday", 33)):
        parts(tmp_path / "good" / session, seed, 12)
    made = calibrate_product(ring, tmp_path / "good", "onnxruntime", ASKED, QUIET)
    assert keep_calibration(ring, made) == sum(path.stat().st_size for path in ring.kept.iterdir())
    (tmp_path / "good").rename(tmp_path / "gone")
    return made


def again(ring: Product, engine: str = OPENVINO) -> Calibration:
    return recalibrate(ring, engine, "Huber", False, QUIET)


def test_another_engine_gets_its_own_threshold_from_the_same_parts(ring: Product, made: Calibration) -> None:
    recipe = again(ring).recipe
    assert recipe.engine == OPENVINO
    assert set(recipe.calibrate) == set(made.recipe.calibrate)
    was, now = made.recipe.evidence, recipe.evidence
    assert (now.asked, now.confidence, now.unit, now.method) == (0.3, 0.9, "part", was.method)
    assert (now.sessions, now.parts, now.bound) == (2, 24, was.bound)
    assert now.operator == "Huber"
    assert dict(zip(recipe.calibrate, recipe.groups)) == dict(zip(made.recipe.calibrate, made.recipe.groups))
    assert load_recipe(ring.recipes).checksum == recipe.checksum
    assert check_certified(ring, recipe) is not None
    assert ring.recipe_on("onnxruntime").checksum == made.recipe.checksum


def test_kept_are_the_original_files_with_part_and_session(ring: Product, made: Calibration, tmp_path: Path) -> None:
    for sample, old in zip(kept_samples(ring, made.recipe), made.samples):
        assert (sample.part, sample.session) == (old.part, old.session)
        assert sample.path.read_bytes() == (tmp_path / "gone" / old.part).read_bytes()


def test_it_takes_the_newest_bundle_if_it_has_the_same_network(
    ring: Product, made: Calibration, tiny_bundle: Bundle
) -> None:
    newer = msgspec.structs.replace(tiny_bundle.manifest, created="2026-02-01T06:00:00+00:00")
    save_bundle(ring.bundles, newer, tiny_bundle.model, tiny_bundle.scoring, int8=tiny_bundle.model)
    assert again(ring, "onnxruntime").recipe.bundle == ring.newest_bundle().id != made.recipe.bundle


def test_it_stays_with_the_active_bundle_if_the_newest_has_another_network(
    ring: Product, made: Calibration, tiny_bundle: Bundle
) -> None:
    newer = msgspec.structs.replace(tiny_bundle.manifest, created="2026-02-01T06:00:00+00:00")
    save_bundle(ring.bundles, newer, tiny_bundle.model + b"\x72\x00", tiny_bundle.scoring)
    assert ring.newest_bundle().id != made.recipe.bundle
    assert again(ring, "onnxruntime").recipe.bundle == made.recipe.bundle


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda path: path.write_bytes(b"no picture"), "can't be read"),
        (lambda path: path.unlink(), "can't be read"),
        (lambda path: cv2.imwrite(str(path), np.zeros((64, 64, 3), np.uint8)), "was changed since it was kept"),
    ],
)
def test_a_damaged_picture_is_named_and_changes_nothing(
    ring: Product, made: Calibration, damage: Callable[[Path], object], complaint: str
) -> None:
    path = ring.kept / f"{made.recipe.calibrate[5]}.png"
    damage(path)
    with pytest.raises(SampleError, match=f"without --good.*{path.name}") as error:
        again(ring)
    assert complaint in str(error.value)
    assert load_recipe(ring.recipes).checksum == made.recipe.checksum


def test_a_missing_or_damaged_index_asks_for_the_folder(ring: Product, made: Calibration) -> None:
    (ring.kept / INDEX).write_bytes(b"[")
    with pytest.raises(SampleError, match=r"index.json is no index of kept pictures.*give the folder of good parts"):
        again(ring)
    forget_calibration(ring)
    with pytest.raises(SampleError, match="no picture was kept"):
        again(ring)


def test_pictures_of_another_recipe_are_refused(ring: Product, made: Calibration, tmp_path: Path) -> None:
    parts(tmp_path / "other", 34, 20)
    calibrate_product(ring, tmp_path / "other", "onnxruntime", ASKED, QUIET)
    with pytest.raises(SampleError, match="the 24 kept pictures are not the 20 behind its recipe"):
        again(ring)


def test_limits_set_by_hand_do_not_carry_over(ring: Product, made: Calibration) -> None:
    review = made.recipe.thresholds.review
    save_recipe(ring.recipes, set_limits(made.recipe, review * 1.001, None, "Moser", "Moser", "scratches are allowed"))
    with pytest.raises(SampleError, match="set by hand"):
        again(ring)


def test_an_engine_that_judges_otherwise_leaves_the_recipe_active(
    ring: Product, made: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer = OpenVinoRuntime.infer

    def upside_down(self: OpenVinoRuntime, picture: Image) -> tuple[Map, ...]:
        return tuple(level[:, ::-1].copy() for level in infer(self, picture))

    monkeypatch.setattr(OpenVinoRuntime, "infer", upside_down)
    with pytest.raises(CertificateError, match="Nothing was changed"):
        again(ring)
    assert load_recipe(ring.recipes).checksum == made.recipe.checksum


def test_a_picture_that_is_gone_leaves_what_was_kept(ring: Product, made: Calibration, tmp_path: Path) -> None:
    lost = dataclasses.replace(made, samples=(dataclasses.replace(made.samples[0], path=tmp_path / "lost.png"),))
    before = sorted(path.name for path in ring.kept.iterdir())
    with pytest.raises(FileNotFoundError):
        keep_calibration(ring, lost)
    assert sorted(path.name for path in ring.kept.iterdir()) == before
    assert not list(ring.folder.glob(".draft-*"))
