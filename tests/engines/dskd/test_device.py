"""Device and precision of a run."""

from __future__ import annotations

import pytest
import torch

from engines.dskd.device import choose_device, has_bf16, needs_loss_scale
from engines.errors import TrainingError


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


def test_auto_takes_a_gpu_only_if_there_is_one() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_gpu_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="--device cpu"):
        choose_device("cuda")


def test_an_unknown_device_is_named() -> None:
    with pytest.raises(TrainingError, match="'tpu'"):
        choose_device("tpu")


def test_each_process_of_a_machine_takes_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert choose_device("auto") == torch.device("cuda", 3)


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), True), ((8, 0), False), ((8, 7), False)])
def test_a_gpu_before_ampere_computes_in_fp16_with_a_scaled_loss(
    capability: tuple[int, int], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert needs_loss_scale(torch.device("cuda", 0)) is expected


def test_the_cpu_needs_no_scaled_loss() -> None:
    assert not needs_loss_scale(torch.device("cpu"))
