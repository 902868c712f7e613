"""What a network costs at inference, block by block: parameters and multiply-accumulates, measured on the module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engines.dskd.network import Dskd


@dataclass(frozen=True, slots=True)
class BlockCost:
    """One block.

    Attributes:
        parameters: what training or the teacher's file fills, batch norms' included.
        macs: multiply-accumulates of convolutions and linear layers for one picture; the rest is below 1 %.
    """

    name: str
    parameters: int
    macs: int


def measure_cost(network: Dskd, size: int = 256) -> list[BlockCost]:
    """Cost of every block that one picture of `size` x `size` px passes at inference, in the order of the graph.

    A block that only training needs, such as the heads of a student that is not scored, is left out.
    """
    macs: dict[str, int] = {}
    hooks = [
        layer.register_forward_hook(_counter(name, macs))
        for name, block in network.named_children()
        for layer in block.modules()
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))
    ]
    was_training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros((1, size, size, 3), dtype=torch.uint8))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return [
        BlockCost(name, sum(p.numel() for p in block.parameters()), macs[name])
        for name, block in network.named_children()
        if name in macs
    ]


def _counter(block: str, macs: dict[str, int]) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        macs[block] = macs.get(block, 0) + layer_macs(layer, inputs[0], output)

    return count


def layer_macs(layer: nn.Module, x: Tensor, y: Tensor) -> int:
    """Multiply-accumulates of one layer: every position uses each weight once.

    Positions are those of the output, of a transposed convolution those of its input.
    """
    weight: Tensor = layer.weight  # type: ignore[assignment]
    if isinstance(layer, nn.Linear):
        return weight.numel() * y.numel() // y.shape[-1]
    seen = x if isinstance(layer, nn.ConvTranspose2d) else y
    return weight.numel() * seen.shape[0] * seen.shape[2] * seen.shape[3]
