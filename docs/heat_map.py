"""Draws docs/heat_map.png: a synthetic part of the demo, its heat map, and both together.

inspector demo --synthetic --data-dir /tmp/demo
python docs/heat_map.py /tmp/demo docs/heat_map.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from engines.detector import open_detector
from engines.scoring import fuse
from inspector.cameras.synthetic import draw_part
from inspector.products import product

PARTS = (3, 9, 17)


def main(data_dir: Path, out: Path) -> None:
    """One row per part: picture, heat map at one fixed scale, overlay."""
    recipe, bundle = product(data_dir, "synthetic").active()
    detector = open_detector(bundle, recipe.engine)
    rows = []
    for number in PARTS:
        part = draw_part(99, number, defective=number != PARTS[0])
        fused = fuse(detector.detect(part).maps, recipe.scoring)
        # Fixed scale: black at zero, white at twice the limit above which a position counts toward the area.
        level = np.clip(fused / (2 * recipe.scoring.pixel_limit) * 255, 0, 255).astype(np.uint8)
        heat = cv2.applyColorMap(
            cv2.resize(level, part.shape[1::-1], interpolation=cv2.INTER_CUBIC), cv2.COLORMAP_INFERNO
        )
        rows.append(np.hstack([part, heat, cv2.addWeighted(part, 0.6, heat, 0.6, 0)]))
    cv2.imwrite(str(out), cv2.resize(np.vstack(rows), None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
