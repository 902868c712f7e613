"""The network's shape, what its switches build, where its gradients go."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from engines.dskd.backbones import TEACHERS, teacher_spec
from engines.dskd.loss import matching_loss, pyramid_matching_loss, segmentation_loss
from engines.dskd.method import METHODS, Method
from engines.dskd.network import Dskd
from engines.errors import TrainingError

MakeNetwork = Callable[[str, Method], Dskd]
SLIM = Method(width=8, painted=0.0, gaussian=False, segmentation=False)
STUDENTS = ("encoder", "encoder_heads", "embedding", "decoder", "decoder_heads")
PARTS = (*STUDENTS, "segmentation")


def pictures(count: int = 1, side: int = 64) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


def has_gradient(module: nn.Module | None) -> bool:
    return module is not None and any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in module.parameters())


@pytest.mark.parametrize("name", sorted(TEACHERS))
@pytest.mark.parametrize("preset", sorted(METHODS))
def test_maps_have_a_quarter_an_eighth_and_a_sixteenth_of_the_side(
    name: str, preset: str, make_network: MakeNetwork
) -> None:
    maps = make_network(name, replace(METHODS[preset], width=8))(pictures(2))
    discrepancies = [(2, 16, 16), (2, 8, 8), (2, 4, 4)]
    assert [tuple(level.shape) for level in maps[:3]] == discrepancies
    assert all(bool((level >= -1e-5).all()) for level in maps)
    more = [*[(2, 4, 4)] * METHODS[preset].gaussian, *[(2, 16, 16)] * METHODS[preset].segmentation]
    assert [tuple(level.shape) for level in maps[3:]] == more
    assert all(level.dtype == torch.float32 for level in maps)


@pytest.mark.parametrize(
    ("method", "sides"),
    [
        (replace(SLIM, levels=(4, 8, 16, 32)), [16, 8, 4, 2]),
        (replace(SLIM, levels=(16,)), [4]),
        (replace(SLIM, levels=(4, 16)), [16, 4]),
        (replace(SLIM, levels=(8, 32), embedding_input="teacher"), [8, 2]),
        (replace(SLIM, scored_levels=(8,)), [8]),
        (replace(SLIM, scored="both", scored_levels=(4, 16)), [16, 4]),
        (Method(width=8, levels=(8, 16)), [8, 4, 4, 8]),
        (Method(width=8, scored="encoder"), [16, 8, 4, 4, 16]),
    ],
)
def test_there_is_one_map_per_scored_level(method: Method, sides: list[int], make_network: MakeNetwork) -> None:
    for name in ("resnet18", "efficientnet_lite2"):
        network = make_network(name, method)
        assert [level.shape[-1] for level in network(pictures())] == sides
        x = network.normalise(pictures())
        teacher = network.teach(x)
        for student in network.study(x, teacher):
            if student is not None:
                assert [level.shape for level in student] == [level.shape for level in teacher]


@pytest.mark.parametrize(
    ("method", "built"),
    [
        (METHODS["dskd"], PARTS),
        (METHODS["plain"], STUDENTS),
        (METHODS["stfpm"], STUDENTS[:2]),
        (METHODS["rd4ad"], STUDENTS[2:]),
        (replace(SLIM, embedding_input="teacher", scored="both"), STUDENTS),
    ],
)
def test_only_what_the_method_needs_is_built(method: Method, built: tuple[str, ...], make_network: MakeNetwork) -> None:
    network = make_network("efficientnet_lite0", replace(method, width=8))
    assert tuple(part for part in PARTS if getattr(network, part) is not None) == built


def test_scoring_both_students_is_the_mean_of_scoring_each(make_network: MakeNetwork) -> None:
    network = make_network("efficientnet_lite0", replace(SLIM, scored="both"))
    both = network(pictures())
    for scored in ("encoder", "decoder"):
        network.method = replace(SLIM, scored=scored)  # type: ignore[arg-type]
        both = tuple(level - alone / 2 for level, alone in zip(both, network(pictures())))
    assert all(float(level.detach().abs().max()) < 1e-5 for level in both)


def test_the_embedding_is_fed_by_whom_the_method_says(make_network: MakeNetwork) -> None:
    for source in ("encoder", "teacher"):
        network = make_network("resnet18", replace(SLIM, embedding_input=source, scored="both"))  # type: ignore[arg-type]
        x = network.normalise(pictures())
        teacher = network.teach(x)
        other = tuple(level + 1 for level in teacher)
        says, says_otherwise = network.study(x, teacher).decoder, network.study(x, other).decoder
        assert says is not None
        assert says_otherwise is not None
        assert torch.equal(says[0], says_otherwise[0]) is (source == "encoder")


def test_the_default_students_are_those_its_results_were_measured_with() -> None:
    """Shapes in order of construction: the same seed gives the same students."""
    spec = teacher_spec("efficientnet_lite0")
    network = Dskd(spec.build(Method().levels), spec, METHODS["plain"])
    shapes = [tuple(parameter.shape) for parameter in network.parameters()]
    assert hashlib.sha256(repr(shapes).encode()).hexdigest()[:16] == "35d6e68e244a002d"


def test_a_resnets_students_at_its_own_width_need_no_heads_and_others_do(make_network: MakeNetwork) -> None:
    def heads(name: str, method: Method) -> list[type[nn.Module]]:
        made = make_network(name, method).decoder_heads
        return [] if made is None else [type(head) for head in made.levels]

    assert heads("resnet18", Method()) == [nn.Identity] * 3
    assert heads("resnet18", SLIM) == [nn.Conv2d] * 3
    # Standardised features are negative too, which a ReLU can't say.
    assert heads("resnet18", Method(metric="l2")) == [nn.Conv2d] * 3
    assert heads("efficientnet_lite0", Method(width=24, levels=(4,))) == [nn.Conv2d]


def test_pictures_are_normalised_as_rgb(make_network: MakeNetwork) -> None:
    blue = torch.zeros((1, 32, 32, 3), dtype=torch.uint8)
    blue[..., 0] = 255
    x = make_network("efficientnet_lite0", SLIM).normalise(blue)
    assert x[0, 2].unique().item() == pytest.approx(1.0)
    assert x[0, 0].unique().item() == pytest.approx(-127 / 128)


@pytest.mark.parametrize("preset", sorted(METHODS))
def test_the_teacher_stays_frozen_while_the_students_train(preset: str, make_network: MakeNetwork) -> None:
    network = make_network("efficientnet_lite0", replace(METHODS[preset], width=8)).train()
    before = {key: value.clone() for key, value in network.teacher.state_dict().items()}
    x = network.normalise(pictures(2))
    target = network.teach(x)
    students = network.study(x, target)
    loss = matching_loss(target, students, network.method, network.metric, 0.0)
    if network.segmentation is not None:
        loss = loss + segmentation_loss(network.segment(target), torch.ones(2, 16, 16))
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is None for parameter in network.teacher.parameters())
    assert all(has_gradient(part) for name in PARTS if (part := getattr(network, name)) is not None)
    assert all(torch.equal(before[key], value) for key, value in network.teacher.state_dict().items())


def test_the_segmentation_head_teaches_itself_and_not_the_students(make_network: MakeNetwork) -> None:
    network = make_network("efficientnet_lite0", Method(width=8)).train()
    x = network.normalise(pictures(2))
    target = network.teach(x)
    segmentation_loss(network.segment(target), torch.ones(2, 16, 16)).backward()  # type: ignore[no-untyped-call]
    assert has_gradient(network.segmentation)
    assert not any(has_gradient(getattr(network, name)) for name in STUDENTS)


def test_a_network_without_the_head_says_so_when_asked_to_segment(make_network: MakeNetwork) -> None:
    network = make_network("efficientnet_lite0", SLIM)
    x = network.normalise(pictures())
    target = network.teach(x)
    with pytest.raises(TrainingError, match="segmentation=True"):
        network.segment(target)


@pytest.mark.parametrize("detach", [False, True])
def test_detach_keeps_the_decoders_loss_from_the_encoder(detach: bool, make_network: MakeNetwork) -> None:
    network = make_network("efficientnet_lite0", replace(SLIM, detach=detach)).train()
    x = network.normalise(pictures(2))
    target = network.teach(x)
    decoded = network.study(x, target).decoder
    assert decoded is not None
    pyramid_matching_loss(target, decoded, network.method.loss).backward()  # type: ignore[no-untyped-call]
    assert has_gradient(network.decoder)
    assert has_gradient(network.embedding)
    assert has_gradient(network.encoder) is not detach
