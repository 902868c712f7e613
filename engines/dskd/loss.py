"""Pyramid matching loss: the students' features against the teacher's, level by level."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from engines.dskd.anomaly_map import discrepancy
from engines.dskd.method import LossWeights, Method, Metric
from engines.dskd.network import Students
from engines.dskd.students import Levels

# Deviations above the mean distance up to which a position is easy: at the start, and once settled. The rise over the
# first tenth of the training is ReContrast's, as far as its settings are known to us: early on, all is worth learning.
SPREAD = (-3.0, 1.0)
SETTLED = 0.1


def matching_loss(teacher: Levels, students: Students, method: Method, metric: Metric, progress: float) -> Tensor:
    """The whole training loss, a scalar >= 0: every student there is, over all matched levels.

    Args:
        metric: by which positions are found easy.
        progress: 0..1, share of the training that is done.
    """
    spread = mining_spread(progress)
    total = teacher[0].new_zeros(())
    for student in students:
        if student is not None:
            features = tuple(level.float() for level in student)
            if method.mining > 0:
                features = damp_easy(teacher, features, method.mining, spread, metric)
            total = total + pyramid_matching_loss(teacher, features, method.loss)
    return total


def pyramid_matching_loss(teacher: Levels, student: Levels, weights: LossWeights) -> Tensor:
    """Sum over levels of `cosine * (1 - cos) + l2 * MSE`, a scalar >= 0.

    Over the "map" the cosine is taken of the whole flattened map, as in MKD (Salehi et al., arXiv 2011.11108): one
    direction per picture and level, so that the small vectors of single positions carry little weight.

    Args:
        teacher, student: per level (B, C, h, w), of equal shapes.
    """
    total = teacher[0].new_zeros(())
    for t, s in zip(teacher, student):
        if weights.cosine_over == "map":
            cosine = functional.cosine_similarity(t.flatten(1), s.flatten(1)).mean()
        else:
            cosine = functional.cosine_similarity(t, s).mean()
        total = total + weights.cosine * (1 - cosine) + weights.l2 * functional.mse_loss(s, t)
    return total


def segmentation_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Focal loss (Lin et al., arXiv 1708.02002, gamma 2) plus Dice (Milletari et al., arXiv 1606.04797), a scalar >= 0.

    Focal: most positions are good and easy. Dice: a pinhole counts as much as a palm; over painted pictures only.

    Args:
        logits: (B, h, w).
        masks: (B, h, w) in {0, 1}, 1 where a defect was painted.
    """
    likely = torch.sigmoid(logits)
    miss = torch.where(masks > 0, 1 - likely, likely)
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    focal = (miss.square() * cross_entropy).mean()
    overlap, total = (likely * masks).sum((1, 2)), (likely + masks).sum((1, 2))
    is_painted = (masks.sum((1, 2)) > 0).float()
    dice = (is_painted * (1 - (2 * overlap + 1) / (total + 1))).sum() / is_painted.sum().clamp_min(1)
    return FOCAL_WEIGHT * focal + DICE_WEIGHT * dice


FOCAL_WEIGHT, DICE_WEIGHT = 4.0, 0.3  # about equal at the end of training


def mining_spread(progress: float) -> float:
    """Deviations above the mean distance below which a position is easy, at `progress` 0..1 of the training."""
    start, end = SPREAD
    return start + (end - start) * min(progress / SETTLED, 1.0)


def damp_easy(teacher: Levels, student: Levels, mining: float, spread: float, metric: Metric) -> Levels:
    """The student's features, unchanged; but gradients reach positions that are easy only by `1 - mining`.

    ReContrast's hard-normal mining (Guo et al., arXiv 2306.02602): a position is easy while its distance to the teacher
    is below mean + spread * deviation, taken over the batch's positions of that level.
    """
    damped = []
    for distance, s in zip(discrepancy(teacher, tuple(level.detach() for level in student), metric), student):
        easy = (distance < distance.mean() + spread * distance.std()).unsqueeze(1)  # (B, 1, h, w)
        damped.append(torch.where(easy, s.detach() + (1 - mining) * (s - s.detach()), s))
    return tuple(damped)
