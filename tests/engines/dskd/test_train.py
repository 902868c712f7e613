"""The training loop, small."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from engines.dskd.batch import Batch, show
from engines.dskd.budget import FEWEST_STEPS, MOST_STEPS
from engines.dskd.distributed import Group
from engines.dskd.features import Pictures, TeacherFeatures
from engines.dskd.method import Method
from engines.dskd.network import Dskd
from engines.dskd.train import (
    Progress,
    TrainingConfig,
    build,
    draw_batch,
    lasting,
    step_loss,
    teacher_sees,
    train,
)
from engines.errors import TrainingError

SMALL = TrainingConfig(size=64, steps=3, batch=2)


def textures(count: int, seed: int = 0, side: int = 64) -> Pictures:
    noise = np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)
    return np.stack([cv2.GaussianBlur(picture, (0, 0), 2) for picture in noise])


def test_training_is_the_same_for_the_same_seed() -> None:
    runs: list[list[Progress]] = [[], []]
    for steps in runs:
        train(textures(6), textures(2, 1), SMALL, steps.append)
    first, second = ([(step.loss, step.select_loss) for step in steps] for steps in runs)
    assert first == second
    assert len(first) == 3


def test_another_seed_is_another_training() -> None:
    runs: list[list[Progress]] = [[], []]
    for seed, steps in enumerate(runs):
        train(textures(6), textures(2, 1), replace(SMALL, steps=1, seed=seed), steps.append)
    assert runs[0][0].loss != runs[1][0].loss


def test_training_brings_the_students_nearer_to_the_teacher() -> None:
    steps: list[Progress] = []
    config = TrainingConfig(size=64, steps=25, batch=4, minutes=None)
    trained = train(textures(4), textures(2, 1), config, steps.append)
    assert np.mean([s.loss for s in steps[-5:]]) < 0.8 * np.mean([s.loss for s in steps[:3]])
    looks = {step.select_loss for step in steps} - {None}
    assert trained.select_loss == min(loss for loss in looks if loss is not None)
    assert all(a.remaining_s > 0 for a in steps)


def test_a_budget_that_is_too_short_still_gives_a_network_and_says_how_many_steps() -> None:
    steps: list[Progress] = []
    config = lasting(replace(SMALL, batch=2), None, minutes=0.02)
    trained = train(textures(4), textures(2, 1), config, steps.append)
    assert trained.steps == FEWEST_STEPS == len(steps)
    assert {step.steps for step in steps} == {FEWEST_STEPS}


def test_a_run_by_time_is_repeated_by_its_number_of_steps() -> None:
    by_time = train(textures(4), textures(2, 1), lasting(SMALL, None, 0.02))
    by_steps = train(textures(4), textures(2, 1), lasting(SMALL, by_time.steps, None))
    for name, value in by_time.network.state_dict().items():
        assert torch.equal(value, by_steps.network.state_dict()[name]), name


def test_steps_and_minutes_exclude_each_other() -> None:
    assert lasting(SMALL, 40, None).minutes is None
    assert lasting(SMALL, None, 2).steps == MOST_STEPS
    assert lasting(SMALL, None, None) == SMALL
    with pytest.raises(TrainingError, match="exclude each other"):
        lasting(SMALL, 40, 2)


@pytest.fixture
def network() -> Dskd:
    return build(replace(SMALL, device="cpu")).train()


@pytest.fixture
def textured(network: Dskd) -> Batch:
    fit = textures(4)
    return show(network, fit, TeacherFeatures(network, fit), np.arange(4), (0, 1))


def test_one_step_teaches_students_and_head(textured: Batch, network: Dskd) -> None:
    loss = step_loss(network, textured)
    assert loss.ndim == 0
    assert float(loss.detach()) > 0
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)


def test_the_teacher_sees_what_was_painted_and_is_not_asked_again_of_good_parts(textured: Batch, network: Dskd) -> None:
    x = network.normalise(textured.pictures)
    seen = teacher_sees(network, x, textured)
    anew = network.teach(x)
    practice, painted = textured.practice, textured.painted
    assert practice == len(textured.targets[0]) > painted > 0
    for level, target, whole in zip(seen, textured.targets, anew):
        torch.testing.assert_close(level[: practice + painted], whole[: practice + painted])
        assert torch.equal(level[practice + painted :], target[painted:])
        assert not torch.equal(level[practice : practice + painted], target[:painted])


def test_without_painted_parts_the_teacher_is_not_asked(network: Dskd, textured: Batch) -> None:
    good = replace(textured, pictures=textured.pictures[textured.practice :], practice=0, painted=0)
    assert teacher_sees(network, network.normalise(good.pictures), good) is good.targets


def test_batches_follow_from_seed_and_step_and_divide_among_processes() -> None:
    config = replace(SMALL, batch=5)
    assert np.array_equal(draw_batch(config, 9, 4), draw_batch(config, 9, 4))
    assert not np.array_equal(draw_batch(config, 9, 4), draw_batch(config, 9, 5))
    two = Group(0, 2), Group(1, 2)
    shares = [group.share(draw_batch(config, 9, 4, group)) for group in two]
    assert [len(share) for share in shares] == [2, 2]
    assert len(set(np.concatenate(shares))) == 4


@pytest.mark.parametrize(
    ("fit", "select", "config", "complaint"),
    [
        (textures(1), textures(1), SMALL, "needs at least 2 and 1"),
        (textures(3), textures(1)[:0], SMALL, "needs at least 2 and 1"),
        (textures(3), textures(1), TrainingConfig(size=100, steps=1), "multiple of 32"),
        (textures(3), textures(1), TrainingConfig(size=96, steps=1), "prepare them first"),
        (textures(3), textures(1), TrainingConfig(size=64, steps=0), "at least 1"),
        (textures(3), textures(1), TrainingConfig(size=64, minutes=0), "above 0"),
        (textures(3), textures(1), TrainingConfig(size=64, device="tpu"), "auto, cpu or cuda"),
    ],
)
def test_training_that_cannot_start_says_why(
    fit: Pictures, select: Pictures, config: TrainingConfig, complaint: str
) -> None:
    with pytest.raises(TrainingError, match=complaint):
        train(fit, select, config)


def test_more_processes_than_pictures_in_a_batch_are_refused() -> None:
    with pytest.raises(TrainingError, match="start fewer processes"):
        train(textures(3), textures(1), SMALL, group=Group(0, 3))


def test_processes_that_would_paint_nothing_are_refused() -> None:
    with pytest.raises(TrainingError, match="batch of at least 16"):
        train(textures(8), textures(2, 1), replace(SMALL, batch=8), group=Group(0, 8))
    with pytest.raises(TrainingError, match=r"paints 0"):
        train(textures(8), textures(2, 1), replace(SMALL, batch=8, method=Method(painted=0.05)))
