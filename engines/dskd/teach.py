"""Teach a product: good pictures -> trained, exported, scored bundle. What `inspector train` does."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from engines.bundle import FORMAT, Bundle, Manifest, load_bundle, save_bundle
from engines.defects import paint_defect
from engines.dskd.backbones import teacher_spec
from engines.dskd.checkpoint import Say, remove_checkpoint
from engines.dskd.distributed import ALONE, Group
from engines.dskd.export import export
from engines.dskd.features import Pictures
from engines.dskd.train import Progress, Trained, TrainingConfig, train
from engines.errors import Collapsed, TrainingError
from engines.image import InputSpec, fingerprint, frame_size, prepare, read_image
from engines.runtimes.base import open_runtime
from engines.scoring import Scoring
from engines.select import choose_scoring

PARITY_PICTURES = 4


@dataclass(frozen=True, slots=True)
class Taught:
    """Prepared pictures (N, H, W, 3), their fingerprints, and the frame sizes (width, height) they came in."""

    pictures: Pictures
    fingerprints: list[str]
    sizes: frozenset[tuple[int, int]]


def teach(
    product: str,
    fit: Sequence[Path],
    select: Sequence[Path],
    parent: Path,
    config: TrainingConfig,
    any_size: bool = False,
    on_step: Callable[[Progress], None] = lambda _: None,
    work: Path | None = None,
    say: Say = lambda _: None,
    group: Group = ALONE,
) -> Bundle:
    """Train, export and score a product; its bundle is written below `parent`.

    Args:
        work, say, group: see `train`. `work` is gone once the bundle is safe. Only the first process of a group
            teaches; the others `learn`.

    Raises:
        ImageError: a picture can't be read.
        TrainingError: training failed, or pictures are of mixed sizes without `any_size`.
    """
    for_fit, for_select, trained = learn(fit, select, config, any_size, on_step, work, say, group)
    sizes = for_fit.sizes | for_select.sizes
    model = export(trained.network, for_select.pictures[:PARITY_PICTURES])
    manifest = Manifest(
        format=FORMAT,
        product=product,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        teacher=config.teacher,
        weights_licence=teacher_spec(config.teacher).weights_licence,
        input=InputSpec(config.size, config.size, None if len(sizes) > 1 else next(iter(sizes))),
        levels=[(level.shape[1], level.shape[2]) for level in _example_maps(trained, for_select.pictures)],
        fit=for_fit.fingerprints,
        select=for_select.fingerprints,
        training=_training_facts(trained, config),
        versions={"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
        files={},
    )
    bundle = load_bundle(save_bundle(parent, manifest, model, score_select(model, for_select.pictures, config.seed)))
    if work is not None:
        remove_checkpoint(work)
    return bundle


def learn(
    fit: Sequence[Path],
    select: Sequence[Path],
    config: TrainingConfig,
    any_size: bool,
    on_step: Callable[[Progress], None],
    work: Path | None,
    say: Say,
    group: Group,
) -> tuple[Taught, Taught, Trained]:
    """Read the pictures and train on them; arguments and errors as in `teach`."""
    spec = InputSpec(config.size, config.size)
    for_fit, for_select = load_pictures(fit, spec), load_pictures(select, spec)
    sizes = for_fit.sizes | for_select.sizes
    if len(sizes) > 1 and not any_size:
        raise TrainingError(
            f"pictures come in {len(sizes)} sizes, such as {sorted(sizes)[:3]}; a line's frames have one. "
            "Sort them out, or allow it with --frame-size any"
        )
    try:
        return for_fit, for_select, train(for_fit.pictures, for_select.pictures, config, on_step, work, group, say)
    except Collapsed:
        if work is not None:
            remove_checkpoint(work)  # going on would collapse again
        raise


def load_pictures(paths: Sequence[Path], spec: InputSpec) -> Taught:
    """Read and prepare pictures; only the prepared ones are kept in memory."""
    pictures = np.empty((len(paths), spec.height, spec.width, 3), np.uint8)
    fingerprints, sizes = [], set()
    for index, path in enumerate(paths):
        image = read_image(path)
        pictures[index] = prepare(image, spec)
        fingerprints.append(fingerprint(image))
        sizes.add(frame_size(image))
    return Taught(pictures, fingerprints, frozenset(sizes))


def score_select(model: bytes, select: Pictures, seed: int) -> Scoring:
    """The scoring that the select parts ask for, from the exported graph's own maps."""
    rng = np.random.default_rng(seed)
    runtime = open_runtime("onnxruntime", model)
    clean = [runtime.infer(picture) for picture in select]
    painted = [runtime.infer(paint_defect(picture, rng)) for picture in select]
    runtime.close()
    return choose_scoring(clean, painted)


def _example_maps(trained: Trained, pictures: Pictures) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        maps: tuple[torch.Tensor, ...] = trained.network(torch.from_numpy(pictures[:1]))
    return maps


def _training_facts(trained: Trained, config: TrainingConfig) -> dict[str, float | int | str]:
    settings = {key: value if isinstance(value, (int, float)) else str(value) for key, value in asdict(config).items()}
    return {
        **settings,
        "steps": trained.steps,  # with --steps this many, the same pictures and seed give the same network again
        "best_step": trained.best_step,
        "select_loss": round(trained.select_loss, 6),
        "seconds": round(trained.seconds, 1),
    }
