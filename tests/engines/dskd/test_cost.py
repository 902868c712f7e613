"""Costs against the figures known of the method's parts, and of single layers against their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engines.dskd.backbones import teacher_spec
from engines.dskd.cost import layer_macs, measure_cost
from engines.dskd.method import METHODS, Method
from engines.dskd.network import Dskd

T = (2.78, 1.83)
EMBEDDING = (11.7, 0.93)
DECODER = (3.7, 1.56)
HEAD = ((24, 32), (40, 48), (112, 64))  # the teacher's channels and the head's, fine to coarse
SEGMENTATION = (
    sum(seen * width + 2 * width for seen, width in HEAD)  # narrow
    + 2 * (9 * 64 * 64 + 2 * 64)  # around
    + (48 * 32 + 32) + (64 * 48 + 48)  # lower
    + sum(9 * width * width + 2 * width for _, width in HEAD)  # smooth
    + 33  # logit
)  # fmt: skip


def build(name: str, method: Method) -> Dskd:
    spec = teacher_spec(name)
    return Dskd(spec.build(method.levels), spec, method)


# M parameters and GMAC at 256 px: DSKD's blocks with a ResNet18, and RD4AD's and STFPM's with the same.
@pytest.mark.parametrize(
    ("preset", "blocks", "total"),
    [
        ("plain", {"teacher": T, "encoder": T, "embedding": EMBEDDING, "decoder": DECODER}, (20.95, 6.16)),
        ("rd4ad", {"teacher": T, "embedding": EMBEDDING, "decoder": DECODER}, (18.2, 4.32)),
        ("stfpm", {"teacher": T, "encoder": T}, (5.6, 3.66)),
    ],
)
def test_resnet18_costs_what_the_methods_cost(
    preset: str, blocks: dict[str, tuple[float, float]], total: tuple[float, float]
) -> None:
    cost = measure_cost(build("resnet18", METHODS[preset]), 256)
    assert [block.name for block in cost] == list(blocks)
    for block, (parameters, macs) in zip(cost, blocks.values()):
        assert block.parameters / 1e6 == pytest.approx(parameters, abs=0.05 if parameters in (11.7, 3.7) else 0.005)
        assert block.macs / 1e9 == pytest.approx(macs, abs=0.005)
    decimals = 0.005 if preset == "plain" else 0.05
    assert sum(block.parameters for block in cost) / 1e6 == pytest.approx(total[0], abs=decimals)
    assert sum(block.macs for block in cost) / 1e9 == pytest.approx(total[1], abs=0.0051)


def test_the_default_costs_what_its_speed_was_measured_with() -> None:
    cost = measure_cost(build("efficientnet_lite0", Method()), 256)
    assert sum(block.macs for block in cost) / 1e9 == pytest.approx(1.004, abs=0.001)
    assert sum(block.parameters for block in cost if block.name != "teacher") == 2_570_936 + SEGMENTATION


def test_a_head_that_only_training_needs_costs_nothing() -> None:
    network = build("wide_resnet50_2", Method(width=8))
    assert "encoder_heads" not in [block.name for block in measure_cost(network, 64)]
    both = build("wide_resnet50_2", Method(width=8, scored="both"))
    assert "encoder_heads" in [block.name for block in measure_cost(both, 64)]


def test_measuring_leaves_the_network_as_it_was() -> None:
    network = build("efficientnet_lite0", METHODS["stfpm"]).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert measure_cost(network, 64) == measure_cost(network, 64)
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (nn.Conv2d(4, 6, 3, 2, 1), (1, 4, 8, 8), 4 * 4 * 6 * 4 * 9),
        (nn.Conv2d(6, 6, 3, 1, 1, groups=6), (1, 6, 8, 8), 8 * 8 * 6 * 9),
        (nn.ConvTranspose2d(4, 6, 2, 2), (1, 4, 8, 8), 8 * 8 * 4 * 6 * 4),
        (nn.Linear(5, 7), (1, 3, 5), 3 * 5 * 7),
    ],
)
def test_a_layer_counts_each_weight_once_per_position(layer: nn.Module, shape: tuple[int, ...], macs: int) -> None:
    x = torch.zeros(shape)
    assert layer_macs(layer, x, layer(x)) == macs
