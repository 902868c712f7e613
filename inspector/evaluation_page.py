"""An evaluation as one HTML file that needs nothing else: no script, no network, pictures inside."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np

from engines.datasets.labelled import Labelled, read_picture
from engines.evaluation import KIND_FALSE_REJECTS, Interval, Judged
from engines.image import Finder, Image
from engines.metrics import passes
from engines.view import open_locator
from inspector import __version__
from inspector.errors import ConfigError
from inspector.evaluate import Evaluated, named_figures
from inspector.evaluation_charts import roc_chart, score_chart
from inspector.evaluation_style import STYLE
from inspector.heat_maps import data_url, heated, inspected, thumbnail

SHOWN = 6  # pictures a row

Pair = tuple[Labelled, Judged]


def write_page(path: Path, name: str, found: Evaluated, choices: dict[str, str]) -> None:
    """Write the page of an evaluation.

    Args:
        name: of the product.
        choices: data set, category, split, role and input, "" where there is none.

    Raises:
        ConfigError: the file can't be written.
    """
    try:
        path.write_text(evaluation_page(name, found, choices), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; give another --report") from error


def evaluation_page(name: str, found: Evaluated, choices: dict[str, str]) -> str:
    """The whole page; every name in it is escaped."""
    told = ", ".join(f"{key} {value}" for key, value in choices.items() if value)
    facts = found.evaluation
    counts = f"{facts.n_good} good and {facts.n_defective} defective pictures of {facts.n_parts} physical parts"
    cards = "".join(_card(title, figure) for title, figure in named_figures(facts).items())
    limit = facts.thresholds[KIND_FALSE_REJECTS]
    limit_name = f"limit at {KIND_FALSE_REJECTS:.0%} false rejects"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Evaluation of {escape(name)}</title><style>{STYLE}</style></head><body>
<header><h1>Evaluation of {escape(name)}</h1><p>{escape(told)} &middot; {counts}</p></header>
{_named(found.refused, "refused: test pictures that the network was taught with are not counted")}
{_named(found.not_found, "without the part: the line ejects them, so they count as rejected at any limit")}
<section class="cards">{cards}</section>
<section class="charts">
<figure><figcaption>ROC</figcaption>{roc_chart(found.judged)}</figure>
<figure><figcaption>Scores <span class="key good">good</span> <span class="key bad">defective</span></figcaption>
{score_chart(found.judged, limit, limit_name)}</figure></section>
<section><h2>Kinds of defect</h2>{_kinds(found)}</section>
{_heat_maps(found)}
<footer>{_footer(found)}</footer></body></html>
"""


def _card(title: str, figure: Interval | None) -> str:
    if figure is None:
        return f'<div class="card"><h3>{escape(title)}</h3><p class="value">&ndash;</p><p>no masks known</p></div>'
    left, width = 100 * figure.low, 100 * max(0.0, figure.high - figure.low)
    bar = f'<i style="left:{left:.1f}%;width:{width:.1f}%"></i><b style="left:{100 * figure.value:.1f}%"></b>'
    shown = f"{figure.low:.3f} to {figure.high:.3f}"
    sort = "card missed" if title.startswith("missed") else "card"  # the fewer the better: another colour
    return (
        f'<div class="{sort}"><h3>{escape(title)}</h3><p class="value">{figure.value:.3f}</p>'
        f'<div class="range">{bar}</div><p>{shown}</p></div>'
    )


def _named(paths: Sequence[Path], what: str) -> str:
    if not paths:
        return ""
    names = "".join(f"<li>{escape(str(path))}</li>" for path in paths)
    return (
        f'<section class="warning"><details><summary>{len(paths)} {what}</summary><ul>{names}</ul></details></section>'
    )


def _kinds(found: Evaluated) -> str:
    rows = "".join(
        f"<tr><th>{escape(label)}</th><td>{kind.n}</td>{_bar(kind.auroc)}{_bar(kind.missed, 'bad')}</tr>"
        for label, kind in found.evaluation.kinds.items()
    )
    head = f"<tr><th>kind</th><th>pictures</th><th>image AUROC</th><th>missed at {KIND_FALSE_REJECTS:.0%}</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _bar(share: float, name: str = "good") -> str:
    return f'<td><span class="bar {name}"><i style="width:{100 * share:.1f}%"></i></span>{share:.3f}</td>'


# -- heat maps -----------------------------------------------------------------------------------------------------


def _heat_maps(found: Evaluated) -> str:
    pairs = list(zip(found.pictures, found.judged))
    good = sorted((pair for pair in pairs if pair[1].is_good), key=lambda pair: pair[1].score)
    bad = sorted((pair for pair in pairs if not pair[1].is_good), key=lambda pair: pair[1].score)
    rows = (
        ("Worst: defects with the lowest scores", bad[:SHOWN]),
        ("Worst: good parts with the highest scores", good[::-1][:SHOWN]),
        ("Best: defects with the highest scores", bad[::-1][:SHOWN]),
    )
    limit = found.evaluation.thresholds[KIND_FALSE_REJECTS]
    finder = open_locator(found.bundle.manifest.input, found.bundle.template)
    sections = ""
    for title, chosen in rows:
        shown = "".join(_heat_map(entry, judged, found, limit, finder) for entry, judged in chosen)
        sections += f'<section><h2>{title}</h2><div class="maps">{shown}</div></section>'
    return sections


def _heat_map(entry: Labelled, judged: Judged, found: Evaluated, limit: float, finder: Finder | None) -> str:
    shown, bundle = read_picture(entry), found.bundle
    picture = thumbnail(inspected(shown, bundle.manifest.input, finder) if judged.is_found else shown)
    has_passed = bool(passes(judged.score, limit))
    is_wrong = has_passed != judged.is_good
    score = f"{judged.score:.3g}" if judged.is_found else "part not found"
    text = f"{escape(judged.label)} &middot; {score} &middot; <em>{'passed' if has_passed else 'rejected'}</em>"
    heat = heated(picture, judged.map, bundle.scoring.pixel_limit)
    images = "".join(
        f'<img alt="{what}" src="{data_url(image)}">'
        for what, image in (("picture", _outlined(picture, judged)), ("heat map", heat))
    )
    name = escape(entry.path.name)
    mark = "wrong" if is_wrong else "right"
    return f'<figure class="{mark}">{images}<figcaption>{text}<br><small>{name}</small></figcaption></figure>'


def _outlined(picture: Image, judged: Judged) -> Image:
    """The picture with the outline of the known defect."""
    outlined: Image = picture.copy()
    if judged.mask is not None:
        mask = cv2.resize(judged.mask.astype(np.uint8), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(outlined, contours, -1, (255, 220, 0), 1, cv2.LINE_AA)
    return outlined


def _footer(found: Evaluated) -> str:
    manifest = found.bundle.manifest
    facts = {
        "bundle": found.bundle.id,
        "taught": manifest.created,
        "teacher": manifest.teacher,
        "engine": found.engine,
        "evaluated": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "versions": ", ".join(f"{name} {v}" for name, v in {"inspector": __version__, **manifest.versions}.items()),
    }
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts.items())
    return (
        f"<dl>{rows}</dl><p>Intervals: 95 %, bootstrap by physical part. Missed: share of defective pictures at or "
        "below the smallest limit that rejects at most that share of the good test pictures. AUPRO: per-region overlap "
        "up to 0.3 false positives, over the whole data set. Heat maps share one scale; outlines are known defects.</p>"
    )
