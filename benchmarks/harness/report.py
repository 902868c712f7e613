"""Rows -> the tables of docs/BENCHMARKS.md. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from peers.table import NOTES, PEERS

from engines.evaluation import Interval
from harness.cases import Case
from harness.configurations import DEFAULT, RD4AD
from harness.paired import difference
from harness.results import Row

BEGIN, END = "<!-- figures: written by benchmarks/compare.py -->", "<!-- end of figures -->"
HEADING = """# Benchmarks

What was measured, on which machine, with which versions; written by `python benchmarks/compare.py --write` from the
rows in `benchmarks/results/`. Peers are anomalib's own models, losses and scores on the same pictures at the same size,
with the same frozen teacher (`make peers` shows that its features agree), judged by the same metric code.

"""
COLUMNS = ("image_auroc", "image_ap", "pixel_auroc", "aupro", "missed_at_1pct_false_rejects")
TITLES = ("image AUROC", "AP", "pixel AUROC", "AUPRO", "missed at 1 %")


def document(known: str, tables: str) -> str:
    """The document with its figures replaced; what stands outside the markers is kept."""
    if BEGIN not in known or END not in known:
        known = f"{HEADING}{BEGIN}\n{END}\n"
    before, _, rest = known.partition(BEGIN)
    return f"{before}{BEGIN}\n{tables}\n{END}{rest.partition(END)[2]}"


def page(rows: Sequence[Row]) -> str:
    """A table for each case that has a row, then notes and provenance."""
    cases: dict[str, list[Row]] = {}
    for row in rows:
        cases.setdefault(json.dumps(row.config["case"], sort_keys=True), []).append(row)
    tables = [case_table(Case(**json.loads(key)), members) for key, members in sorted(cases.items())]
    notes = "\n".join(f"- {name}: {note}" for name, note in NOTES.items())
    return "\n\n".join([*tables, f"Notes:\n\n{notes}", provenance(rows)]) if rows else "No row was made yet."


def case_table(case: Case, rows: Sequence[Row]) -> str:
    """Markdown: one line per method, means over seeds, and the default's lead over it."""
    methods: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (order(row.name), row.seed)):
        methods.setdefault(row.name, []).append(row)
    head = ["method", "seeds", *TITLES, "AUROC, ours - it", "missed, ours - it", "train s", "ms", "of STFPM's ms"]
    lines = [head, ["---"] * len(head)]
    lines += [method_line(members, methods.get(DEFAULT, [])) for members in methods.values()]
    count = rows[0].figures
    size = f"{count['n_good']} good and {count['n_defective']} defective pictures of {count['n_parts']} parts"
    return "\n".join([f"## {case.title}", "", f"{size}.", "", *(f"| {' | '.join(line)} |" for line in lines)])


def method_line(members: Sequence[Row], ours: Sequence[Row]) -> list[str]:
    """Cells of one method."""
    figures = [mean_cell([row.figures[name] for row in members]) for name in COLUMNS]
    leads = ["", ""]
    if ours and members[0].name != DEFAULT:
        names = ("image_auroc", "missed_at_1pct_false_rejects")
        leads = [interval_cell(difference(ours, members, name)) for name in names]
    seconds = f"{np.mean([row.facts['train_s'] for row in members]):.0f}"
    times = [number_cell(members, "infer_ms", 1), number_cell(members, "infer_ratio_vs_stfpm", 3)]
    return [members[0].name, str(len(members)), *figures, *leads, seconds, *times]


def number_cell(members: Sequence[Row], name: str, digits: int) -> str:
    """Mean of a fact; blank for a peer's row, which has no such fact, and where it was not measured."""
    known = [row.facts[name] for row in members if row.facts.get(name) is not None]
    return f"{np.mean(known):.{digits}f}" if known else ""


def mean_cell(values: Sequence[float | None]) -> str:
    """Mean, and spread over seeds where there are several; blank where it can't be had."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    spread = f" ± {np.std(known, ddof=1):.3f}" if len(known) > 1 else ""
    return f"{np.mean(known):.3f}{spread}"


def interval_cell(interval: Interval) -> str:
    """Such as `+0.031 [+0.012, +0.049]`."""
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def order(name: str) -> tuple[int, str]:
    """The default first, then what stands in for a peer, the peers, and the rest."""
    ranks = {DEFAULT: 0, RD4AD: 1, **dict.fromkeys(PEERS, 2)}
    return ranks.get(name, 3), name


def provenance(rows: Sequence[Row]) -> str:
    """Machines, versions, dates and commits of the rows."""
    dates = sorted(str(row.facts["date"])[:10] for row in rows)
    lines = [f"Rows of {dates[0]} to {dates[-1]}."]
    lines += [f"- machine: {name}" for name in sorted({row.facts["machine"] for row in rows})]
    versions = {f"{name} {value}" for row in rows for name, value in row.facts["versions"].items() if value}
    lines.append(f"- ours: {', '.join(sorted(versions))}")
    theirs = {f"{name} {value}" for row in rows for name, value in row.facts.get("peer_versions", {}).items()}
    lines += [f"- peers: {', '.join(sorted(theirs))}"] * bool(theirs)
    commits = sorted({f"{row.facts['commit'][:12]}{'+' * row.facts['dirty']}" for row in rows})
    lines.append(f"- commits (+: with uncommitted changes): {', '.join(commits)}")
    return "\n".join(lines)
