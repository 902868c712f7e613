"""The network's shape, size and frozen parts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from engines.dskd.anomaly_map import cosine_distance, discrepancy, squared_distance
from engines.dskd.backbones import ResNet18, load_teacher, teacher_spec
from engines.dskd.loss import pyramid_matching_loss
from engines.dskd.network import Dskd
from engines.errors import TrainingError


def millions(module: nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


@pytest.fixture(scope="module")
def resnet_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights under torchvision's names; a full file also has layers that DSKD does not use."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save({**ResNet18().state_dict(), "fc.weight": torch.zeros(1000, 512)}, path)
    return path


@pytest.fixture(scope="module")
def resnet(resnet_weights: Path) -> Dskd:
    return Dskd(load_teacher("resnet18", resnet_weights), teacher_spec("resnet18")).eval()


@pytest.fixture(scope="module")
def lite() -> Dskd:
    torch.manual_seed(0)
    return Dskd(load_teacher("efficientnet_lite0"), teacher_spec("efficientnet_lite0")).eval()


def test_resnet18_has_the_sizes_of_the_published_blocks(resnet: Dskd) -> None:
    assert millions(resnet.teacher) == pytest.approx(2.78, rel=0.01)
    assert millions(resnet.encoder) == pytest.approx(2.78, rel=0.01)
    assert millions(resnet.embedding) == pytest.approx(11.7, rel=0.02)
    assert millions(resnet.decoder) == pytest.approx(3.7, rel=0.02)
    assert millions(resnet.decoder_heads) == 0


@pytest.mark.parametrize("name", ["resnet", "lite"])
def test_maps_have_a_quarter_an_eighth_and_a_sixteenth_of_the_side(name: str, request: pytest.FixtureRequest) -> None:
    network: Dskd = request.getfixturevalue(name)
    maps = network(torch.randint(0, 256, (2, 256, 256, 3), dtype=torch.uint8))
    assert [tuple(level.shape) for level in maps] == [(2, 64, 64), (2, 32, 32), (2, 16, 16)]
    assert all(bool((level >= -1e-5).all()) for level in maps)


@pytest.mark.parametrize("name", ["resnet", "lite"])
def test_both_students_have_the_teachers_shapes(name: str, request: pytest.FixtureRequest) -> None:
    network: Dskd = request.getfixturevalue(name)
    x = network.normalise(torch.zeros((1, 64, 64, 3), dtype=torch.uint8))
    teacher, students = network.teach(x), network.study(x)
    for student in students:
        assert [level.shape for level in student] == [level.shape for level in teacher]


def test_pictures_are_normalised_as_rgb(lite: Dskd) -> None:
    blue = torch.zeros((1, 32, 32, 3), dtype=torch.uint8)
    blue[..., 0] = 255
    x = lite.normalise(blue)
    assert x[0, 2].unique().item() == pytest.approx(1.0)
    assert x[0, 0].unique().item() == pytest.approx(-127 / 128)


def test_the_lite_teacher_knows_a_picture_when_it_sees_one(lite: Dskd) -> None:
    """Wrong padding or a weight in the wrong place would make the features explode or die."""
    torch.manual_seed(1)
    x = lite.normalise(torch.randint(0, 256, (1, 256, 256, 3), dtype=torch.uint8))
    for level in lite.teacher(x):
        assert torch.isfinite(level).all()
        assert 0.05 < float(level.std()) < 50


def test_the_teacher_stays_frozen_while_the_students_train(lite: Dskd) -> None:
    before = {key: value.clone() for key, value in lite.teacher.state_dict().items()}
    lite.train()
    x = lite.normalise(torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8))
    target = lite.teach(x)
    loss = sum((pyramid_matching_loss(target, student, 1.0, 1.0) for student in lite.study(x)), torch.zeros(()))
    loss.backward()
    lite.eval()
    assert all(parameter.grad is None for parameter in lite.teacher.parameters())
    for part in (lite.encoder, lite.embedding, lite.decoder, lite.encoder_heads, lite.decoder_heads):
        assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in part.parameters())
    assert all(torch.equal(before[key], value) for key, value in lite.teacher.state_dict().items())


def features(seed: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn((2, 4, side, side), generator=generator) for side in (8, 4))


def test_identical_features_cost_nothing_and_different_ones_do() -> None:
    assert float(pyramid_matching_loss(features(0), features(0), 1.0, 1.0)) == pytest.approx(0, abs=1e-6)
    assert float(pyramid_matching_loss(features(0), features(1), 1.0, 0.0)) > 0.5
    assert float(pyramid_matching_loss(features(0), features(1), 0.0, 1.0)) > 0.5


def test_the_distances_are_those_of_their_formulas() -> None:
    t, s = features(0)[0], features(1)[0]
    torch.testing.assert_close(squared_distance(t, s), ((t - s) ** 2).sum(1) / 4)
    expected = 1 - (t * s).sum(1) / (t.norm(dim=1) * s.norm(dim=1))
    torch.testing.assert_close(cosine_distance(t, s), expected)
    assert [tuple(level.shape) for level in discrepancy(features(0), features(1), "l2")] == [(2, 8, 8), (2, 4, 4)]


def test_weights_that_lack_a_layer_are_refused(tmp_path: Path, resnet_weights: Path) -> None:
    state = torch.load(resnet_weights, weights_only=True)
    del state["layer2.0.conv1.weight"]
    torch.save(state, tmp_path / "cut.pth")
    with pytest.raises(TrainingError, match=r"layer2\.0\.conv1\.weight"):
        load_teacher("resnet18", tmp_path / "cut.pth")


def test_teachers_that_cannot_be_had_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="--weights"):
        load_teacher("resnet18")
    with pytest.raises(TrainingError, match="efficientnet_lite0"):
        load_teacher("vgg")
    (tmp_path / "bad.pth").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match=r"bad\.pth"):
        load_teacher("resnet18", tmp_path / "bad.pth")
