"""A product held against labelled pictures."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from engines.bundle import Bundle, save_bundle
from engines.datasets.labelled import Labelled
from engines.datasets.table import read_dataset
from engines.detector import open_detector
from engines.errors import EvaluationError, ImageError
from engines.evaluation import evaluate
from engines.image import InputSpec, Locate, Pose, Tiling, fingerprint, prepare, read_image
from engines.locate import cut_template
from engines.scoring import Scoring, score
from engines.tiling import layout
from engines.view import open_locator
from inspector.cameras.synthetic import draw_part
from inspector.errors import ConfigError
from inspector.evaluate import GRID, Evaluated, evaluate_product, judge_pictures, mask_on_grid, named_figures
from inspector.evaluation_page import evaluation_page, write_page
from inspector.products import Product

GOOD, DEFECTIVE = 12, 6


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """MVTec's layout with synthetic parts; defects are a dark square, in the masks too."""
    root = tmp_path / "ring <i>"
    for split in ("train", "test"):
        for number in range(GOOD):
            write(root / split / "good" / f"{number:03d}.png", draw_part(17 + (split == "test"), number, False, 64))
    for number in range(DEFECTIVE):
        part, mask = draw_part(19, number, False, 64), np.zeros((64, 64), np.uint8)
        mask[20:36, 24:40] = 255
        part[mask > 0] = 0
        write(root / "test" / "dent & <b>" / f"{number:03d}.png", part)
        if number:
            write(root / "ground_truth" / "dent & <b>" / f"{number:03d}_mask.png", mask)
    return root


@pytest.fixture
def teach(tmp_path: Path, tiny_bundle: Bundle) -> Callable[..., Product]:
    """A product whose network was taught with the pictures of these files."""

    def make(*paths: Path) -> Product:
        prints = [fingerprint(read_image(path)) for path in paths]
        manifest = msgspec.structs.replace(tiny_bundle.manifest, fit=prints[::2], select=prints[1::2])
        made = Product("ring", tmp_path / "data" / "products" / "ring")
        save_bundle(made.bundles, manifest, tiny_bundle.model, tiny_bundle.scoring)
        return made

    return make


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)


def test_a_product_is_judged_on_the_test_pictures(teach: Callable[..., Product], parts: Path) -> None:
    found = evaluate_product(teach(), read_dataset("mvtec", parts), "onnxruntime")
    facts = found.evaluation
    assert (facts.n_good, facts.n_defective, facts.n_parts) == (GOOD, DEFECTIVE, GOOD + DEFECTIVE)
    assert facts.image_auroc.value == 1.0
    assert facts.missed[0.01].value == 0.0
    assert facts.aupro is not None
    assert facts.aupro.value > 0.9
    assert list(facts.kinds) == ["dent & <b>"]
    assert found.refused == []


def test_the_score_is_the_lines_own(tiny_bundle: Bundle, parts: Path) -> None:
    detector = open_detector(tiny_bundle, "onnxruntime", 1)
    entries = [entry for entry in read_dataset("mvtec", parts) if entry.split == "test"][:4]
    judged = judge_pictures(detector, tiny_bundle.scoring, entries)
    expected = [score(detector.detect(read_image(e.path)).maps, tiny_bundle.scoring).value for e in entries]
    detector.close()
    assert [entry.score for entry in judged] == expected
    assert all(entry.map is not None and entry.map.shape == GRID for entry in judged)


def test_only_defects_with_a_mask_count_for_positions(tiny_bundle: Bundle, parts: Path) -> None:
    detector = open_detector(tiny_bundle, "onnxruntime", 1)
    entries = {entry.part: entry for entry in read_dataset("mvtec", parts)}
    wanted = [entries[part] for part in ("test/good/000", "test/dent & <b>/000", "test/dent & <b>/001")]
    good, unknown, known = judge_pictures(detector, tiny_bundle.scoring, wanted)
    detector.close()
    assert good.mask is not None
    assert not good.mask.any()
    assert unknown.mask is None
    assert known.mask is not None
    assert np.argwhere(known.mask).min(0).tolist() == [80, 96]
    assert np.argwhere(known.mask).max(0).tolist() == [143, 159]


def test_pictures_that_the_network_was_taught_with_are_refused(teach: Callable[..., Product], parts: Path) -> None:
    seen = [parts / "test" / "good" / name for name in ("003.png", "007.png")]
    shutil.copy(parts / "train" / "good" / "001.png", parts / "test" / "good" / "renamed.png")
    product = teach(*seen, parts / "train" / "good" / "001.png")
    found = evaluate_product(product, read_dataset("mvtec", parts), "onnxruntime")
    assert sorted(path.name for path in found.refused) == ["003.png", "007.png", "renamed.png"]
    assert found.evaluation.n_good == GOOD - 2
    assert len(found.pictures) == len(found.judged) == GOOD - 2 + DEFECTIVE


def test_an_evaluation_on_training_pictures_alone_is_refused(teach: Callable[..., Product], parts: Path) -> None:
    product = teach(*sorted((parts / "test" / "good").iterdir()))
    with pytest.raises(EvaluationError, match="give good parts that the network has not seen"):
        evaluate_product(product, read_dataset("mvtec", parts), "onnxruntime")


def test_a_picture_of_another_size_than_taught_is_an_error_as_on_the_line(
    teach: Callable[..., Product], parts: Path
) -> None:
    write(parts / "test" / "good" / "000.png", draw_part(1, 1, False, 80))
    with pytest.raises(ImageError, match="taught with"):
        evaluate_product(teach(), read_dataset("mvtec", parts), "onnxruntime")


def test_a_mask_takes_the_way_of_the_picture() -> None:
    mask = np.zeros((100, 200), np.bool_)
    mask[:50, 100:] = True
    on_region = mask_on_grid(mask, InputSpec(64, 64, region=(100, 0, 100, 100)))
    assert on_region is not None
    assert on_region[:128].all()
    assert not on_region[128:].any()


def scoring_of(spec: InputSpec) -> Scoring:
    """Statistics that leave the tiny model's maps as they are."""
    zero, one = np.asarray(0, np.float32), np.asarray(1, np.float32)
    return Scoring("level", (zero,) * 3, (one,) * 3, pixel_limit=100.0, layout=layout(spec))


@pytest.mark.parametrize(
    ("size", "place", "tiles", "grid"),
    [
        ((96, 128), (60, 40), Tiling((96, 128), (0, 32), (0, 32, 64)), (256, 256)),
        ((1088, 64), (900, 20), Tiling((1088, 64), tuple(range(0, 1088, 64)), (0,)), (256, 272)),
        ((64, 32), (0, 0), None, (256, 256)),
        ((30, 60), (12, 44), None, (256, 256)),
    ],
    ids=["tiles", "tiles whose map is finer than the grid", "letterbox, in a corner", "letterbox, at the bottom"],
)
def test_map_and_mask_meet_on_the_grid_over_the_region(
    tiny_bundle: Bundle, tmp_path: Path, size: tuple[int, int], place: tuple[int, int], tiles: Tiling | None,
    grid: tuple[int, int],
) -> None:  # fmt: skip
    spec = InputSpec(64, 64, size, fit="letterbox", tiling=tiles)
    levels = [(spec.canvas[1] // stride, spec.canvas[0] // stride) for stride in (4, 8, 16)]
    manifest = msgspec.structs.replace(tiny_bundle.manifest, input=spec, levels=levels)
    frame, mask = np.full((size[1], size[0], 3), 150, np.uint8), np.zeros((size[1], size[0]), np.uint8)
    defect = np.s_[place[1] : place[1] + 16, place[0] : place[0] + 16]
    frame[defect], mask[defect] = 0, 255
    write(tmp_path / "a.png", frame)
    write(tmp_path / "mask.png", mask)
    entry = Labelled(tmp_path / "a.png", "dent", "a", "test", mask=tmp_path / "mask.png")
    detector = open_detector(dataclasses.replace(tiny_bundle, manifest=manifest), "onnxruntime", 1)
    (judged,) = judge_pictures(detector, scoring_of(spec), [entry])
    detector.close()
    assert judged.map is not None
    assert judged.mask is not None
    assert judged.map.shape == judged.mask.shape == grid
    assert (judged.mask == (cv2.resize(mask, grid[::-1], interpolation=cv2.INTER_AREA) >= 128)).mean() > 0.985
    seen, known = (np.argwhere(level).mean(0) for level in (judged.map > judged.map.max() / 2, judged.mask))
    assert np.abs(seen - known).max() < 6  # a position of the model is 4 to 16 cells


def blotted(number: int, place: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A freely turned part in a frame of 320 px with a blue blot, and the blot's mask; the blot moves with the part."""
    frame = draw_part(5, number, False, 320, free_pose=True)
    mask = np.zeros((320, 320), np.uint8)
    cv2.circle(mask, place, 9, 255, -1)
    frame[mask > 0] = (255, 0, 0)
    return frame, mask


def locating(bundle: Bundle, side: int = 64) -> tuple[Bundle, InputSpec]:
    """The bundle for parts that are found wherever they lie in frames of 320 px."""
    template, box = cut_template(draw_part(3, 0, False, 320), None)
    spec = InputSpec(side, side, (320, 320), box, locate=Locate(box, 0.5))
    manifest = msgspec.structs.replace(bundle.manifest, input=spec)
    return dataclasses.replace(bundle, manifest=manifest, template=template), spec


@pytest.mark.parametrize("number", range(8))
def test_a_mask_lands_where_the_defect_of_a_located_part_is(tiny_bundle: Bundle, number: int) -> None:
    bundle, spec = locating(tiny_bundle, 256)
    locator = open_locator(spec, bundle.template)
    assert locator is not None
    frame, mask = blotted(number, (160 + 11 * number, 72))
    canvas = prepare(frame, spec, locator).astype(int)
    on_grid = mask_on_grid(mask > 0, spec, locator.find(frame))
    assert on_grid is not None
    blue = canvas[..., 0] - canvas[..., 2] > 100
    assert np.abs(np.argwhere(on_grid).mean(0) - np.argwhere(blue).mean(0)).max() < 1
    assert (on_grid != blue).sum() < 60  # of 250; at most about one cell along the blot's rim


def test_outside_the_frame_of_a_located_part_nothing_is_defective(tiny_bundle: Bundle) -> None:
    _, spec = locating(tiny_bundle)
    spec = msgspec.structs.replace(spec, region=(-40, 0, 320, 320))
    on_grid = mask_on_grid(np.ones((320, 320), np.bool_), spec, Pose(np.eye(2, 3), 0.0, 1.0))
    assert on_grid is not None
    assert not on_grid[:, :31].any()
    assert on_grid[:, 33:].all()


def test_the_mask_of_a_located_part_goes_by_the_pose_of_its_picture(tiny_bundle: Bundle, tmp_path: Path) -> None:
    bundle, spec = locating(tiny_bundle)
    frame, mask = blotted(2, (182, 72))
    write(tmp_path / "a.png", frame)
    write(tmp_path / "mask.png", mask)
    entry = Labelled(tmp_path / "a.png", "blot", "a", "test", mask=tmp_path / "mask.png")
    detector = open_detector(bundle, "onnxruntime", 1)
    (judged,) = judge_pictures(detector, bundle.scoring, [entry])
    expected = mask_on_grid(mask > 0, spec, detector.find(frame))
    detector.close()
    assert judged.mask is not None
    assert (judged.mask == expected).all()
    assert judged.mask.any()


@pytest.fixture
def loose(tmp_path: Path, tiny_bundle: Bundle) -> Evaluated:
    """Freely turned parts, judged by a product that locates them; of each kind one frame is empty."""
    root = tmp_path / "loose"
    write(root / "train" / "good" / "000.png", draw_part(5, 90, False, 320, free_pose=True))
    for number in range(4):
        write(root / "test" / "good" / f"{number}.png", draw_part(5, 20 + number, False, 320, free_pose=True))
        frame, mask = blotted(number, (160, 72))
        write(root / "test" / "blot" / f"{number}.png", frame)
        write(root / "ground_truth" / "blot" / f"{number}_mask.png", mask)
    for kind in ("good", "blot"):
        write(root / "test" / kind / "1.png", np.full((320, 320, 3), 38, np.uint8))
    bundle, _ = locating(tiny_bundle)
    product = Product("ring", tmp_path / "data" / "products" / "ring")
    save_bundle(product.bundles, bundle.manifest, bundle.model, bundle.scoring, bundle.template)
    return evaluate_product(product, read_dataset("mvtec", root), "onnxruntime")


def test_a_picture_without_the_part_counts_as_ejected_and_is_named(loose: Evaluated) -> None:
    assert [path.name for path in loose.not_found] == ["1.png", "1.png"]
    lost = [entry for entry in loose.judged if not entry.is_found]
    assert all(entry.score == np.inf and entry.map is None and entry.mask is None for entry in lost)
    facts = loose.evaluation
    assert (facts.n_good, facts.n_defective) == (4, 4)
    assert facts.missed[0.01].value == 0.75  # a good part is ejected whatever the limit: it saves no other defect
    assert facts.aupro is not None


@pytest.mark.parametrize("side", [300, 400, 600, 1500])
def test_a_single_defective_pixel_is_not_lost(side: int) -> None:
    for position in range(0, side, max(37, side // 12)):
        mask = np.zeros((side, side), np.bool_)
        mask[position, position] = True
        found = mask_on_grid(mask, InputSpec(256, 256))
        assert found is not None
        assert 1 <= found.sum() <= 16


# -- the page ------------------------------------------------------------------------------------------------------


class Outline(HTMLParser):
    """Collects tags and addresses, and checks that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action")]
        if tag not in ("meta", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def found(teach: Callable[..., Product], parts: Path) -> Evaluated:
    product = teach(parts / "test" / "good" / "003.png")
    return evaluate_product(product, read_dataset("mvtec", parts), "onnxruntime")


def test_the_page_needs_nothing_but_itself(found: Evaluated) -> None:
    page = evaluation_page("ring", found, {"dataset": "mvtec"})
    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    assert "script" not in outline.tags
    assert "link" not in outline.tags
    assert outline.tags.count("svg") == 2
    assert outline.tags.count("img") == 2 * (6 + 6 + 6)
    assert all(address.startswith("data:image/jpeg;base64,") for address in outline.addresses)
    assert "prefers-color-scheme: dark" in page


def test_the_page_escapes_every_name(found: Evaluated) -> None:
    page = evaluation_page('<script>alert("x")</script>', found, {"dataset": "a<b", "category": "c&d"})
    assert "<script>" not in page
    assert "dent & <b>" not in page
    assert "ring <i>" not in page
    assert "dent &amp; &lt;b&gt;" in page
    assert "dataset a&lt;b, category c&amp;d" in page


def test_the_page_says_what_was_judged_and_by_what(found: Evaluated) -> None:
    page = evaluation_page("ring", found, {"dataset": "mvtec"})
    assert found.bundle.id in page
    assert "1 refused: test pictures" in page
    assert f"{GOOD - 1} good and {DEFECTIVE} defective pictures" in page
    for name in named_figures(found.evaluation):
        assert name in page


def test_the_page_does_without_masks(found: Evaluated) -> None:
    bare = replace(found, evaluation=replace(found.evaluation, pixel_auroc=None, aupro=None))
    assert evaluation_page("ring", bare, {}).count("no masks known") == 2


def test_the_page_names_pictures_without_the_part(loose: Evaluated) -> None:
    page = evaluation_page("ring", loose, {})
    assert "2 without the part: the line ejects them" in page
    assert page.count("part not found &middot; <em>rejected</em>") == 3  # the defective one is worst and best
    assert "nan" not in re.sub('base64,[^"]*', "", page)


def test_a_page_of_nothing_but_lost_parts_can_be_drawn(found: Evaluated) -> None:
    lost = [replace(entry, score=np.inf, map=None) for entry in found.judged]
    page = evaluation_page("ring", replace(found, judged=lost, evaluation=evaluate(lost)), {})
    assert "nan" not in re.sub('base64,[^"]*', "", page)


def test_scores_that_are_all_the_same_still_give_a_page(found: Evaluated) -> None:
    flat = replace(found, judged=[replace(entry, score=1.0) for entry in found.judged])
    assert "nan" not in re.sub('base64,[^"]*', "", evaluation_page("ring", flat, {}))


def test_a_page_that_can_not_be_written_is_named(found: Evaluated, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give another --report"):
        write_page(tmp_path, "ring", found, {})


def test_labelled_pictures_without_a_test_split_can_not_be_evaluated(teach: Callable[..., Product]) -> None:
    with pytest.raises(EvaluationError, match="needs both"):
        evaluate_product(teach(), [Labelled(Path("a.png"), "good", "a", "train")], "onnxruntime")
