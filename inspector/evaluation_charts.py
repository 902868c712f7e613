"""Curves of an evaluation as inline SVG; colours and fonts come from the page's style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from engines.evaluation import Judged

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 46, 24, 14, 40
BINS = 36
TAIL = 0.98  # of the scores; what lies beyond shares the last bin, so that a few large ones don't flatten the rest


@dataclass(frozen=True, slots=True)
class Axes:
    """Data ranges that fill the plot area."""

    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Picture coordinates, px."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def roc_chart(judged: Sequence[Judged]) -> str:
    """Share of defects found against share of good pictures rejected, over all thresholds."""
    good = np.array([entry.score for entry in judged if entry.is_good])
    bad = np.array([entry.score for entry in judged if not entry.is_good])
    thresholds = np.unique(np.concatenate([good, bad]))[::-1]
    false = [0.0, *((good[None, :] >= thresholds[:, None]).mean(1))]
    found = [0.0, *((bad[None, :] >= thresholds[:, None]).mean(1))]
    axes = Axes((0, 1), (0, 1))
    line = _points(axes, false, found)
    area = f"{line} {_points(axes, [1, 0], [0, 0])}"
    chance = f'<polyline class="chance" points="{_points(axes, [0, 1], [0, 1])}"/>'
    body = f'<polygon class="under" points="{area}"/>{chance}<polyline class="curve" points="{line}"/>'
    ticks = [(value, f"{value:.0%}") for value in (0, 0.25, 0.5, 0.75, 1)]
    return chart("ROC curve", axes, ticks, ticks, "good pictures rejected", "defects found", body)


def score_chart(judged: Sequence[Judged], threshold: float, threshold_name: str) -> str:
    """Histogram of the image scores, good against defective, each as a share of its own, with one threshold.

    Infinite scores, and an infinite threshold, are at the right end.
    """
    scores = np.array([entry.score for entry in judged])
    is_good = np.array([entry.is_good for entry in judged])
    finite = scores[np.isfinite(scores)] if np.isfinite(scores).any() else np.zeros(1)
    low, high = float(finite.min()), float(np.quantile(finite, TAIL))
    high = max(high, threshold) if np.isfinite(threshold) else high
    high = high if high > low else low + 1.0
    edges = np.linspace(low, high, BINS + 1)
    shares = []
    for members in (scores[is_good], scores[~is_good]):
        counts, _ = np.histogram(np.minimum(members, high), edges)
        shares.append(counts / max(1, members.size))
    axes = Axes((low, high), (0, 1.08 * max(float(share.max()) for share in shares)))
    body = "".join(bars(axes, edges.tolist(), share.tolist(), name) for share, name in zip(shares, ("good", "bad")))
    x, top = axes.at(min(threshold, high), axes.y[1])
    anchor = "end" if x > WIDTH * 0.6 else "start"
    label_x = x - 5 if anchor == "end" else x + 5
    body += f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{HEIGHT - BOTTOM}"/>'
    place = f'x="{label_x:.1f}" y="{top + 10:.1f}" text-anchor="{anchor}"'
    body += f'<text class="note" {place}>{escape(threshold_name)}</text>'
    x_ticks = [(value, f"{value:.3g}{'+' if value == high else ''}") for value in np.linspace(low, high, 5)]
    y_ticks = [(value, f"{value:.0%}") for value in np.linspace(0, axes.y[1] / 1.08, 4)]
    return chart("Histogram of scores", axes, x_ticks, y_ticks, "image score", "share of its pictures", body)


def bars(axes: Axes, edges: Sequence[float], shares: Sequence[float], name: str) -> str:
    """A histogram's bars; `name` is their class in the style sheet."""
    rects = ""
    for left, right, share in zip(edges, edges[1:], shares):
        if share > 0:
            (x, y), (x_end, base) = axes.at(left, share), axes.at(right, 0)
            rects += f'<rect x="{x:.1f}" y="{y:.1f}" width="{x_end - x:.1f}" height="{base - y:.1f}"/>'
    return f'<g class="{name}">{rects}</g>'


def _points(axes: Axes, xs: Sequence[float], ys: Sequence[float]) -> str:
    return " ".join("{:.1f},{:.1f}".format(*axes.at(x, y)) for x, y in zip(xs, ys))


def chart(
    title: str,
    axes: Axes,
    x_ticks: Sequence[tuple[float, str]],
    y_ticks: Sequence[tuple[float, str]],
    x_name: str,
    y_name: str,
    body: str,
) -> str:
    """Axes with ticks around a body, as one <svg>."""
    grid = ""
    for value, text in y_ticks:
        x, y = axes.at(axes.x[0], value)
        grid += f'<line class="grid" x1="{x:.1f}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        grid += f'<text x="{x - 6:.1f}" y="{y + 3.5:.1f}" text-anchor="end">{escape(text)}</text>'
    for value, text in x_ticks:
        x, y = axes.at(value, axes.y[0])
        grid += f'<text x="{x:.1f}" y="{y + 15:.1f}" text-anchor="middle">{escape(text)}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    names = f'<text class="axis" x="{middle}" y="{HEIGHT - 5}" text-anchor="middle">{escape(x_name)}</text>'
    names += f'<text class="axis" x="{LEFT}" y="{TOP - 4}">{escape(y_name)}</text>'
    label = escape(title, quote=True)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{grid}{body}{names}</svg>'


def band_chart(scores: Sequence[float], review: float, reject: float) -> str:
    """Histogram of good scores over the three bands that two limits make; infinite scores are left out."""
    finite = np.array([score for score in scores if np.isfinite(score)])
    low, high = float(finite.min()), max(float(finite.max()), reject)
    high += 0.15 * (high - low) or 1.0
    counts, edges = np.histogram(finite, np.linspace(low, high, BINS + 1))
    axes = Axes((low, high), (0, 1.08 * float(counts.max())))
    body = ""
    for name, start, end in (("clear", low, review), ("review", review, reject), ("reject", reject, high)):
        (x, y), (x_end, base) = axes.at(max(start, low), axes.y[1]), axes.at(max(end, low), 0)
        body += f'<rect class="band {name}" x="{x:.1f}" y="{y:.1f}" width="{x_end - x:.1f}" height="{base - y:.1f}"/>'
    body += bars(axes, edges.tolist(), counts.tolist(), "good")
    for level, (text, limit) in enumerate((("review limit", review), ("reject limit", reject))):
        x, y = axes.at(max(limit, low), axes.y[1])
        body += f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{y:.1f}" y2="{HEIGHT - BOTTOM}"/>'
        place = f'x="{x - 5:.1f}" y="{y + 10 + 14 * level:.1f}" text-anchor="end"'
        body += f'<text class="note" {place}>{text} {limit:.4g}</text>'
    x_ticks = [(value, f"{value:.3g}") for value in np.linspace(low, high, 5)]
    y_ticks = [(value, f"{value:.0f}") for value in np.linspace(0, axes.y[1] / 1.08, 4)]
    return chart("Scores of good parts in three bands", axes, x_ticks, y_ticks, "score", "good pictures", body)
