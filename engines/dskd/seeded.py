"""A bundle of the default architecture with random weights: takes as long as a taught one, and judges nothing.

python -m engines.dskd.seeded --out DIR
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import numpy as np
import torch

from engines.bundle import FORMAT, Manifest, save_bundle
from engines.dskd.backbones import teacher_spec
from engines.dskd.export import export_graphs
from engines.dskd.features import TeacherFeatures, learn_gaussian
from engines.dskd.network import Dskd
from engines.dskd.teach import map_shapes
from engines.dskd.train import TrainingConfig
from engines.image import InputSpec
from engines.runtimes.base import REFERENCE, open_runtime
from engines.scoring import learn_scoring

PICTURES = 8


def seeded_bundle(parent: Path, frame_size: tuple[int, int], config: TrainingConfig = TrainingConfig()) -> Path:
    """Write one below `parent`; return its folder.

    Args:
        frame_size: (width, height) of the frames it will be shown.
        config: teacher, method, size and seed; weights are not read.
    """
    torch.manual_seed(config.seed)
    spec = teacher_spec(config.teacher)
    network = Dskd(spec.build(config.method.levels), spec, config.method)
    side = config.size
    pictures = np.random.default_rng(config.seed).integers(0, 256, (PICTURES, side, side, 3), np.uint8)
    if network.gaussian is not None:
        learn_gaussian(network.gaussian, TeacherFeatures(network, pictures))
    graphs = export_graphs(network, pictures[:2])
    runtime = open_runtime(REFERENCE, graphs.fp32)
    scoring = learn_scoring([runtime.infer(picture) for picture in pictures], "level")
    runtime.close()
    seen = InputSpec(side, side, frame_size)
    manifest = Manifest(
        format=FORMAT,
        product="seeded",
        created="2026-01-01T00:00:00+00:00",  # the same seed gives the same bundle
        teacher=config.teacher,
        weights_licence="none: random numbers",
        input=seen,
        levels=map_shapes(graphs.fp32, pictures[0], seen),
        fit=[],
        select=[],
        training={"steps": 0, "seed": config.seed},
        versions={"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
        files={},
    )
    return save_bundle(parent, manifest, graphs.fp32, scoring, fp16=graphs.fp16)


def main() -> None:
    """Write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--frame", type=int, nargs=2, required=True, metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--size", type=int, default=TrainingConfig().size, help="side of the network's input")
    given = parser.parse_args()
    seeded_bundle(given.out, tuple(given.frame), TrainingConfig(size=given.size))


if __name__ == "__main__":
    main()
