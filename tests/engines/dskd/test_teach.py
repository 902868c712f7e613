"""Training, export and teaching, small."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from engines.detector import open_detector
from engines.dskd.export import check_parity, export
from engines.dskd.teach import teach
from engines.dskd.device import has_bf16
from engines.dskd.features import Pictures
from engines.dskd.train import Progress, Trained, TrainingConfig, train
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


def test_training_is_the_same_for_the_same_seed() -> None:
    losses: list[list[float]] = []
    for _ in range(2):
        steps: list[Progress] = []
        train(textures(6), textures(2, 1), SMALL, steps.append)
        losses.append([step.loss for step in steps])
    assert losses[0] == losses[1]
    assert len(losses[0]) == 3


def test_training_brings_the_students_nearer_to_the_teacher() -> None:
    steps: list[Progress] = []
    train(textures(4), textures(2, 1), TrainingConfig(size=64, steps=25, batch=4), steps.append)
    assert np.mean([s.loss for s in steps[-5:]]) < 0.8 * np.mean([s.loss for s in steps[:3]])


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx2": True, "avx512_bf16": False}, False),
        ({}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
    ],
)
def test_bf16_is_used_only_where_the_cpu_multiplies_it(capabilities: dict[str, object], expected: bool) -> None:
    assert has_bf16(capabilities) is expected


@pytest.mark.parametrize(
    ("fit", "select", "config", "complaint"),
    [
        (textures(1), textures(1), SMALL, "needs at least 2 and 1"),
        (textures(3), textures(1)[:0], SMALL, "needs at least 2 and 1"),
        (textures(3), textures(1), TrainingConfig(size=100, steps=1), "multiple of 32"),
        (textures(3), textures(1), TrainingConfig(size=96, steps=1), "prepare them first"),
        (textures(3), textures(1), TrainingConfig(size=64, steps=0), "at least 1"),
    ],
)
def test_training_that_cannot_start_says_why(
    fit: Pictures, select: Pictures, config: TrainingConfig, complaint: str
) -> None:
    with pytest.raises(TrainingError, match=complaint):
        train(fit, select, config)


def test_an_exploding_loss_is_named() -> None:
    with pytest.raises(TrainingError, match="lower the learning rate"):
        train(textures(4), textures(2), TrainingConfig(size=64, steps=40, batch=2, learning_rate=1e30))


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
