"""What if: stored scores judged again under a proposed limit, with the parts that change. Nothing is changed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import islice
from pathlib import Path

from nicegui import ui

from calibration.errors import CalibrationError
from calibration.recipe import Recipe
from calibration.versions import comparable, read_named
from inspector.clock import utc_text, utc_us
from inspector.errors import InspectorError
from inspector.history.database import data_file, open_for_reading
from inspector.history.queries import Filter, each_part
from inspector.inspection import Outcome
from inspector.page.history_view import choose_product, columns, moment, short
from inspector.page.visit import Visit
from inspector.products import product
from inspector.what_if import WhatIf, what_if

MOST = 200_000  # parts that are looked at, beside a line that needs the core
LISTED = 200
COLUMNS = {"number": "sequence", "time": "time", "score": "score", "was": "was", "becomes": "becomes", "why": "why"}


class WhatIfView:
    """The view of one engineer."""

    def __init__(self, visit: Visit, data_dir: Path) -> None:
        self._visit, self._data_dir = visit, data_dir
        with ui.element("div").classes("fields"):
            self._product = choose_product(visit, data_dir, is_any=False)
            self._since, self._until = moment(visit, "since"), moment(visit, "until")
            self._limit = ui.number(visit.text("review limit"), step=0.1)
            ui.button(visit.text("judge again"), on_click=self._judge)
        self._known, self._said = ui.label(), ui.label().classes("text-h6").mark("sentence")
        with ui.element("div").classes("wide"):
            self._table = ui.table(rows=[], columns=columns(visit, COLUMNS), row_key="sequence").classes("full-width")
        self._product.on_value_change(self._in_force)
        ui.timer(0, self._in_force, once=True)

    async def _in_force(self) -> None:
        if self._product.value and await self._visit.may("engineer", "what if"):
            try:
                limits = (await asyncio.to_thread(self._recipe)).thresholds
            except (InspectorError, CalibrationError) as error:
                ui.notify(str(error), type="negative")
                return
            told = {"review": short(limits.review), "reject": short(limits.reject)}
            self._known.set_text(self._visit.text("in force", **told))
            self._limit.set_value(float(f"{limits.review:.4g}"))

    def _recipe(self) -> Recipe:
        return read_named(product(self._data_dir, self._product.value).recipes, "")

    async def _judge(self) -> None:
        if not self._product.value or self._limit.value is None or not await self._visit.may("engineer", "what if"):
            return
        try:
            found = await asyncio.to_thread(self._find, float(self._limit.value))
        except (InspectorError, CalibrationError) as error:
            ui.notify(str(error), type="negative")
            return
        self._said.set_text(self._sentence(found))
        self._table.update_rows([
            {"sequence": change.sequence, "time": utc_text(change.captured_us) if change.captured_us else "",
             "score": short(change.score), "was": change.was.value, "becomes": change.becomes.value, "why": change.why}
            for change in found.changes[:LISTED]
        ])  # fmt: skip

    def _find(self, review: float) -> WhatIf:
        recipe = self._recipe()
        limits = replace(recipe.thresholds, review=review, reject=max(recipe.thresholds.reject, review))
        times = utc_us(self._since.value or None), utc_us(self._until.value or None)
        wanted = Filter(self._product.value, None, *times)
        rows = each_part(open_for_reading(data_file(self._data_dir)), wanted)
        recipes = comparable(product(self._data_dir, self._product.value).recipes, recipe)
        return what_if(islice(rows, MOST), limits, recipes)

    def _sentence(self, found: WhatIf) -> str:
        left_out = found.errors + found.not_comparable + found.without_rule
        rejects = {"before": found.before[Outcome.REJECT], "after": found.after[Outcome.REJECT]}
        said = self._visit.text("sentence", parts=found.parts, changes=len(found.changes), left_out=left_out, **rejects)
        is_cut = found.parts + left_out >= MOST
        return f"{said} {self._visit.text('oldest only', count=MOST)}" if is_cut else said
