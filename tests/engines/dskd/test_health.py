"""A collapsed run is named; a healthy one, also of nearly uniform pictures, passes."""

from __future__ import annotations

import copy
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from engines.dskd.features import Pictures, TeacherFeatures
from engines.dskd.health import JUDGED_STEPS, check_look, check_students, check_teacher
from engines.dskd.network import Dskd
from engines.dskd.train import Trained, TrainingConfig, train
from engines.errors import Collapsed

CONFIG = TrainingConfig(size=64, steps=JUDGED_STEPS, minutes=None, batch=2, device="cpu")


def textures(count: int, seed: int) -> Pictures:
    noise = np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), np.uint8)
    return np.stack([cv2.GaussianBlur(picture, (0, 0), 2) for picture in noise])


def plain(count: int, seed: int) -> Pictures:
    """Grey pictures with the noise of a good camera: half a grey value."""
    noise = np.random.default_rng(seed).normal(0, 0.5, (count, 64, 64, 3))
    return np.round(128 + noise).astype(np.uint8)


@pytest.fixture(scope="module")
def healthy() -> Trained:
    return train(textures(8, 0), textures(3, 1), CONFIG)


@pytest.fixture
def network(healthy: Trained) -> Dskd:
    return copy.deepcopy(healthy.network)


def examine(network: Dskd) -> None:
    check_students(network, textures(8, 0), TeacherFeatures(network, textures(8, 0)))


def test_a_healthy_run_passes(healthy: Trained, network: Dskd) -> None:
    assert 0 < healthy.select_loss < 3
    examine(network)


def test_a_healthy_run_on_nearly_uniform_pictures_passes() -> None:
    assert train(plain(8, 0), plain(3, 1), CONFIG).select_loss < 2


def test_a_far_too_high_learning_rate_is_named() -> None:
    with pytest.raises(Collapsed, match=r"scores explode.*lower the learning rate \(1000\)"):
        train(textures(4, 0), textures(2, 1), replace(CONFIG, steps=6, learning_rate=1e3))


def test_a_loss_that_is_not_finite_is_named() -> None:
    with pytest.raises(Collapsed, match="lower the learning rate"):
        train(textures(4, 0), textures(2, 1), replace(CONFIG, steps=10, learning_rate=1e30))


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), 31.0])
def test_a_look_that_finds_the_scores_exploded_is_named(loss: float) -> None:
    with pytest.raises(Collapsed, match="always saying the mean"):
        check_look(loss, 3.0, 30, 2e-3)
    check_look(4.0, 3.0, 30, 2e-3)


def test_students_that_never_beat_the_mean_feature_are_named() -> None:
    with pytest.raises(Collapsed, match=r"learnt nothing that holds for other parts.*another learning rate \(1e-05\)"):
        train(textures(4, 0), textures(2, 1), replace(CONFIG, learning_rate=1e-5))


@pytest.mark.parametrize("student", ["encoder", "decoder"])
@pytest.mark.parametrize("level", [0, 2])
def test_a_level_without_weights_is_named(student: str, level: int, network: Dskd) -> None:
    head = network.get_submodule(f"{student}_heads.levels.{level}")
    with torch.no_grad():
        for weight in head.parameters():
            weight.zero_()
    with pytest.raises(Collapsed, match=f"level {level} of the {student} student is dead"):
        examine(network)


def test_a_layer_whose_relu_never_opens_is_named(network: Dskd) -> None:
    with torch.no_grad():
        network.get_parameter("encoder.stage1.0.bn1.bias").fill_(-1e3)
    with pytest.raises(Collapsed, match=r"layer encoder.stage1.0.conv2 is dead: 100% of its channels"):
        examine(network)


def test_constant_maps_are_named(network: Dskd) -> None:
    network.metric = "cosine"  # a teacher of zeros has no direction: every position is equally far
    with torch.no_grad():
        for weight in network.teacher.parameters():
            weight.zero_()
        for level in range(3):
            network.get_buffer(f"scale.mean{level}").zero_()
    with pytest.raises(Collapsed, match="anomaly map 0 is constant"):
        examine(network)


def test_a_teacher_that_says_the_same_everywhere_is_named() -> None:
    with pytest.raises(Collapsed, match="one plain colour"):
        check_teacher(0.0)
