"""Export and teaching, small."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from engines.detector import open_detector
from engines.dskd.export import check_parity, export
from engines.dskd.features import Pictures
from engines.dskd.teach import teach
from engines.dskd.train import Trained, TrainingConfig, train
from engines.errors import TrainingError
from engines.image import fingerprint, read_image
from engines.scoring import score

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


def test_mixed_sizes_must_be_allowed(folder: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(folder / "99.png"), textures(1, 3, 80)[0])
    paths = sorted(folder.glob("*.png"))
    with pytest.raises(TrainingError, match="--frame-size any"):
        teach("cloth", paths[:6], paths[6:], tmp_path / "bundles", SMALL)
    bundle = teach("cloth", paths[:6], paths[6:], tmp_path / "bundles", SMALL, any_size=True)
    assert bundle.manifest.input.frame_size is None
