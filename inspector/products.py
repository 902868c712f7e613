"""Where a product's bundles and recipes are kept below the data directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calibration.errors import RecipeError
from calibration.recipe import ACTIVE, Recipe, active_version, check_product_name, load_recipe, read_version
from calibration.versions import scoring_of
from engines.bundle import Bundle, find_bundle, load_bundle, newest_bundle
from engines.signature import Keys, read_keys

KEYS = "keys"  # folder of the public keys that may sign bundles, below the data directory


@dataclass(frozen=True, slots=True)
class Product:
    """The folders of one product: data_dir/products/NAME/{bundles,recipes,certificates,calibration,training}."""

    name: str
    folder: Path

    @property
    def bundles(self) -> Path:
        """Folder of trained bundles, one sub-folder each."""
        return self.folder / "bundles"

    @property
    def recipes(self) -> Path:
        """Folder of calibrated recipes, one sub-folder per version."""
        return self.folder / "recipes"

    @property
    def certificates(self) -> Path:
        """Folder of this box's certificates, one file per recipe, and of the pictures that they are made with."""
        return self.folder / "certificates"

    @property
    def kept(self) -> Path:
        """Folder of the pictures behind the active recipe's threshold, and their index."""
        return self.folder / "calibration"

    @property
    def work(self) -> Path:
        """Folder of a training run that is not done; gone once its bundle is safe."""
        return self.folder / "training"

    def newest_bundle(self) -> Bundle:
        """The bundle trained last, verified.

        Raises:
            BundleError: there is none, it was changed, or it is not signed by a trusted key.
        """
        return load_bundle(newest_bundle(self.bundles), self.trusted_keys())

    def active(self) -> tuple[Recipe, Bundle]:
        """The recipe that judges, and the bundle it was calibrated with, both verified.

        Raises:
            RecipeError: the product was not calibrated, or the recipe was changed.
            BundleError: its bundle is gone, was changed, or is not signed by a trusted key.
        """
        recipe = load_recipe(self.recipes)
        return recipe, self.bundle_of(recipe)

    def bundle_of(self, recipe: Recipe) -> Bundle:
        """The bundle that a recipe was calibrated with, verified.

        Raises:
            BundleError: it is gone, was changed, or is not signed by a trusted key.
        """
        return find_bundle(self.bundles, recipe.bundle, self.trusted_keys())

    def trusted_keys(self) -> Keys | None:
        """Keys of which one must have signed every bundle, from data_dir/keys; None: there is no such folder.

        Raises:
            BundleError: it holds something else, or nothing.
        """
        return read_keys(self.folder.parent.parent / KEYS)

    def recipe_on(self, engine: str) -> Recipe:
        """The active recipe if it is of this engine, else the newest that is and gives the same promise.

        That is: of the same bundle, masks and rules, from the same pictures, with the same bound asked at the same
        confidence.

        Raises:
            RecipeError: there is none; the active recipe is missing or damaged.
        """
        active = load_recipe(self.recipes)
        if _is_on(active, engine):
            return active
        for version in sorted(self.recipes.glob("[0-9]*"), reverse=True):
            recipe = _readable(version)
            if recipe is not None and _is_on(recipe, engine) and _promise(recipe) == _promise(active):
                return recipe
        raise RecipeError(
            f"{self.name} has no threshold for engine {engine}, it was calibrated on {active.engine}: other scores, "
            f"another threshold. With the same pictures: inspector calibrate {self.name} --engine {engine}"
        )

    def mark(self) -> str:
        """Changes whenever a recipe is made active, or a certificate comes, goes or changes; cheap, verifies nothing.

        Raises:
            RecipeError: the product was not calibrated.
            OSError: a file went in this moment.
        """
        version = active_version(self.recipes)
        decisive = (self.recipes / ACTIVE, *sorted(self.certificates.glob("*.json")))
        return f"{version} {[(path.name, path.stat().st_mtime_ns) for path in decisive]}"

    @property
    def is_calibrated(self) -> bool:
        """Whether there is an active recipe."""
        return (self.recipes / ACTIVE).is_file()


def product(data_dir: Path, name: str) -> Product:
    """A product's folders, whether they exist or not.

    Raises:
        RecipeError: the name may not name a folder.
    """
    return Product(check_product_name(name), data_dir / "products" / name)


def _is_on(recipe: Recipe, engine: str) -> bool:
    return recipe.engine in (engine, engine.removesuffix(":fp32"))  # recipes of old say "openvino" for its FP32


def _promise(recipe: Recipe) -> tuple[object, ...]:
    evidence = recipe.evidence
    hand = recipe.checksum if recipe.by_hand else ""  # limits set by hand are on one engine's scores: no other has them
    asked = evidence.asked, evidence.confidence, evidence.unit, evidence.method
    looked_at = scoring_of(recipe), frozenset(recipe.thresholds.rules)
    return recipe.bundle, frozenset(recipe.calibrate), *asked, *looked_at, hand


def _readable(version: Path) -> Recipe | None:
    """A damaged recipe of old is no reason to stand still."""
    try:
        return read_version(version)
    except RecipeError:
        return None


def list_products(data_dir: Path) -> list[Product]:
    """Every product below a data directory."""
    folder = data_dir / "products"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [product(data_dir, name) for name in names]
