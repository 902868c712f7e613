"""Pictures for pages: what was inspected as a thumbnail, its anomaly map over it, and both as data in the page."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from engines.image import Finder, Image, InputSpec, content_box, cut, prepare
from engines.scoring import Map

THUMB = 224  # px, longer side
JPEG_QUALITY = 82


def inspected(image: Image, spec: InputSpec, finder: Finder | None) -> Image:
    """What of a frame the network looks at.

    Raises:
        ImageError, PartNotFound: see `prepare`.
    """
    return cut(prepare(image, spec, finder), content_box(spec))


def thumbnail(image: Image) -> Image:
    """The picture with its longer side at `THUMB` px."""
    scale = THUMB / max(image.shape[:2])
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def heated(picture: Image, fused: Map | None, pixel_limit: float) -> Image:
    """The map (h, w) over a faded picture; one scale for all: clear at zero, full at twice the limit of a position.

    Args:
        fused: over what the picture shows; None: nothing is known.
    """
    level: Map = np.zeros(picture.shape[:2], np.float32)
    if fused is not None:
        level = cv2.resize(np.clip(fused / (2 * pixel_limit), 0, 1), picture.shape[1::-1])
    heat = cv2.applyColorMap(np.round(level * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    share = 0.25 + 0.65 * level[..., None]
    return np.asarray(picture * (1 - share) + heat * share, np.uint8)


def data_url(image: Image) -> str:
    """The picture as the source of an <img>."""
    _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
