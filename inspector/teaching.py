"""Teach and calibrate a product from a folder of good parts, showing how far it is."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from calibration.calibrate import Calibration
from calibration.calibrate import calibrate as calibrate_samples
from calibration.recipe import save_recipe
from calibration.samples import Sample, list_samples, split_roles
from engines.bundle import Bundle
from engines.detector import open_detector
from engines.errors import TrainingError
from engines.runtimes.base import preferred_runtime
from engines.view import View
from inspector.products import Product

if TYPE_CHECKING:
    from engines.dskd.train import Progress as Step


def teach_product(
    product: Product,
    good: Path,
    teacher: str,
    weights: Path | None,
    steps: int,
    seed: int,
    any_size: bool,
    console: Console,
    view: View = View(),
) -> Bundle:
    """Train on the `fit` and `select` shares of a folder; the rest is left for calibration.

    Raises:
        ImageError, PartNotFound, SampleError, TrainingError: see `teach`.
    """
    roles = split_roles(list_samples(good))
    return teach_samples(product, roles["fit"], roles["select"], teacher, weights, steps, seed, any_size, console, view)


def teach_samples(
    product: Product,
    fit: list[Sample],
    select: list[Sample],
    teacher: str,
    weights: Path | None,
    steps: int,
    seed: int,
    any_size: bool,
    console: Console,
    view: View = View(),
) -> Bundle:
    """Train on samples whose roles are settled already.

    Raises:
        TrainingError: PyTorch is not installed, or training failed.
    """
    if importlib.util.find_spec("torch") is None:
        raise TrainingError("training needs PyTorch; pip install 'line-inspector[train]'")
    from engines.dskd.teach import teach
    from engines.dskd.train import TrainingConfig

    config = TrainingConfig(teacher=teacher, weights=weights, steps=steps, seed=seed)
    with _progress(console) as bar:
        task = bar.add_task(f"learning {len(fit)} good parts", total=steps)

        def on_step(step: Step) -> None:
            bar.update(task, completed=step.step, description=f"learning {len(fit)} good parts, loss {step.loss:.2f}")

        paths = [sample.path for sample in fit], [sample.path for sample in select]
        return teach(product.name, *paths, product.bundles, config, any_size, on_step, view)


def calibrate_product(
    product: Product, good: Path, engine: str, asked: float, confidence: float, strict: bool, console: Console
) -> Calibration:
    """Calibrate on the pictures of a folder that had no other role, and make the recipe the active one.

    Raises:
        BundleError, ImageError, SampleError, UnreachableBound: see `calibrate`.
    """
    return calibrate_on(product, list_samples(good), engine, asked, confidence, strict, console)


def calibrate_on(
    product: Product,
    samples: list[Sample],
    engine: str,
    asked: float,
    confidence: float,
    strict: bool,
    console: Console,
) -> Calibration:
    """Calibrate on given samples, and make the recipe the active one."""
    bundle = product.newest_bundle()
    any_size = bundle.manifest.input.frame_size is None
    detector = open_detector(bundle, engine or preferred_runtime(), any_size=any_size)
    try:
        with _progress(console) as bar:
            task: TaskID = bar.add_task("scoring good parts", total=len(samples))
            made = calibrate_samples(
                product.name, samples, detector, asked, confidence, strict,
                lambda done, total: bar.update(task, completed=done, total=total),
            )  # fmt: skip
    finally:
        detector.close()
    return Calibration(save_recipe(product.recipes, made.recipe), made.refused)


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        yield bar
