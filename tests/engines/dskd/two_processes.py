"""What each process of test_distributed.py runs: argument 1 is the folder for its results."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from engines.dskd.batch import show
from engines.dskd.checkpoint import TrainingState
from engines.dskd.distributed import average_gradients, joined
from engines.dskd.features import TeacherFeatures
from engines.dskd.train import TrainingConfig, begin, build, draw_batch, step_loss, train

CONFIG = TrainingConfig(size=64, steps=4, batch=4, minutes=None, device="cpu")
FIT = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)
SELECT = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), np.uint8)


def first_step() -> tuple[TrainingState, TeacherFeatures]:
    network = build(CONFIG).train()
    return begin(network, CONFIG, CONFIG.steps), TeacherFeatures(network, FIT, learn_scale=True)


def main() -> None:
    out = Path(sys.argv[1])
    torch.set_num_threads(1)
    with joined(torch.device("cpu")) as group:
        state, targets = first_step()
        batch = group.share(draw_batch(CONFIG, len(FIT), 1, group))
        loss = step_loss(state.network, show(state.network, FIT, targets, batch, (0, 1)))
        loss.backward()  # type: ignore[no-untyped-call]
        mean = loss.detach().clone()
        average_gradients([p for p in state.network.parameters() if p.requires_grad], mean, group)
        gradients = {name: p.grad for name, p in state.network.named_parameters() if p.grad is not None}
        trained = train(FIT, SELECT, CONFIG, group=group)
        result = {"loss": mean, "gradients": gradients, "trained": trained.network.state_dict()}
        torch.save(result, out / f"{group.rank}.pt")


if __name__ == "__main__":
    main()
