"""Teach and calibrate a product from a folder of good parts, showing how far it is."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from calibration.calibrate import Calibration, Contract
from calibration.calibrate import calibrate as calibrate_samples
from calibration.errors import RecipeError
from calibration.evidence import Unit
from calibration.recipe import Recipe, load_recipe, save_recipe
from calibration.samples import Sample, list_samples, split_roles
from engines.bundle import Bundle
from engines.detector import open_detector
from engines.errors import BundleError, CertificateError, TrainingError
from engines.masks import with_masks
from engines.runtimes.base import REFERENCE, preferred_engine
from engines.scoring import AREA, Mask, Scoring
from engines.view import View
from inspector.calibration_page import write_report
from inspector.certify import keep_pictures, make_certificate, save_certificate
from inspector.products import Product

if TYPE_CHECKING:
    from engines.dskd.train import Progress as Step
    from engines.dskd.train import TrainingConfig


@dataclasses.dataclass(frozen=True, slots=True)
class Masks:
    """Pictures in which people drew what not to look at, and zones by name; see `with_masks`.

    Those that the active recipe has stay, unless one is drawn anew or `plain` drops them all.
    """

    ignore: Path | None = None
    zones: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    plain: bool = False


def training_config(
    profile: str = "default",
    teacher: str | None = None,
    weights: Path | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    device: str = "auto",
    seed: int = 0,
) -> TrainingConfig:
    """The settings of a profile, changed as asked.

    Args:
        teacher: in place of the profile's.
        steps: exactly so many.
        minutes: as many steps as fit; with neither, the default number in at most the default time.

    Raises:
        TrainingError: PyTorch is not installed, there is no such profile, or steps and minutes exclude each other.
    """
    if importlib.util.find_spec("torch") is None:
        raise TrainingError("training needs PyTorch; pip install 'line-inspector[train]'")
    from engines.dskd.profiles import find_profile
    from engines.dskd.train import lasting

    chosen = find_profile(profile)
    changed = dataclasses.replace(chosen, teacher=teacher or chosen.teacher, weights=weights, device=device, seed=seed)
    return lasting(changed, steps, minutes)


def teach_product(
    product: Product, good: Path, config: TrainingConfig, any_size: bool, console: Console, view: View = View()
) -> Bundle:
    """Train on the `fit` and `select` shares of a folder; the rest is left for calibration.

    Raises:
        ImageError, PartNotFound, SampleError, TrainingError: see `teach`.
    """
    roles = split_roles(list_samples(good))
    return teach_samples(product, roles["fit"], roles["select"], config, any_size, console, view)


def teach_samples(
    product: Product,
    fit: list[Sample],
    select: list[Sample],
    config: TrainingConfig,
    any_size: bool,
    console: Console,
    view: View = View(),
) -> Bundle:
    """Train on samples whose roles are settled already; a run that was killed goes on where it was.

    Raises:
        TrainingError: training failed.
    """
    from engines.dskd.teach import teach

    with _progress(console, TextColumn("{task.fields[left]}")) as bar:
        task = bar.add_task(f"learning {len(fit)} good parts", total=None, left="")

        def on_step(step: Step) -> None:
            text = f"learning {len(fit)} good parts, loss {step.loss:.2f}"
            bar.update(task, total=step.steps, completed=step.step, description=text, left=_left(step.remaining_s))

        paths = [sample.path for sample in fit], [sample.path for sample in select]
        bundle = teach(
            product.name, *paths, product.bundles, config, any_size, on_step, product.work,
            lambda sentence: console.print(sentence, markup=False), view=view,
        )  # fmt: skip
    keep_pictures(product, paths[1])
    return bundle


def calibrate_product(
    product: Product,
    good: Path,
    engine: str,
    contract: Contract,
    console: Console,
    sub_folder: Unit = "session",
    report: Path | None = None,
    masks: Masks = Masks(),
) -> Calibration:
    """Calibrate on the pictures of a folder that had no other role, and make the recipe the active one.

    Args:
        masks: beside those of the active recipe, whose limit on the area stays too.

    Raises:
        BundleError, ImageError, SampleError, UnreachableBound: see `calibrate`.
        RecipeError: the active recipe can't be read, or its masks were drawn for another view of the part.
    """
    return calibrate_on(product, list_samples(good, sub_folder), engine, contract, console, report, masks=masks)


def calibrate_on(
    product: Product,
    samples: list[Sample],
    engine: str,
    contract: Contract,
    console: Console,
    report: Path | None = None,
    bundle: Bundle | None = None,
    masks: Masks = Masks(),
) -> Calibration:
    """Calibrate on given samples, make the recipe the active one, and write the report if a name for it is given.

    Args:
        bundle: None: the newest.
        masks: what is drawn and limited beside the score.
    """
    bundle = bundle or product.newest_bundle()
    scoring, contract = _looked_at(product, bundle, contract, masks)
    any_size = bundle.manifest.input.frame_size is None
    detector = open_detector(bundle, engine or preferred_engine(), any_size=any_size)
    try:
        with _progress(console, TimeRemainingColumn()) as bar:
            task: TaskID = bar.add_task("scoring good parts", total=len(samples))
            made = calibrate_samples(
                product.name, samples, detector, contract,
                lambda done, total: bar.update(task, completed=done, total=total), scoring,
            )  # fmt: skip
        made = dataclasses.replace(made, recipe=activate_certified(product, bundle, made.recipe, samples))
        if report is not None:
            write_report(report, made, detector)
    finally:
        detector.close()
    return made


def _looked_at(product: Product, bundle: Bundle, contract: Contract, masks: Masks) -> tuple[Scoring, Contract]:
    """What is looked at beside the score: nothing that an earlier calibration had is dropped unless told to."""
    scoring = bundle.scoring
    if product.is_calibrated and not masks.plain:
        scoring, with_area = _looked_at_before(product, bundle)
        contract = dataclasses.replace(contract, area=contract.area or with_area)
    if masks.ignore is not None:  # in place of the one before; the bundle's own is its padding
        scoring = dataclasses.replace(scoring, ignore=bundle.scoring.ignore)
    return with_masks(scoring, bundle.manifest, masks.ignore, masks.zones), contract


def _looked_at_before(product: Product, bundle: Bundle) -> tuple[Scoring, bool]:
    """The bundle's scoring with the active recipe's masks, and whether that limits the area."""
    plain = "draw them again with --plain and --zone or --ignore, or leave them out with --plain alone"
    try:
        active = load_recipe(product.recipes)
        with_area = AREA in active.thresholds.rules
        if active.bundle == bundle.id:
            return active.scoring, with_area
        taught = product.bundle_of(active)
    except (RecipeError, BundleError) as error:
        raise RecipeError(f"which masks {product.name} has is not known ({error}); {plain}") from error
    is_drawn = active.scoring.zones or not _same(active.scoring.ignore, taught.scoring.ignore)
    if not is_drawn:
        return bundle.scoring, with_area
    if (taught.manifest.input, taught.manifest.levels[0]) != (bundle.manifest.input, bundle.manifest.levels[0]):
        raise RecipeError(f"the masks of {product.name} were drawn for another view of the part; {plain}")
    return dataclasses.replace(bundle.scoring, ignore=active.scoring.ignore, zones=active.scoring.zones), with_area


def _same(mask: Mask | None, other: Mask | None) -> bool:
    return mask is other if mask is None or other is None else np.array_equal(mask, other)


def activate_certified(
    product: Product, bundle: Bundle, recipe: Recipe, samples: Sequence[Sample] = (), reason: str = "calibrated"
) -> Recipe:
    """Make a recipe the active one, unless its engine does not judge as the reference does.

    Raises:
        CertificateError: it does not, or nobody can tell; the recipe that was active stays.
    """
    if recipe.engine == REFERENCE:
        return save_recipe(product.recipes, recipe, reason)
    certificate = make_certificate(product, recipe, bundle, [sample.path for sample in samples])
    if certificate.refusals:
        raise CertificateError(
            f"{recipe.engine} does not judge {product.name} as {certificate.reference} does: "
            f"{'; '.join(certificate.refusals)}. Nothing was changed; calibrate with --engine {REFERENCE}"
        )
    saved = save_recipe(product.recipes, recipe, reason)
    save_certificate(product, msgspec.structs.replace(certificate, recipe=saved.checksum))
    return saved


@contextmanager
def _progress(console: Console, left: ProgressColumn) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), left)
    with Progress(*columns, console=console) as bar:
        yield bar


def _left(seconds: float) -> str:
    """As the clock shows it: 0:07:30 left. The bar can't know it: looks, export and scoring are no steps."""
    return f"{datetime.timedelta(seconds=round(seconds))} left"
