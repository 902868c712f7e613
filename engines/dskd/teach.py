"""Teach a product: good pictures -> trained, exported, scored bundle. What `inspector train` does."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch

from engines.bundle import FORMAT, Bundle, Manifest, load_bundle, save_bundle
from engines.defects import paint_defect
from engines.detector import infer
from engines.dskd.backbones import teacher_spec
from engines.dskd.checkpoint import Say, remove_checkpoint
from engines.dskd.distributed import ALONE, Group
from engines.dskd.export import export_graphs
from engines.dskd.features import Pictures
from engines.dskd.method import Method
from engines.dskd.train import Progress, Trained, TrainingConfig, train
from engines.errors import Collapsed, ImageError, PartNotFound, TrainingError
from engines.image import InputSpec, content_box, fingerprint, frame_size, prepare, read_image
from engines.locate import Locator
from engines.runtimes.base import open_runtime
from engines.scoring import Scoring
from engines.select import choose_scoring
from engines.tiling import cut_tiles, layout
from engines.training_report import TrainingReport, encode_report, thin
from engines.view import Plan, View, plan_view

PARITY_PICTURES = 4


@dataclass(frozen=True, slots=True)
class Taught:
    """Canvases (N, H, W, 3), their fingerprints, and the frame sizes (width, height) they came in."""

    pictures: Pictures
    fingerprints: list[str]
    sizes: frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Learnt:
    """What was read, how it was looked at, and the network that came of it."""

    fit: Taught
    select: Taught
    plan: Plan
    trained: Trained


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
    view: View = View(),
) -> Bundle:
    """Train, export and score a product; its bundle is written below `parent`.

    Args:
        work, say, group: see `train`. `work` is gone once the bundle is safe. Only the first process of a group
            teaches; the others `learn`.
        view: what of a frame the network looks at. Tiles are cut after the roles are settled: those of one part all
            have its role.

    Raises:
        ImageError: a picture can't be read, or does not suit the view.
        PartNotFound: the view says `locate`, and a picture shows no such part.
        TrainingError: training failed, or pictures are of mixed sizes without `any_size`.
    """
    curve: list[tuple[int, float, float | None]] = []

    def note(step: Progress) -> None:
        curve.append((step.step, step.loss, step.select_loss))
        on_step(step)

    learnt = learn(fit, select, config, any_size, note, work, say, group, view)
    spec, sizes, trained = learnt.plan.spec, learnt.fit.sizes | learnt.select.sizes, learnt.trained
    for_fit, for_select = learnt.fit, learnt.select
    graphs = export_graphs(trained.network, tiles_of(for_select.pictures[:PARITY_PICTURES], spec)[:PARITY_PICTURES])
    scoring = score_select(graphs.fp32, for_select.pictures, spec, config.seed, config.method)
    manifest = Manifest(
        format=FORMAT,
        product=product,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        teacher=config.teacher,
        weights_licence=teacher_spec(config.teacher).weights_licence,
        input=spec if len(sizes) == 1 else msgspec.structs.replace(spec, frame_size=None),
        levels=map_shapes(graphs.fp32, for_select.pictures[0], spec),
        fit=for_fit.fingerprints,
        select=for_select.fingerprints,
        training=_training_facts(trained, config),
        versions={"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__},
        files={},
    )
    report = encode_report(TrainingReport(thin(curve), graphs.checks, os.cpu_count() or 1))
    bundle = load_bundle(
        save_bundle(parent, manifest, graphs.fp32, scoring, learnt.plan.template, graphs.fp16, report=report)
    )
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
    view: View = View(),
) -> Learnt:
    """Read the pictures and train on them; arguments and errors as in `teach`."""
    if not fit:
        raise TrainingError("no picture to learn from; give at least 2 good parts")
    plan = plan_view(view, config.size, read_image(fit[0]))
    for_fit, for_select = (load_pictures(paths, plan.spec, plan.locator()) for paths in (fit, select))
    sizes = for_fit.sizes | for_select.sizes
    if len(sizes) > 1 and not any_size:
        raise TrainingError(
            f"pictures come in {len(sizes)} sizes, such as {sorted(sizes)[:3]}; a line's frames have one. "
            "Sort them out, or allow it with --frame-size any"
        )
    fit_tiles, select_tiles = tiles_of(for_fit.pictures, plan.spec), tiles_of(for_select.pictures, plan.spec)
    try:
        return Learnt(for_fit, for_select, plan, train(fit_tiles, select_tiles, config, on_step, work, group, say))
    except Collapsed:
        if work is not None:
            remove_checkpoint(work)  # going on would collapse again
        raise


def load_pictures(paths: Sequence[Path], spec: InputSpec, locator: Locator | None = None) -> Taught:
    """Read and prepare pictures; only the prepared ones are kept in memory.

    Raises:
        ImageError, PartNotFound: see `prepare`; the message names the picture.
    """
    pictures = np.empty((len(paths), spec.canvas[1], spec.canvas[0], 3), np.uint8)
    fingerprints, sizes = [], set()
    for index, path in enumerate(paths):
        image = read_image(path)
        try:
            pictures[index] = prepare(image, spec, locator)
        except (ImageError, PartNotFound) as error:
            raise type(error)(f"{path}: {error}") from error
        fingerprints.append(fingerprint(image))
        sizes.add(frame_size(image))
    return Taught(pictures, fingerprints, frozenset(sizes))


def tiles_of(canvases: Pictures, spec: InputSpec) -> Pictures:
    """What the network sees of each canvas (N, H, W, 3), as one array: (N * tiles, height, width, 3)."""
    return canvases if spec.tiling is None else np.concatenate([cut_tiles(canvas, spec) for canvas in canvases])


def score_select(model: bytes, select: Pictures, spec: InputSpec, seed: int, method: Method) -> Scoring:
    """The scoring that the select parts ask for, from the exported graph's own maps of whole parts."""
    rng = np.random.default_rng(seed)
    runtime = open_runtime("onnxruntime", model)
    clean = [infer(runtime, canvas, spec) for canvas in select]
    others = np.roll(select, 1, 0)
    painted = [infer(runtime, paint_part(canvas, other, spec, rng), spec) for canvas, other in zip(select, others)]
    runtime.close()
    optional = len(method.maps) if method.gaussian else None
    return choose_scoring(clean, painted, layout(spec), method.weights, method.good_maps, optional)


def paint_part(canvas: Pictures, other: Pictures, spec: InputSpec, rng: np.random.Generator) -> Pictures:
    """A copy of a canvas (H, W, 3) with one artificial defect of a tile's scale, in the inspected region."""
    x, y, width, height = content_box(spec)
    wide, high = min(width, spec.width), min(height, spec.height)
    left = x + (int(rng.integers(width - wide + 1)) if width > wide else 0)
    top = y + (int(rng.integers(height - high + 1)) if height > high else 0)
    place = slice(top, top + high), slice(left, left + wide)
    painted: Pictures = canvas.copy()
    painted[place] = paint_defect(canvas[place], other[place], rng).image
    return painted


def map_shapes(model: bytes, canvas: Pictures, spec: InputSpec) -> list[tuple[int, int]]:
    """(height, width) of each raw map of a canvas (H, W, 3)."""
    runtime = open_runtime("onnxruntime", model)
    shapes = [(int(level.shape[0]), int(level.shape[1])) for level in infer(runtime, canvas, spec)]
    runtime.close()
    return shapes


def _training_facts(trained: Trained, config: TrainingConfig) -> dict[str, float | int | str]:
    settings = {key: value if isinstance(value, (int, float)) else str(value) for key, value in asdict(config).items()}
    return {
        **settings,
        "steps": trained.steps,  # with --steps this many, the same pictures and seed give the same network again
        "best_step": trained.best_step,
        "select_loss": round(trained.select_loss, 6),
        "seconds": round(trained.seconds, 1),
    }
