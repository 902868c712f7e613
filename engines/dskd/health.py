"""A run that collapsed is named: what it is, by which value, and what to do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from engines.dskd.device import fast_precision
from engines.dskd.features import CHUNK, Pictures, TeacherFeatures, device_of
from engines.dskd.network import Dskd, Students
from engines.dskd.students import Levels
from engines.errors import Collapsed

EXPLODED = 10.0  # times the trivial predictor's loss; healthy runs stayed at 1.01 or below at every look
JUDGED_STEPS = 50  # after fewer, the batch norms' running statistics (momentum 0.1) have not settled
DEAD_VARIANCE = 1e-3  # of the teacher's own; after 60 steps it was 0.1 or more, on plain grey pictures too
DEAD_SHARE = 0.8  # of one layer's channels that say the same everywhere; 0.25 was seen, on plain grey pictures
CONSTANT_MAP = 1e-3  # deviation over positions and pictures, relative to the mean; 0.2 or more was seen
EXAMINED = 32  # pictures
SAME_EVERYWHERE = 1e-6  # loss of always saying the mean feature; 3 on standardised features


def trivial_loss(network: Dskd, targets: TeacherFeatures, mean: Levels) -> float:
    """The selection loss of students that always say the mean feature (C,) per level."""
    total = 0.0
    for start in range(0, len(targets), CHUNK):
        t = targets.at(np.arange(start, min(start + CHUNK, len(targets))))
        guess = tuple(m[None, :, None, None].expand_as(level) for m, level in zip(mean, t))
        maps = network.discrepancies(t, Students(guess, guess))
        total += sum(float(level.mean((1, 2)).sum()) for level in maps)
    return total / len(targets)


def check_teacher(trivial: float) -> None:
    """Raises: Collapsed: always saying the mean feature is perfect, since there is nothing else to say."""
    if not trivial > SAME_EVERYWHERE:
        raise Collapsed(
            f"the teacher says the same everywhere: always saying its mean feature costs {trivial:.1g}; check its "
            "weights, and that the pictures are not all one plain colour"
        )


def check_loss(loss: float, step: int, learning_rate: float) -> None:
    """Raises: Collapsed: the loss of a step is not finite."""
    if not math.isfinite(loss):
        raise Collapsed(f"loss is {loss} at step {step}; lower the learning rate ({learning_rate:g})")


def check_look(select_loss: float, trivial: float, step: int, learning_rate: float) -> None:
    """Raises: Collapsed: the select parts' loss is not finite, or far above a student's that learnt nothing."""
    if not select_loss <= EXPLODED * trivial:
        raise Collapsed(
            f"the scores explode: loss on select parts is {select_loss:.3g} at step {step}, always saying the mean "
            f"feature costs {trivial:.3g}; lower the learning rate ({learning_rate:g})"
        )


def check_learnt(best_loss: float, trivial: float, learning_rate: float, steps: int) -> None:
    """Raises: Collapsed: no look found the students better than always saying the mean feature."""
    if not best_loss < trivial:
        raise Collapsed(
            f"the students learnt nothing that holds for other parts: best loss on select parts {best_loss:.3g}, "
            f"always saying the mean feature costs {trivial:.3g}; check that all pictures show the same product, "
            f"give more good parts, more steps ({steps}) or another learning rate ({learning_rate:g})"
        )


def check_students(network: Dskd, pictures: Pictures, targets: TeacherFeatures) -> None:
    """Look for dead layers, dead channels and constant maps over some pictures (N, H, W, 3).

    Raises:
        Collapsed: there is one; it is named.
    """
    index = np.unique(np.linspace(0, len(pictures) - 1, min(EXAMINED, len(pictures))).astype(np.int64))
    network.eval()
    with _constant_channels(network) as constant, torch.no_grad(), fast_precision(device_of(network)):
        chunk = torch.from_numpy(pictures[index]).to(device_of(network))
        t = targets.at(index)
        said = network.study(network.normalise(chunk), t)
        maps = network.discrepancies(t, said)
    for name, levels in zip(("encoder", "decoder"), said):
        if levels is not None:
            _check_levels(name, tuple(level.float() for level in levels), t)
    for name, share in constant.items():
        if share > DEAD_SHARE:
            raise Collapsed(
                f"layer {name} is dead: {share:.0%} of its channels say the same at every position of "
                f"{len(index)} pictures; take another learning rate or seed"
            )
    for number, level in enumerate(maps):
        mean, deviation = float(level.mean()), float(level.std())
        if deviation <= CONSTANT_MAP * abs(mean):
            raise Collapsed(
                f"anomaly map {number} is constant: {mean:.3g} with a deviation of {deviation:.1g} over {len(index)} "
                "pictures; check the teacher's weights and that the pictures are not all one plain colour"
            )


def _check_levels(student: str, levels: Levels, teacher: Levels) -> None:
    for number, (level, target) in enumerate(zip(levels, teacher)):
        varies, wanted = _variance(level), _variance(target)
        if varies <= DEAD_VARIANCE * wanted:
            raise Collapsed(
                f"level {number} of the {student} student is dead: its features vary by {varies:.1e} over positions "
                f"and pictures, the teacher's by {wanted:.1e}; take another learning rate or seed, or more steps"
            )


def _variance(level: Tensor) -> float:
    """Mean over channels of the variance over pictures and positions of (B, C, h, w)."""
    return float(level.var((0, 2, 3)).mean())


@contextmanager
def _constant_channels(network: Dskd) -> Iterator[dict[str, float]]:
    """Filled by one forward pass: for each layer of the students, the share of channels that never vary."""
    shares: dict[str, float] = {}
    hooks = []

    def watch(name: str, layer: nn.Module) -> None:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == 4:
                flat = output.transpose(0, 1).flatten(1)
                shares[name] = float((flat.amax(1) == flat.amin(1)).float().mean())

        hooks.append(layer.register_forward_hook(hook))

    for name, module in network.named_modules():
        # On good parts a good head says nothing at all, in every channel.
        if not name.startswith(("teacher", "segmentation")):
            watch(name, module)
    try:
        yield shares
    finally:
        for registered in hooks:
            registered.remove()
