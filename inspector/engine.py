"""Which engine judges: the first of the site's list that has a threshold of its own, a valid certificate, and opens."""

from __future__ import annotations

import os
from contextlib import ExitStack

import structlog

from calibration.errors import RecipeError
from calibration.recipe import Recipe
from engines.bundle import Bundle
from engines.detector import Detector, open_detector
from engines.errors import EngineError
from inspector.certify import check_certified
from inspector.config import Config, LineSection
from inspector.errors import ConfigError
from inspector.products import Product

log = structlog.get_logger("line")


def open_engine(config: Config, product: Product) -> tuple[Recipe, list[Detector]]:
    """The recipe that judges, and `line.in_flight` detectors: scores and threshold come from one engine.

    Raises:
        ConfigError: no engine of `line.engines` can be used, or the camera must say that sizes vary.
        RecipeError, BundleError: see `Product.active`, or the recipe belongs to another product.
        CertificateError, RuntimeUnavailable: the recipe's own engine can't be used.
    """
    active, bundle = product.active()
    _check(config, product.name, active, bundle)
    if not config.line.engines:
        check_certified(product, active)
        return active, _open(config, bundle, active.engine)
    refused = []
    for name in config.line.engines:
        try:
            recipe = product.recipe_on(name)
            check_certified(product, recipe)
            detectors = _open(config, bundle, name)
        except (RecipeError, EngineError) as error:
            log.warning("engine passed over", engine=name, reason=str(error))
            refused.append(f"  {name}: {error}")
        else:
            return recipe, detectors
    raise ConfigError("no engine of line.engines can be used:\n" + "\n".join(refused))


def open_detectors(bundle: Bundle, engine: str, line: LineSection, any_size: bool) -> list[Detector]:
    """As many as parts may be looked at at the same time; together they use the threads of one.

    Raises:
        RuntimeUnavailable: the engine can't run here.
    """
    threads = line.threads
    if line.in_flight > 1:
        threads = max(1, (threads or len(os.sched_getaffinity(0))) // line.in_flight)
    detectors: list[Detector] = []
    with ExitStack() as opened:
        for _ in range(line.in_flight):
            detectors.append(open_detector(bundle, engine, threads, any_size))
            opened.callback(detectors[-1].close)
        opened.pop_all()
    return detectors


def _open(config: Config, bundle: Bundle, engine: str) -> list[Detector]:
    return open_detectors(bundle, engine, config.line, config.camera.frame_size == "any")


def _check(config: Config, name: str, recipe: Recipe, bundle: Bundle) -> None:
    if recipe.product != name:
        raise RecipeError(f"recipe of {recipe.product!r} in the folder of {name!r}; calibrate it again")
    if bundle.manifest.input.frame_size is None and config.camera.frame_size != "any":
        raise ConfigError(f'{recipe.product} was taught with pictures of mixed sizes; set camera.frame_size = "any"')
