"""`inspector calibrate` on pictures that can't be right: what is told, line by line, and that nothing is lost by it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import msgspec
import numpy as np
import pytest

from calibration.recipe import Recipe, save_recipe
from engines.bundle import Bundle, load_bundle, save_bundle
from engines.image import Image, fingerprint
from inspector.cameras.synthetic import draw_part
from inspector.products import product

if TYPE_CHECKING:
    from tests.inspector.conftest import Call

Spoil = Callable[[Path], None]
GOOD, TAUGHT, SIDE = 20, 3, 64


def good(number: int, side: int = SIDE) -> Image:
    return draw_part(13, number, False, side)


def taught(number: int) -> Image:
    """A picture that trained the network."""
    return draw_part(15, number, False, SIDE)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Bundle, tiny_recipe: Recipe) -> Path:
    """A data directory with a product in use, and a folder of pictures of its good parts."""
    folder = tmp_path_factory.mktemp("ready")
    home = folder / "data" / "products" / "ring"
    fit = [fingerprint(taught(number)) for number in range(TAUGHT)]
    manifest = msgspec.structs.replace(tiny_bundle.manifest, fit=fit)
    bundle = load_bundle(save_bundle(home / "bundles", manifest, tiny_bundle.model, tiny_bundle.scoring))
    (home / "recipes").mkdir()
    save_recipe(home / "recipes", dataclasses.replace(tiny_recipe, bundle=bundle.id))
    (home / "calibration").mkdir()
    (home / "calibration" / "index.json").write_text("[]")
    (folder / "good").mkdir()
    for number in range(GOOD):
        write(folder / "good", number, good(number))
    return folder


@pytest.fixture
def place(tmp_path: Path, ready: Path) -> Path:
    """The same, for this test to spoil."""
    return Path(shutil.copytree(ready, tmp_path / "place"))


def write(folder: Path, number: int, image: Image) -> None:
    cv2.imwrite(str(folder / f"{number:02d}.png"), image)


def replace_all(draw: Callable[[int], Image], count: int = GOOD) -> Spoil:
    """Nothing but so many pictures of these."""

    def spoil(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.mkdir()
        for number in range(count):
            write(folder, number, draw(number))

    return spoil


def put(number: int, image: Image) -> Spoil:
    """One picture in place of a good one."""
    return lambda folder: write(folder, number, image)


def put_bytes(data: bytes) -> Spoil:
    return lambda folder: (folder / "07.png").write_bytes(data) and None


def grey(number: int) -> Image:
    """The tiny network looks at |grey - 150|, so these two differ and score alike."""
    return np.full((SIDE, SIDE, 3), (149, 151)[number % 2], np.uint8)


def noise(number: int) -> Image:
    return np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def dented(number: int) -> Image:
    image = good(number)
    image[20:40, 20:40] = 0
    return image


def become_a_folder(folder: Path) -> None:
    (folder / "07.png").unlink()
    (folder / "07.png").mkdir()


REFUSED: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "no folder": (shutil.rmtree, ("good does not exist", "give a folder of pictures")),
    "empty folder": (
        replace_all(good, 0), ("good holds no picture", ".png", "put pictures into it or give another folder"),
    ),
    "one part": (
        replace_all(good, 1), ("00.png is the only good part", "One part sets no threshold", "1% false rejects needs"),
    ),
    "all identical": (
        replace_all(lambda number: good(0)), ("00.png is the only good part", "19 more", "copies of others"),
    ),
    "all score alike": (
        replace_all(grey, 2), ("all 2 pictures have the score", "give pictures of different parts"),
    ),
    "another product": (
        replace_all(noise), ("of the region looks unlike the taught parts", "another product", "teach it again"),
    ),
    "mixed sizes": (
        put(7, good(7, SIDE + 16)), ("07.png: frame of (80, 80) px", "taught with (64, 64)"),
    ),
    "unreadable file": (
        put_bytes(b"no picture"), ("07.png is not a readable picture (10 bytes)", "replace or remove it"),
    ),
    "empty file": (
        put_bytes(b""), ("07.png is not a readable picture (0 bytes)", "replace or remove it"),
    ),
    "folder named like a picture": (
        become_a_folder, ("cannot read", "07.png: Is a directory", "check the path"),
    ),
    "nothing but pictures used for training": (
        replace_all(taught, TAUGHT), ("all 3 pictures were refused", "used for training", "has not seen"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_with_its_reason_and_the_product_stays_as_it_is(call: Call, place: Path, what: str) -> None:
    spoil, told = REFUSED[what]
    spoil(place / "good")
    before = contents(place / "data")
    code, out, err = calibrate(call, place)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert [text for text in told if text not in err] == [], err
    assert contents(place / "data") == before


NAMED: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "defect among the good parts": (put(7, dented(7)), ("look at", "07.png: odd score", "deviations from the others")),
    "blurred": (put(7, cv2.GaussianBlur(good(7), (0, 0), 4)), ("look at", "07.png: blurred")),
    "over-exposed": (put(7, np.clip(good(7) * 2.0, 0, 255).astype(np.uint8)), ("07.png: over exposed",)),
    "almost the same part twice": (put(7, cv2.add(good(6), (1, 1, 1))), ("07.png: near duplicate", "of picture")),
    "one picture used for training": (
        put(7, taught(0)), ("left out 1 picture, of", "that trained the network", "07.png"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", NAMED)
def test_it_is_named_and_the_recipe_before_is_kept(call: Call, place: Path, what: str) -> None:
    spoil, told = NAMED[what]
    spoil(place / "good")
    recipes = product(place / "data", "ring").recipes
    before = contents(recipes / "0001")
    code, _, err = calibrate(call, place)
    assert code == 0, err
    assert [text for text in told if text not in err] == [], err
    assert contents(recipes / "0001") == before
    assert (recipes / "active").read_text() == "0002\n"


def test_for_a_machine_every_picture_is_named_in_the_json(call: Call, place: Path) -> None:
    write(place / "good", 7, taught(0))
    write(place / "good", 8, dented(8))
    code, out, err = calibrate(call, place, "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert [Path(name).name for name in facts["refused"]] == ["07.png"]
    assert ("08.png", "odd_score") in [(Path(doubt["picture"]).name, doubt["kind"]) for doubt in facts["doubts"]]


def calibrate(call: Call, place: Path, *more: str) -> tuple[int, str, str]:
    at = ("--data-dir", place / "data", "--engine", "onnxruntime")
    code, out, err = call("calibrate", "ring", "--good", place / "good", *at, *more)
    return code, out, " ".join(err[err.find("error: ") :].split()) if "error: " in err else err


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
