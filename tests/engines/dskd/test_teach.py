"""Export and teaching, small."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from engines.bundle import REPORT
from engines.detector import open_detector
from engines.dskd.export import TOLERANCE, check_parity, export
from engines.dskd.features import Pictures
from engines.dskd.half import LIMIT, compare
from engines.dskd.teach import paint_part, teach
from engines.dskd.train import Progress, Trained, TrainingConfig, train
from engines.errors import PartNotFound, TrainingError
from engines.image import InputSpec, Tiling, content_box, fingerprint, prepare, read_image
from engines.runtimes.base import open_runtime
from engines.scoring import score
from engines.tiling import cut_tiles, layout, stitch
from engines.training_report import decode_report
from engines.view import View
from inspector.cameras.synthetic import draw_part

SMALL = TrainingConfig(size=64, steps=3, batch=2)


def textures(count: int, seed: int = 0, side: int = 64) -> Pictures:
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (count, side, side, 3), np.uint8)
    return np.stack([cv2.GaussianBlur(picture, (0, 0), 2) for picture in noise])


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(textures(6), textures(2, 1), SMALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, picture in enumerate(textures(14)):
        cv2.imwrite(str(tmp_path / f"{number:02d}.png"), picture)
    return tmp_path


def test_the_exported_graph_agrees_with_torch(trained: Trained) -> None:
    assert check_parity(trained.network, export(trained.network, textures(2, 5)), textures(2, 6)) < 1e-4


def test_a_graph_of_other_weights_is_not_let_through(trained: Trained) -> None:
    model = export(trained.network, textures(1, 5))
    weight = next(trained.network.decoder.parameters())
    with torch.no_grad():
        weight.mul_(1.5)
    try:
        with pytest.raises(TrainingError, match="differs from torch"):
            check_parity(trained.network, model, textures(1, 6))
    finally:
        with torch.no_grad():
            weight.div_(1.5)


def test_teaching_gives_a_bundle_that_runs_and_knows_its_pictures(folder: Path, tmp_path: Path) -> None:
    paths = sorted(folder.glob("*.png"))
    bundle = teach("cloth", paths[:6], paths[6:], tmp_path / "bundles", SMALL)
    assert bundle.manifest.fit == [fingerprint(read_image(path)) for path in paths[:6]]
    assert bundle.manifest.select == [fingerprint(read_image(path)) for path in paths[6:]]
    assert bundle.manifest.input.frame_size == (64, 64)
    for engine in ("onnxruntime", "openvino"):
        detector = open_detector(bundle, engine, 1)
        seen = score(detector.detect(read_image(paths[0])).maps, bundle.scoring)
        assert np.isfinite(seen.value)
    report = decode_report(bundle.files[REPORT])
    assert [step for step, *_ in report.curve] == [1, 2, 3]
    assert report.graphs["fp32"].difference < TOLERANCE
    assert report.graphs["fp16"].difference < LIMIT
    difference, _ = compare(bundle.model, bundle.graph("fp16"), textures(2, 7))
    assert difference < LIMIT


def test_mixed_sizes_must_be_allowed(folder: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(folder / "99.png"), textures(1, 3, 80)[0])
    paths = sorted(folder.glob("*.png"))
    with pytest.raises(TrainingError, match="--frame-size any"):
        teach("cloth", paths[:6], paths[6:], tmp_path / "bundles", SMALL)
    bundle = teach("cloth", paths[:6], paths[6:], tmp_path / "bundles", SMALL, any_size=True)
    assert bundle.manifest.input.frame_size is None


def test_tiles_of_whole_parts_teach_choose_and_run(tmp_path: Path) -> None:
    for number, picture in enumerate(textures(14, side=160)):
        cv2.imwrite(str(tmp_path / f"{number:02d}.png"), picture[:100])
    paths = sorted(tmp_path.glob("*.png"))
    steps: list[Progress] = []
    view = View(fit="letterbox", tiles="auto")
    bundle = teach("cloth", paths[:6], paths[6:], tmp_path / "bundles", SMALL, on_step=steps.append, view=view)
    spec = bundle.manifest.input
    assert (spec.canvas, spec.inferences) == ((160, 96), 8)
    assert bundle.manifest.levels == [(24, 40), (12, 20), (6, 10), (6, 10), (24, 40)]
    assert len(bundle.manifest.fit) == 6
    assert bundle.scoring.layout == layout(spec)
    if bundle.scoring.statistics == "position":
        assert [mean.shape for mean in bundle.scoring.means] == [*bundle.manifest.levels[:4], ()]
    detector = open_detector(bundle, "onnxruntime", 1)
    frame = read_image(paths[0])
    seen = detector.detect(frame)
    assert np.isfinite(score(seen.maps, bundle.scoring).value)
    runtime = open_runtime("onnxruntime", bundle.model)
    expected = stitch([runtime.infer(tile) for tile in cut_tiles(prepare(frame, spec), spec)], spec)
    for ours, theirs in zip(seen.maps, expected):
        np.testing.assert_array_equal(ours, theirs)


def test_a_picture_without_the_part_is_named_when_teaching(folder: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "part.jpg"), draw_part(3, 0, False, 64))
    paths = sorted(folder.glob("*.png"))
    with pytest.raises(PartNotFound, match=r"00\.png"):
        teach("cloth", paths[:6], paths[6:], tmp_path / "bundles", SMALL, view=View(locate=tmp_path / "part.jpg"))


def test_painted_defects_lie_in_the_region_and_have_the_size_of_a_tiles() -> None:
    tiled = InputSpec(64, 64, tiling=Tiling((256, 256), tuple(range(0, 193, 32)), tuple(range(0, 193, 32))))
    boxed = InputSpec(64, 64, (200, 100), fit="letterbox")
    for spec in (tiled, boxed):
        canvas = textures(1, 2, 256)[0][: spec.canvas[1], : spec.canvas[0]]
        for seed in range(20):
            changed = (paint_part(canvas, canvas[::-1], spec, np.random.default_rng(seed)) != canvas).any(2)
            rows, columns = np.nonzero(changed)
            assert rows.size == 0 or max(np.ptp(rows), np.ptp(columns)) < 64
            assert not changed[: content_box(spec)[1]].any()
