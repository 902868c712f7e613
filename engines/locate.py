"""Find a taught part in a frame, wherever it lies and however it is turned, and bring it back to the taught pose.

Everything works on edge strength (gradient magnitude) with mean and gain taken out, so that light does not matter.

    coarse: the template in `TURNS` rotations against the small frame           -> a centre
    angles: polar picture around the centre, circular correlation over angle    -> a few rotations
    fine:   each of them refined, blurred then sharp; the best one counts       -> x, y, angle and a score

The fine step is the inverse compositional algorithm of Baker & Matthews, "Lucas-Kanade 20 Years On" (IJCV 2004).
The camera is fixed, so the scale is not searched. A part that looks the same when turned is found in any of its turns.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import ImageError, PartNotFound
from engines.image import Box, Image, Locate, Pose, cut

Grey = NDArray[np.uint8]  # (H, W)
Edges = NDArray[np.float32]  # (H, W), gradient magnitude >= 0
Matrix = NDArray[np.float64]  # (2, 3) affine
Point = tuple[float, float]

LARGEST_TEMPLATE = 1 << 26  # px; no camera has more, and a small PNG can claim any number
COARSE, FINE = 28, 128  # px; the template's longest side is at most this in the two searches
TURNS = 12  # rotations of the coarse search: 30 degrees apart move a rim of 12 px radius by 3 px to either side
ANGLES, RADII = 360, 48  # size of a polar picture
PICKS = 6  # rotations that are refined: as many as there are holes in a usual flange
PLACES = 2  # that are tried before a part counts as not found
ROUNDS = 4  # of one refinement
APART = 8  # degrees between two of them
COARSE_BLUR = 1.5  # px in the coarse search, where the nearest rotation is up to 15 degrees off
BLUR = 1.0  # px at half the fine search's size: what a refinement that starts 3 fine px away needs to find home
HIDDEN = 0.02  # share of the part's area that may lie outside the frame: what lies there is not inspected
MIN_SCORE = 0.5  # empty belts and other shapes score up to 0.2, a bare outline of the right size 0.6, parts 0.95
MARGIN = 0.04  # of the part's side; left around it where the box is found by itself
FAINT = 0.5  # grey levels; deviation of edges below which a place counts as empty
FLAT = 4.0  # grey levels; a template whose edges are all weaker shows nothing


class Locator:
    """A taught template. One thread at a time."""

    def __init__(self, template: Grey, locate: Locate) -> None:
        """Precompute what each search needs.

        Args:
            template: (h, w) grey, the cut-out of `locate.box` from the taught picture.

        Raises:
            ImageError: the template is not of the box's size, or shows no edges.
        """
        if template.shape != (locate.box[3], locate.box[2]):
            raise ImageError(
                f"the template is {template.shape[::-1]} px, its box {locate.box}; teach the product again"
            )
        self.locate = locate
        self._fine = math.ceil(max(template.shape) / FINE)  # whole factors: several times faster, and exact
        self._coarse = math.ceil(max(template.shape) / self._fine / COARSE)
        small = _shrink(template, self._fine)
        sharp = _edges(small)
        if float(sharp.max()) < FLAT:
            raise ImageError(f"box {locate.box} of the taught picture shows no edges; give one around the part")
        self._centre = _pivot(sharp)
        self._sharp = _Template(sharp, self._centre)
        self._blurred = _Template(_halved(sharp), (self._centre[0] / 2, self._centre[1] / 2))
        self._polar = np.conj(np.fft.rfft(self._unrolled(sharp, self._centre), axis=0))
        pivot = _shrunk(self._centre, self._coarse)  # the same point in both searches, or the second starts elsewhere
        self._turned = _turned(_blur(_edges(_shrink(small, self._coarse)), COARSE_BLUR), pivot)
        self._body = _body(sharp)

    def find(self, frame: Image) -> Pose:
        """Where the part lies in a frame (H, W, 3) BGR.

        Raises:
            PartNotFound: nothing in the frame is like the template, or the part reaches out of the frame.
        """
        grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8)
        small = _shrink(grey, self._fine)
        sharp = _edges(small)
        blurred = _halved(sharp)
        coarse = _blur(_edges(_shrink(small, self._coarse)), COARSE_BLUR)
        score, centre, angle = -1.0, (0.0, 0.0), 0.0
        for start in self._places(coarse):
            score, centre, angle = max((score, centre, angle), self._refine(sharp, blurred, start))
            if score >= self.locate.min_score:
                break
        if score < self.locate.min_score:
            raise PartNotFound(
                f"the likeness of the best place is {max(score, 0):.2f}, less than {self.locate.min_score}; "
                "no part, another one, or a wrong template"
            )
        self._check_whole(centre, angle, sharp.shape)
        return Pose(self._to_frame(centre, angle), math.degrees(_wrapped(angle)), min(score, 1.0))

    def _places(self, coarse: Edges) -> Iterator[Point]:
        """The `PLACES` likeliest centres in the coarse frame, best first, in pixels of the fine one."""
        pad = self._turned[0].shape[0] // 2
        padded = cv2.copyMakeBorder(coarse, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
        likeness = np.max([cv2.matchTemplate(padded, turned, cv2.TM_CCORR) for turned in self._turned], 0)
        likeness /= _deviations(padded, 2 * pad + 1)
        for _ in range(PLACES):
            _, _, _, (x, y) = cv2.minMaxLoc(likeness)
            place = _peak(likeness[y], x), _peak(likeness[:, x], y)
            yield _enlarged(place, self._coarse)
            likeness[max(0, y - pad // 3) : y + pad // 3 + 1, max(0, x - pad // 3) : x + pad // 3 + 1] = -1

    def _refine(self, sharp: Edges, blurred: Edges, start: Point) -> tuple[float, Point, float]:
        """(score, centre, angle) of the best pose near a place."""
        half = start[0] / 2, start[1] / 2
        _, half, _ = self._blurred.refine(blurred, half, self._angles(sharp, start)[0], ROUNDS)
        angles = self._angles(sharp, (2 * half[0], 2 * half[1]))
        _, half, angle = max(self._blurred.refine(blurred, half, angle, ROUNDS) for angle in angles)
        return self._sharp.refine(sharp, (2 * half[0], 2 * half[1]), angle, 2 * ROUNDS)

    def _angles(self, sharp: Edges, centre: Point) -> list[float]:
        """The `PICKS` likeliest rotations about a centre, radians."""
        spectrum = np.fft.rfft(self._unrolled(sharp, centre), axis=0)
        likeness = np.fft.irfft((spectrum * self._polar).sum(1), ANGLES)
        picks = []
        for _ in range(PICKS):
            best = int(likeness.argmax())
            picks.append(best * 2 * math.pi / ANGLES)
            likeness[np.arange(best - APART, best + APART + 1) % ANGLES] = -np.inf
        return picks

    def _unrolled(self, edges: Edges, centre: Point) -> NDArray[np.float32]:
        """Polar picture (ANGLES, RADII), each radius weighted by the root of its length."""
        reach = max(self._sharp.size) / 2
        flags = cv2.INTER_LINEAR | cv2.WARP_FILL_OUTLIERS
        polar = cv2.warpPolar(edges, (RADII, ANGLES), centre, reach, flags)
        weighted = (polar - polar.mean()) * np.sqrt(np.arange(RADII, dtype=np.float32) + 0.5)
        return np.asarray(weighted, np.float32)

    def _check_whole(self, centre: Point, angle: float, shape: tuple[int, ...]) -> None:
        x, y = _rotation(angle) @ (self._body - self._centre).T + np.asarray(centre)[:, None]
        outside = (x < -0.5) | (y < -0.5) | (x > shape[1] - 0.5) | (y > shape[0] - 0.5)
        if outside.mean() > HIDDEN:
            raise PartNotFound(f"{outside.mean():.0%} of the part lies outside the frame; trigger so that it is whole")

    def _to_frame(self, centre: Point, angle: float) -> Matrix:
        """From taught to frame pixels, out of a pose in the fine frame."""
        rotation, box = _rotation(angle), self.locate.box
        taught = np.asarray(_enlarged(self._centre, self._fine)) + box[:2]
        return np.column_stack([rotation, np.asarray(_enlarged(centre, self._fine)) - rotation @ taught])


class _Template:
    """Edges of the template, and what a refinement of it needs."""

    def __init__(self, edges: Edges, centre: Point) -> None:
        self.size = edges.shape
        self._centre = np.asarray(centre)
        flat = (edges - edges.mean()).ravel().astype(np.float64)
        length = max(float(np.linalg.norm(flat)), 1e-9)
        flat /= length
        down, across = np.gradient(edges.astype(np.float64))
        y, x = np.mgrid[: edges.shape[0], : edges.shape[1]]
        turning = down * (x - centre[0]) - across * (y - centre[1])
        slopes = np.stack([across, down, turning]).reshape(3, -1) / length
        # Without what a change of brightness or contrast does: those are no movements.
        slopes -= slopes.mean(1, keepdims=True)
        slopes -= (slopes @ flat)[:, None] * flat
        # One product gives likeness and steps, as all four rows are free of the mean, and the steps of the template.
        self._rows = np.vstack([flat, np.linalg.pinv(slopes @ slopes.T) @ slopes]).astype(np.float32)

    def refine(self, edges: Edges, centre: Point, angle: float, rounds: int) -> tuple[float, Point, float]:
        """Best (score, centre, angle) on the way from a start that is a few pixels and degrees off."""
        best = (-1.0, centre, angle)
        place = np.asarray(centre, np.float64)
        for _ in range(rounds):
            rotation = _rotation(angle)
            matrix = np.column_stack([rotation, place - rotation @ self._centre])
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            seen = cv2.warpAffine(edges, matrix, self.size[::-1], flags=flags)
            length = max(float(cv2.meanStdDev(seen)[1][0, 0]) * math.sqrt(seen.size), 1e-6)
            score, across, down, turn = (self._rows @ seen.ravel() / length).tolist()
            best = max(best, (score, (float(place[0]), float(place[1])), angle))
            angle -= turn
            place = place - _rotation(angle) @ np.array([across, down])
        return best


def cut_template(picture: Image, box: Box | None) -> tuple[Grey, Box]:
    """Template (h, w) grey and its box: the one given, or the bounding box of what stands out from the belt.

    Raises:
        ImageError: the box lies outside the picture, or the picture shows no part.
    """
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
    found = box or _part_box(grey)
    return np.ascontiguousarray(cut(grey, found)), found


def encode_template(template: Grey) -> bytes:
    """A template as the bytes of a PNG file, without loss."""
    return bytes(cv2.imencode(".png", template)[1].tobytes())


def decode_template(data: bytes) -> Grey:
    """The template of PNG bytes.

    Raises:
        ImageError: they are none.
    """
    width, height = struct.unpack(">II", data[16:24]) if data[12:16] == b"IHDR" and len(data) > 24 else (0, 0)
    is_likely = 0 < width * height <= LARGEST_TEMPLATE
    template = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if is_likely else None
    if template is None:
        raise ImageError(f"the template is not a readable picture ({len(data)} bytes); teach the product again")
    return np.asarray(template, np.uint8)


def _part_box(grey: Grey) -> Box:
    factor = math.ceil(max(grey.shape) / (2 * FINE))
    rows, columns = np.nonzero(_is_part(_edges(_shrink(grey, factor))))
    if rows.size == 0:
        raise ImageError("the picture shows no part; give one with a part on a plain belt, or the box around it")
    margin = math.ceil(MARGIN * factor * max(np.ptp(rows), np.ptp(columns)))
    left, top = max(0, int(columns.min()) * factor - margin), max(0, int(rows.min()) * factor - margin)
    right = min(grey.shape[1], (int(columns.max()) + 1) * factor + margin)
    bottom = min(grey.shape[0], (int(rows.max()) + 1) * factor + margin)
    return left, top, right - left, bottom - top


def _edges(grey: Grey) -> Edges:
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 0.8)
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125)
    return np.asarray(cv2.magnitude(across, down), np.float32)


def _shrink(grey: Grey, factor: int) -> Grey:
    """A whole factor smaller; what is left over at the right and at the bottom is not looked at."""
    width, height = grey.shape[1] // factor, grey.shape[0] // factor
    if factor == 1 or not width or not height:
        return grey
    whole = grey[: height * factor, : width * factor]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _halved(edges: Edges) -> Edges:
    """Half the size, blurred; pixel i lies on pixel 2 i of the original."""
    return _blur(np.asarray(cv2.pyrDown(edges), np.float32), BLUR)


def _blur(edges: Edges, sigma: float) -> Edges:
    return np.asarray(cv2.GaussianBlur(edges, (0, 0), sigma), np.float32)


def _pivot(edges: Edges) -> Point:
    """The point about which half a turn changes the template least: of a round part its centre, notch or not."""
    turned = cv2.rotate(edges, cv2.ROTATE_180)
    pad_y, pad_x = edges.shape[0] // 2, edges.shape[1] // 2
    padded = cv2.copyMakeBorder(edges, pad_y, pad_y, pad_x, pad_x, cv2.BORDER_CONSTANT)
    likeness = cv2.matchTemplate(padded, turned, cv2.TM_CCORR)
    _, _, _, (x, y) = cv2.minMaxLoc(likeness)
    shift_x, shift_y = _peak(likeness[y], x) - pad_x, _peak(likeness[:, x], y) - pad_y
    return (edges.shape[1] - 1 + shift_x) / 2, (edges.shape[0] - 1 + shift_y) / 2


def _body(edges: Edges) -> NDArray[np.float64]:
    """(N, 2) x, y of all pixels within the convex hull of the part's edges: what must be seen of it."""
    mask = np.zeros(edges.shape, np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(cv2.findNonZero(_is_part(edges).astype(np.uint8))), 1)
    rows, columns = np.nonzero(mask)
    return np.stack([columns, rows], 1).astype(np.float64)


def _is_part(edges: Edges) -> NDArray[np.bool_]:
    """Edges of a tenth of the strongest belong to the part; noise and the belt's own texture are weaker."""
    return edges > max(FLAT, 0.1 * float(edges.max()))


def _turned(edges: Edges, pivot: Point) -> list[Edges]:
    """The template in `TURNS` rotations about a pivot, mean 0 and length 1, on squares that hold it at any angle."""
    centre = np.asarray(pivot)
    corners = np.array([[x, y] for x in (0, edges.shape[1] - 1) for y in (0, edges.shape[0] - 1)])
    reach = math.ceil(float(np.linalg.norm(corners - centre, axis=1).max()))
    turned = []
    for turn in range(TURNS):
        rotation = _rotation(2 * math.pi * turn / TURNS)
        matrix = np.column_stack([rotation, reach - rotation @ centre])
        square = np.asarray(cv2.warpAffine(edges, matrix, (2 * reach + 1, 2 * reach + 1)), np.float32)
        square -= square.mean()
        turned.append(square / max(float(np.linalg.norm(square)), 1e-6))
    return turned


def _deviations(edges: Edges, side: int) -> Edges:
    """Deviation times root of size of every full window of `side` px, and a floor under those where nothing is.

    OpenCV's own normalisation divides rounding errors by rounding errors there, and finds any likeness it likes.
    """
    mean = cv2.boxFilter(edges, cv2.CV_64F, (side, side))
    variance = cv2.sqrBoxFilter(edges, cv2.CV_64F, (side, side)) - mean * mean
    reach = side // 2
    inner = np.maximum(variance, 0)[reach : edges.shape[0] - reach, reach : edges.shape[1] - reach]
    return np.asarray(side * np.sqrt(inner + FAINT**2), np.float32)


def _rotation(angle: float) -> Matrix:
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])


def _wrapped(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi


def _enlarged(place: Point, factor: int) -> Point:
    """A place in a shrunk picture, in pixels of the full one."""
    return (place[0] + 0.5) * factor - 0.5, (place[1] + 0.5) * factor - 0.5


def _shrunk(place: Point, factor: int) -> Point:
    """A place in a picture, in pixels of the shrunk one."""
    return (place[0] + 0.5) / factor - 0.5, (place[1] + 0.5) / factor - 0.5


def _peak(row: NDArray[np.float32], index: int) -> float:
    """Place of the largest value between samples: the top of a parabola through it and its neighbours."""
    if not 0 < index < len(row) - 1:
        return float(index)
    before, top, after = (float(value) for value in row[index - 1 : index + 2])
    bend = before - 2 * top + after
    return index + (0.0 if bend > -1e-9 else float(np.clip((before - after) / bend / 2, -0.5, 0.5)))
