"""One peer on one job, in the peers' environment: `python -m peers.worker JOB.json` from benchmarks/.

The job names a peer's options, the teacher's weights and normalisation, a file of training and of test pictures, uint8
(N, H, W, 3) BGR as our own `prepare` made them, and the file to write.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import anomalib
import numpy as np
import timm
import torch
from torch import Tensor

from peers.models import TRAINERS, Teacher, predict


def main() -> None:
    """Train, predict, write scores, maps and times."""
    job = json.loads(Path(sys.argv[1]).read_text())
    if job["threads"]:
        torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    np.random.seed(job["seed"])  # anomalib's random projection draws from NumPy's global state
    options = job["options"]
    teacher = Teacher(job["backbone"], Path(job["weights"]))
    train = normalised(job["train"], job["mean"], job["std"])
    started = time.monotonic()
    model = TRAINERS[options["method"]](train, teacher, options)
    train_s = time.monotonic() - started
    test = normalised(job["test"], job["mean"], job["std"])
    started = time.monotonic()
    scores, maps = predict(model, test)
    infer_ms = 1000 * (time.monotonic() - started) / max(1, len(test))
    versions = {"anomalib": anomalib.__version__, "timm": timm.__version__, "torch": str(torch.__version__)}
    np.savez(
        job["out"],
        scores=scores.numpy(),
        maps=maps.numpy(),
        facts=json.dumps({"train_s": train_s, "torch_infer_ms": infer_ms, "peer_versions": versions}),
    )


def normalised(path: str, mean: list[float], std: list[float]) -> Tensor:
    """A file of BGR pictures -> RGB (N, 3, H, W) FP32 as the teacher was trained."""
    rgb = torch.from_numpy(np.load(path)).flip(3).permute(0, 3, 1, 2).float()
    return (rgb - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


if __name__ == "__main__":
    main()
