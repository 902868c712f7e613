"""What people choose about the input, and the input spec that follows from it and one taught picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engines.errors import ImageError
from engines.image import Box, Fit, Image, InputSpec, Locate, content_box, cut, frame_size, read_image
from engines.locate import MIN_SCORE, Grey, Locator, cut_template
from engines.tiling import STEP, Tiles, plan_tiling


@dataclass(frozen=True, slots=True)
class View:
    """What of a frame is looked at, and how.

    Attributes:
        region: x, y, width, height in frame pixels, or with `locate` in pixels of that picture; None: the whole frame,
            or the part that was located.
        tiles: None: one picture; `auto`: as many as keep the frame's resolution; a number: along the longer side.
        locate: picture of one part in the pose that all others are brought to; None: parts come in their place.
        locate_box: of the part in that picture; None: what stands out from a plain belt.
    """

    region: Box | None = None
    fit: Fit = "stretch"
    tiles: Tiles | None = None
    locate: Path | None = None
    locate_box: Box | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The spec that a view means, and the template to be kept beside it: (h, w) grey, None without `locate`."""

    spec: InputSpec
    template: Grey | None = None

    def locator(self) -> Locator | None:
        """What `prepare` needs beside the spec."""
        return open_locator(self.spec, self.template)


def plan_view(view: View, side: int, frame: Image) -> Plan:
    """Work a view out for a model of `side` x `side` px.

    Args:
        frame: any of the taught pictures; its size is the one that regions and tiles are planned for.

    Raises:
        ImageError: region or box lie outside the picture, the template shows nothing, or a letterbox would be too thin.
    """
    template, locate, region, reference = None, None, view.region, frame
    if view.locate is not None:
        reference = read_image(view.locate)
        template, box = cut_template(reference, view.locate_box)
        locate, region = Locate(box, MIN_SCORE), region or box
    elif view.locate_box is not None:
        raise ImageError("a box of the part, but no picture to locate it in; give that too")
    if region is not None:
        cut(reference, region)  # refuses a region outside the picture
    inspected = region[2:] if region is not None else frame_size(frame)
    tiling = None if view.tiles is None else plan_tiling(inspected, side, view.tiles)
    spec = InputSpec(side, side, frame_size(frame), region, view.fit, tiling=tiling, locate=locate)
    if min(content_box(spec)[2:]) < STEP:
        raise ImageError(
            f"{inspected} px letterboxed into {spec.canvas} leaves a strip; use tiles, stretch or a region"
        )
    plan = Plan(spec, template)
    plan.locator()  # refuses a template without edges now rather than at the first part
    return plan


def open_locator(spec: InputSpec, template: Grey | None) -> Locator | None:
    """The locator of a spec that says `locate`; None otherwise.

    Raises:
        ImageError: the template is missing or not the one of the spec.
    """
    if spec.locate is None:
        return None
    if template is None:
        raise ImageError("the part must be located, but the template is missing; teach the product again")
    return Locator(template, spec.locate)
