"""The loss's terms by their formulas, and mining by its gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from engines.dskd.loss import damp_easy, matching_loss, mining_spread, pyramid_matching_loss, segmentation_loss
from engines.dskd.method import LossWeights, Method
from engines.dskd.network import Students


def features(seed: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn((2, 4, side, side), generator=generator) for side in (8, 4))


def learnable(seed: int) -> tuple[Tensor, ...]:
    return tuple(level.requires_grad_() for level in features(seed))


def test_identical_features_cost_nothing() -> None:
    for over in ("map", "position"):
        weights = LossWeights(1.0, 1.0, over)  # type: ignore[arg-type]
        assert float(pyramid_matching_loss(features(0), features(0), weights)) == pytest.approx(0, abs=1e-5)


def test_the_terms_are_those_of_their_formulas() -> None:
    t, s = features(0), features(1)
    l2 = sum(float(((a - b) ** 2).mean()) for a, b in zip(t, s))
    over_map = sum(
        1 - sum(float((a[i] * b[i]).sum() / (a[i].norm() * b[i].norm())) for i in (0, 1)) / 2 for a, b in zip(t, s)
    )
    position = sum(float((1 - (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))).mean()) for a, b in zip(t, s))
    assert float(pyramid_matching_loss(t, s, LossWeights(0.0, 1.0))) == pytest.approx(l2, rel=1e-5)
    assert float(pyramid_matching_loss(t, s, LossWeights(1.0, 0.0))) == pytest.approx(over_map, rel=1e-5)
    twice = LossWeights(2.0, 0.0, "position")
    assert float(pyramid_matching_loss(t, s, twice)) == pytest.approx(2 * position, rel=1e-5)


def test_every_student_that_is_there_counts() -> None:
    t, s, weights = features(0), features(1), LossWeights()
    one = float(pyramid_matching_loss(t, s, weights))
    for students, expected in (((s, s), 2 * one), ((s, None), one), ((None, s), one)):
        total = matching_loss(t, Students(*students), Method(), "l2", 1.0)
        assert float(total) == pytest.approx(expected, rel=1e-6)


@given(st.floats(0, 1))
def test_easiness_rises_to_its_value_over_the_first_tenth(progress: float) -> None:
    assert -3 <= mining_spread(progress) <= 1
    assert mining_spread(progress) == pytest.approx(min(-3 + 40 * progress, 1))


@pytest.mark.parametrize("over", ["map", "position"])
@pytest.mark.parametrize("mining", [0.3, 1.0])
def test_mining_damps_the_gradients_of_easy_positions_only(over: str, mining: float) -> None:
    t = features(0)
    weights = LossWeights(1.0, 1.0, over)  # type: ignore[arg-type]
    plain, mined = learnable(1), learnable(1)
    before = pyramid_matching_loss(t, plain, weights)
    after = pyramid_matching_loss(t, damp_easy(t, mined, mining, 0.5, "l2"), weights)
    assert float(after.detach()) == pytest.approx(float(before.detach()), rel=1e-6)
    before.backward()  # type: ignore[no-untyped-call]
    after.backward()  # type: ignore[no-untyped-call]
    for level, p, m in zip(t, plain, mined):
        distance = ((level - p.detach()) ** 2).mean(1)
        easy = (distance < distance.mean() + 0.5 * distance.std())[:, None]
        assert 0.2 < float(easy.float().mean()) < 0.95  # there are both kinds to look at
        assert p.grad is not None
        assert m.grad is not None
        torch.testing.assert_close(m.grad, torch.where(easy, (1 - mining) * p.grad, p.grad))


def test_mining_reaches_the_students_through_the_method() -> None:
    t = features(0)
    gradients = []
    for mining in (0.0, 0.9):
        s = learnable(1)
        matching_loss(t, Students(None, s), Method(mining=mining), "l2", 1.0).backward()  # type: ignore[no-untyped-call]
        gradients.append(sum(float(level.grad.abs().sum()) for level in s if level.grad is not None))
    assert gradients[1] < 0.5 * gradients[0]


def masks() -> Tensor:
    painted = torch.zeros(2, 8, 8)
    painted[0, 2:5, 3:6] = 1
    return painted


def test_a_right_segmentation_costs_nearly_nothing_and_a_wrong_one_much() -> None:
    right = 20 * (2 * masks() - 1)
    assert float(segmentation_loss(right, masks())) < 0.01
    assert float(segmentation_loss(-right, masks())) > 10


def test_finding_more_of_the_defect_costs_less() -> None:
    losses = []
    for found in range(4):
        logits = torch.full((2, 8, 8), -4.0)
        logits[0, 2 : 2 + found, 3:6] = 4.0
        losses.append(float(segmentation_loss(logits, masks())))
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == 4


def test_a_batch_without_painted_defects_has_a_finite_loss_and_gradient() -> None:
    logits = torch.zeros(2, 4, 4, requires_grad=True)
    loss = segmentation_loss(logits, torch.zeros(2, 4, 4))
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())
    assert bool((logits.grad > 0).all())
