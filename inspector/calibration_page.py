"""What a calibration found: one HTML file that needs nothing else, and the same facts as JSON beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from calibration.calibrate import Calibration
from calibration.evidence import Evidence, percent
from calibration.hygiene import Doubt
from calibration.thresholds import left_out
from calibration.versions import facts
from engines.detector import Detector
from engines.errors import PartNotFound
from engines.image import read_image
from engines.scoring import Map, fuse
from engines.view import open_locator
from inspector import __version__
from inspector.errors import ConfigError
from inspector.evaluate import map_on_grid
from inspector.evaluation_charts import band_chart
from inspector.evaluation_style import STYLE
from inspector.heat_maps import data_url, heated, inspected, thumbnail

SHOWN = 6  # worst good parts
DOUBTS_SHOWN = 24  # pictures; a list of all names follows


def write_report(path: Path, made: Calibration, detector: Detector) -> None:
    """Write `path` (.html) and the same facts beside it as .json.

    Args:
        detector: that calibrated; it draws the heat maps.

    Raises:
        ConfigError: a file can't be written.
    """
    try:
        path.write_text(calibration_page(made, detector), encoding="utf-8")
        path.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(report_facts(made)), indent=1))
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; give another --report") from error


def report_facts(made: Calibration) -> dict[str, Any]:
    """All that the page says, for a machine. An infinite score is null: the part was not found."""
    evidence = made.recipe.evidence
    return {
        **facts(made.recipe),
        "sentence": evidence.sentence(),
        "promise": evidence.promise(),
        "sessions": session_rows(made),
        "pictures": [
            {"path": str(sample.path), "part": sample.part, "session": sample.session, "group": group,
             "score": value if math.isfinite(value) else None}
            for sample, value, group in zip(made.samples, made.scores, made.recipe.groups)
        ],
        "doubts": [
            {"path": str(made.samples[doubt.index].path), "kind": doubt.kind, "detail": doubt.detail}
            for doubt in made.doubts
        ],
        "refused": [str(sample.path) for sample in made.refused],
    }  # fmt: skip


def session_rows(made: Calibration) -> list[dict[str, Any]]:
    """Each session: pictures, median and largest score, and its share above any limit that the others set."""
    recipe, sessions = made.recipe, [sample.session for sample in made.samples]
    if not any(sessions):
        return []
    evidence = recipe.evidence
    asked = evidence.asked, evidence.confidence
    shares = left_out(made.scores, recipe.groups, sessions, *asked, recipe.calibrate, recipe.rules)
    values, names = np.asarray(made.scores), np.asarray(sessions)
    rows = []
    for session in sorted(set(sessions)):
        scores = values[(names == session) & np.isfinite(values)]
        rows.append({
            "session": session or "(no sub-folder)", "pictures": int((names == session).sum()),
            "median": float(np.median(scores)) if scores.size else None,
            "largest": float(scores.max()) if scores.size else None, "above_others_limit": shares.get(session),
        })  # fmt: skip
    return rows


def calibration_page(made: Calibration, detector: Detector) -> str:
    """The whole page; every name in it is escaped."""
    recipe = made.recipe
    product, limits = escape(recipe.product), recipe.thresholds
    chart = band_chart(made.scores, limits.review, limits.reject)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Calibration of {product}</title><style>{STYLE}</style></head><body>
<header><h1>Calibration of {product}</h1><p>{escape(recipe.evidence.sentence())}</p>
<p class="promise">{escape(recipe.evidence.promise())}</p></header>
{_warnings(recipe.evidence)}
<section class="cards">{_cards(made)}</section>
<section class="charts"><figure><figcaption>Good parts <span class="key good">clear</span>
<span class="key bad">reject</span></figcaption>{chart}</figure></section>
{_sessions(made)}
{_doubts(made)}
{_worst(made, detector)}
{_list("refused: they had another role, or another picture of their part or session had, or came twice", made.refused)}
<footer>{_footer(made)}</footer></body></html>
"""


def _warnings(evidence: Evidence) -> str:
    told = []
    if not evidence.reaches_asked:
        told.append(
            f"The {percent(evidence.asked)} asked for is not supported: it needs at least {evidence.needed} "
            f"{evidence.unit}s, there are {evidence.parts}."
        )
    if evidence.method == "tail":
        told.append("The review limit is an EXTRAPOLATION of a fitted tail. It is no bound.")
    if evidence.method == "provisional":
        told.append("This recipe is PROVISIONAL: what it rejects is to be reviewed, and confirmed parts complete it.")
    return "".join(f'<section class="warning">{escape(text)}</section>' for text in told)


def _cards(made: Calibration) -> str:
    evidence, limits = made.recipe.evidence, made.recipe.thresholds
    cards = {
        "false rejects, at most": (percent(evidence.bound), f"{100 * evidence.confidence:.6g}% confidence"),
        "asked": (percent(evidence.asked), f"needs {evidence.needed} {evidence.unit}s"),
        f"independent {evidence.unit}s": (f"{evidence.parts}", f"{evidence.pictures} pictures"),
        "review limit": (
            f"{limits.review:.4g}",
            f"{evidence.above} of them above it" + (" or another limit" if limits.rules else ""),
        ),
        "reject limit": (f"{limits.reject:.4g}", "largest score of a good part, or the review limit"),
        **{f"limit of {name}": (f"{limit:.4g}", "shares the bound") for name, limit in limits.rules.items()},
        "parts not found": (f"{evidence.missing}", "count as rejected"),
    }
    return "".join(
        f'<div class="card"><h3>{escape(title)}</h3><p class="value">{escape(value)}</p><p>{escape(note)}</p></div>'
        for title, (value, note) in cards.items()
    )


def _sessions(made: Calibration) -> str:
    rows = session_rows(made)
    if not rows:
        return ""
    body = "".join(
        f"<tr><th>{escape(row['session'])}</th><td>{row['pictures']}</td><td>{_number(row['median'])}</td>"
        f"<td>{_number(row['largest'])}</td><td>{_share(row['above_others_limit'])}</td></tr>"
        for row in rows
    )
    head = "<tr><th>session</th><th>pictures</th><th>median</th><th>largest</th><th>above the others' limit</th></tr>"
    return f"<section><h2>Sessions</h2><table><thead>{head}</thead><tbody>{body}</tbody></table></section>"


def _doubts(made: Calibration) -> str:
    if not made.doubts:
        return ""
    figures = "".join(_doubt(made, doubt) for doubt in made.doubts[:DOUBTS_SHOWN])
    rest = _list("more pictures to look at", [made.samples[doubt.index] for doubt in made.doubts[DOUBTS_SHOWN:]])
    title = "Look at these: they were used, but stand out"
    return f'<section><h2>{title}</h2><div class="maps">{figures}</div>{rest}</section>'


def _doubt(made: Calibration, doubt: Doubt) -> str:
    path = made.samples[doubt.index].path
    detail = doubt.detail
    if doubt.kind == "near_duplicate":
        detail = f"of {made.samples[int(doubt.detail.split()[-1])].path.name}"
    text = f"<em>{doubt.kind.replace('_', ' ')}</em> &middot; {escape(detail)}<br><small>{escape(path.name)}</small>"
    picture = data_url(thumbnail(read_image(path)))
    return f'<figure class="wrong"><img alt="picture" src="{picture}"><figcaption>{text}</figcaption></figure>'


def _worst(made: Calibration, detector: Detector) -> str:
    chosen = list(zip(made.samples, made.scores))[::-1][:SHOWN]
    shown = "".join(_heat_map(sample.path, value, made, detector) for sample, value in chosen)
    return f'<section><h2>Good parts with the highest scores</h2><div class="maps">{shown}</div></section>'


def _heat_map(path: Path, value: float, made: Calibration, detector: Detector) -> str:
    image, bundle, limits = read_image(path), detector.bundle, made.recipe.thresholds
    fused: Map | None = None
    picture = thumbnail(image)
    try:
        fused = map_on_grid(fuse(detector.detect(image).maps, made.recipe.scoring), bundle.manifest.input)
        finder = open_locator(bundle.manifest.input, bundle.template)
        picture = thumbnail(inspected(image, bundle.manifest.input, finder))
    except PartNotFound:
        pass  # the frame itself is shown: that no part is found in it is what there is to see
    images = "".join(
        f'<img alt="{what}" src="{data_url(shown)}">'
        for what, shown in (("picture", picture), ("heat map", heated(picture, fused, bundle.scoring.pixel_limit)))
    )
    band = "clear" if value <= limits.review else "review" if value <= limits.reject else "reject"
    score = f"{value:.4g}" if math.isfinite(value) else "part not found"
    text = f"{score} &middot; <em>{band}</em><br><small>{escape(path.name)}</small>"
    mark = "right" if band == "clear" else "wrong"
    return f'<figure class="{mark}">{images}<figcaption>{text}</figcaption></figure>'


def _list(what: str, samples: Sequence[Any]) -> str:
    if not samples:
        return ""
    names = "".join(f"<li>{escape(str(sample.path))}</li>" for sample in samples)
    summary = f"{len(samples)} {what}"
    return f'<section class="warning"><details><summary>{summary}</summary><ul>{names}</ul></details></section>'


def _footer(made: Calibration) -> str:
    told = {**facts(made.recipe), "inspector": __version__}
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>" for key, value in told.items())
    return (
        f"<dl>{rows}</dl><p>The bound is that of order statistics: it holds for any distribution of scores, as long as "
        "parts are like those of calibration. Heat maps share one scale.</p>"
    )


def _number(value: float | None) -> str:
    return "&ndash;" if value is None else f"{value:.4g}"


def _share(value: float | None) -> str:
    return "&ndash;" if value is None else percent(value)
