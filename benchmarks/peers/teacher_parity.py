"""The peers' teacher is ours: the same pictures through both, features compared level by level.

    cd benchmarks && python -m peers.teacher_parity --peers ../.venv-peers [--data DIR]

Our side runs here and leaves pictures and features in files; the peers' environment reads them (`theirs FILE`) and
prints the largest difference of each level, relative to the level's largest value.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from peers.table import STRIDES_4_8_16

BENCHMARKS = Path(__file__).resolve().parents[1]
TOLERANCE = 1e-4  # relative; FP32 sums in another order differ by about 1e-6, a wrong padding by 1e-1
PICTURES = 8


def main() -> None:
    """Compare, print one object, and fail if the features differ."""
    if sys.argv[1:2] == ["theirs"]:
        print(json.dumps(theirs(Path(sys.argv[2]))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True, help="folder of the peers' environment")
    parser.add_argument("--data", type=Path, help="folder of pictures; default: synthetic parts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "features.npz"
        ours(file, arguments.data)
        command = [
            str(arguments.peers.absolute() / "bin" / "python"),
            "-m",
            "peers.teacher_parity",
            "theirs",
            str(file),
        ]
        answer = subprocess.run(command, cwd=BENCHMARKS, check=True, capture_output=True, text=True)
    differences = json.loads(answer.stdout.splitlines()[-1])
    print(json.dumps({"max_relative_difference": max(differences.values()), "by_layer": differences}))
    if not max(differences.values()) <= TOLERANCE:
        raise SystemExit(f"the teachers differ by more than {TOLERANCE}; no row may be compared")


def ours(file: Path, data: Path | None) -> None:
    """Pictures and our teacher's features of them, written to `file`."""
    from harness.teacher import TIMM_NAMES, default_teacher

    from engines.dskd.backbones import load_teacher
    from engines.image import InputSpec, list_images, prepare, read_image
    from inspector.cameras.synthetic import draw_part

    spec = InputSpec(256, 256)
    drawn = (read_image(p) for p in list_images(data)) if data else (draw_part(1, n, n > 3) for n in range(PICTURES))
    pictures = np.stack([prepare(picture, spec) for _, picture in zip(range(PICTURES), drawn)])
    teacher = default_teacher()
    rgb = torch.from_numpy(pictures).flip(3).permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(values)[:, None, None] for values in (teacher.mean, teacher.std))
    with torch.no_grad():
        levels = load_teacher(teacher.name)((rgb - mean) / std)
    features = {layer: level.numpy() for layer, level in zip(STRIDES_4_8_16, levels)}
    facts = {"weights": str(teacher.weights), "backbone": TIMM_NAMES[teacher.name], "mean": teacher.mean}
    np.savez(file, facts=json.dumps({**facts, "std": teacher.std}), **features)
    np.save(file.with_suffix(".npy"), pictures)


def theirs(file: Path) -> dict[str, float]:
    """Largest relative difference by layer between timm's features and those in `file`."""
    from anomalib.models.components import TimmFeatureExtractor

    from peers.models import Teacher, fill, no_download
    from peers.worker import normalised

    with np.load(file) as stored:
        facts = json.loads(str(stored["facts"]))
        expected = {layer: torch.from_numpy(stored[layer]) for layer in STRIDES_4_8_16}
    with no_download():
        extractor = TimmFeatureExtractor(facts["backbone"], STRIDES_4_8_16)
    fill(extractor, Teacher(facts["backbone"], Path(facts["weights"])))
    found = extractor(normalised(str(file.with_suffix(".npy")), facts["mean"], facts["std"]))
    return {layer: float((found[layer] - want).abs().max() / want.abs().max()) for layer, want in expected.items()}


if __name__ == "__main__":
    main()
