"""A teacher without its batch norms."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engines.dskd.backbones import TEACHERS, teacher_spec
from engines.dskd.fold import fold_batch_norms


@pytest.mark.parametrize("name", sorted(TEACHERS))
def test_folded_a_teacher_says_the_same_and_has_no_batch_norm_left(name: str) -> None:
    torch.manual_seed(0)
    teacher = teacher_spec(name).build((4, 8, 16)).eval()
    for layer in teacher.modules():
        if isinstance(layer, nn.BatchNorm2d):  # statistics of a trained network: neither 0 and 1 nor all alike
            layer.running_mean.normal_(0, 0.1)  # type: ignore[union-attr, operator]
            layer.running_var.uniform_(0.5, 2)  # type: ignore[union-attr, operator]
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0, 0.1)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = teacher(x)
        after = fold_batch_norms(teacher)(x)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in teacher.modules())
    for one, other in zip(before, after):
        assert float((one - other).abs().max()) <= 1e-4 * float(one.abs().max())
        assert float(one.std()) > 0
