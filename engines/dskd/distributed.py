"""One product trained by several processes: gradients are averaged by hand, in one flat tensor.

Launched by torchrun, every process holds the same students and sees its own share of each batch. Nothing of
torch.distributed is touched otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Group:
    """The processes that train together.

    Attributes:
        rank: this process, 0 <= rank < world; 0 plans, writes and reports.
        world: how many there are; 1 never talks to anyone.
    """

    rank: int = 0
    world: int = 1

    def share(self, batch: NDArray[np.int64]) -> NDArray[np.int64]:
        """This process's part of a batch; all parts are equal if `world` divides it."""
        return batch[self.rank :: self.world]

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace floating tensors by their mean over all processes, in one exchange."""
        if self.world == 1:
            return
        flat = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
        torch.distributed.all_reduce(flat)
        flat /= self.world
        for tensor, mean in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors])):
            tensor.copy_(mean.view(tensor.shape))

    def from_first(self, make: Callable[[], Result]) -> Result:
        """What the first process makes, in all of them."""
        if self.world == 1:
            return make()
        made: list[Result | None] = [make() if self.rank == 0 else None]
        torch.distributed.broadcast_object_list(made, src=0)
        return made[0]  # type: ignore[return-value]


ALONE = Group()


@contextmanager
def joined(device: torch.device) -> Iterator[Group]:
    """The group that torchrun started (gloo on the CPU, NCCL on CUDA), or `ALONE` without torchrun."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Group(torch.distributed.get_rank(), torch.distributed.get_world_size())
    finally:
        torch.distributed.destroy_process_group()


def average_gradients(students: Sequence[nn.Parameter], loss: Tensor, group: Group) -> None:
    """Average the gradients of all processes, and the loss with them, so that all see the same one."""
    group.average([loss, *(p.grad for p in students if p.grad is not None)])


def average_statistics(network: nn.Module, group: Group) -> None:
    """Average the running statistics of the batch norms: each process has seen other pictures."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d) and module.training]
    group.average([s for norm in norms for s in (norm.running_mean, norm.running_var) if s is not None])
