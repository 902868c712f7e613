"""Options of the rules beside the score: limits of zones, and of the area above the pixel limit in px or mm2."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calibration.recipe import Recipe
from engines.image import InputSpec, region_size
from engines.scoring import AREA, ZONE
from inspector.config import load_config
from inspector.errors import ConfigError
from inspector.products import Product

ZoneLimits = Annotated[
    list[str] | None, typer.Option("--zone", metavar="NAME=LIMIT", help="Limit of a zone's score; may be repeated.")
]
AreaPx = Annotated[
    float | None, typer.Option("--area-px", min=0, help="Limit of the area above the pixel limit, px of the frame.")
]
AreaMm2 = Annotated[
    float | None, typer.Option("--area-mm2", min=0, help="The same in mm2; needs --config for the camera's scale.")
]
ScaleConfig = Annotated[
    Path | None, typer.Option("--config", help="The site's line.toml, whose camera says mm_per_px.")
]


def rule_limits(
    entry: Product,
    recipe: Recipe,
    zones: list[str] | None,
    area_px: float | None,
    area_mm2: float | None,
    config: Path | None,
) -> dict[str, float]:
    """What was given, by rule; an area as share of the inspected region.

    Raises:
        ConfigError: no number, two areas, an unknown size of the region or scale, or an area larger than the region.
    """
    limits = {f"{ZONE}{name}": _number(name, text) for name, text in named("--zone", zones, "rim=2.5").items()}
    if area_px is not None and area_mm2 is not None:
        raise ConfigError("--area-px and --area-mm2 exclude each other; give one")
    if area_mm2 is not None:
        area_px = area_mm2 / _scale(config) ** 2
    if area_px is not None:
        limits[AREA] = _share(area_px, entry.bundle_of(recipe).manifest.input)
    return limits


def named(option: str, texts: list[str] | None, example: str) -> dict[str, str]:
    """NAME=VALUE texts by name.

    Raises:
        ConfigError: a text is not of this form, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not (name and equals and value) or name in found:
            raise ConfigError(f"{option} {text!r}: write NAME=VALUE, such as {example}, and each name once")
        found[name] = value
    return found


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"--zone {name}={text!r}: write NAME=LIMIT, such as rim=2.5") from error


def _scale(config: Path | None) -> float:
    if config is None:
        raise ConfigError("--area-mm2 needs the camera's scale; give --config line.toml with camera.mm_per_px in it")
    scale, *others = {camera.mm_per_px for camera in load_config(config).every_camera}
    if scale is None or others:
        raise ConfigError(
            f"{config} does not say one camera.mm_per_px for all cameras, which share the limit; measure it, "
            "or give --area-px"
        )
    return scale


def _share(area_px: float, spec: InputSpec) -> float:
    size = region_size(spec)
    if size is None:
        raise ConfigError("frames of any size have no area in px; teach the product with one frame size or a region")
    if area_px > size[0] * size[1]:
        raise ConfigError(f"an area of {area_px:.6g} px is more than the region's {size[0]} x {size[1]} px")
    return area_px / (size[0] * size[1])
