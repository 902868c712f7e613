"""Pyramid matching loss: a student's features against the teacher's, level by level."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def pyramid_matching_loss(
    teacher: tuple[Tensor, ...], student: tuple[Tensor, ...], cosine_weight: float, l2_weight: float
) -> Tensor:
    """Sum over levels of `cosine_weight * (1 - cos(flatten)) + l2_weight * MSE`, a scalar >= 0.

    The cosine is taken over the whole flattened map, as in MKD (Salehi et al., arXiv 2011.11108): one direction per
    picture and level, so that the small vectors of single positions carry little weight.

    Args:
        teacher, student: per level (B, C, h, w), of equal shapes.
        cosine_weight, l2_weight: >= 0.
    """
    total = teacher[0].new_zeros(())
    for t, s in zip(teacher, student):
        cosine = functional.cosine_similarity(t.flatten(1), s.flatten(1)).mean()
        total = total + cosine_weight * (1 - cosine) + l2_weight * functional.mse_loss(s, t)
    return total
