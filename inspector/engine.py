"""Which engine judges: the first of the site's list that has a threshold of its own, a valid certificate, and opens."""

from __future__ import annotations

import structlog

from calibration.errors import RecipeError
from calibration.recipe import Recipe
from engines.bundle import Bundle
from engines.detector import Detector, open_detector
from engines.errors import CertificateError, RuntimeUnavailable
from engines.runtimes.base import engine_name
from inspector.certify import check_certified
from inspector.config import Config
from inspector.errors import ConfigError
from inspector.products import Product

log = structlog.get_logger("line")


def open_engine(config: Config, product: Product) -> tuple[Recipe, Detector]:
    """The recipe and the detector that judge: scores and threshold come from one engine.

    Raises:
        ConfigError: no engine of `line.engines` can be used, or the camera must say that sizes vary.
        RecipeError, BundleError: see `Product.active`, or the recipe belongs to another product.
        CertificateError, RuntimeUnavailable: the recipe's own engine can't be used.
    """
    active, bundle = product.active()
    _check(config, active, bundle)
    if not config.line.engines:
        check_certified(product, active)
        return active, _open(config, bundle, active.engine)
    refused = []
    for name in config.line.engines:
        try:
            recipe = product.recipe_on(name)
            check_certified(product, recipe)
            detector = _open(config, bundle, name)
        except (RecipeError, CertificateError, RuntimeUnavailable) as error:
            log.warning("engine passed over", engine=name, reason=str(error))
            refused.append(f"  {name}: {error}")
        else:
            return recipe, detector
    raise ConfigError("no engine of line.engines can be used:\n" + "\n".join(refused))


def _open(config: Config, bundle: Bundle, name: str) -> Detector:
    return open_detector(bundle, engine_name(name), config.line.threads, config.camera.frame_size == "any")


def _check(config: Config, recipe: Recipe, bundle: Bundle) -> None:
    if recipe.product != config.line.product:
        raise RecipeError(f"recipe of {recipe.product!r} in the folder of {config.line.product!r}; calibrate it again")
    if bundle.manifest.input.frame_size is None and config.camera.frame_size != "any":
        raise ConfigError(f'{recipe.product} was taught with pictures of mixed sizes; set camera.frame_size = "any"')
