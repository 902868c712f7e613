"""History: parts that fit, one part in full, and what an operator says of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from nicegui import events, ui

from inspector.clock import utc_text, utc_us
from inspector.errors import InspectorError, SiteError
from inspector.history.database import data_file, open_for_reading
from inspector.history.queries import Filter, Row, find_part, list_parts
from inspector.inspection import Outcome
from inspector.page.visit import Visit
from inspector.products import list_products
from inspector.site.database import writing
from inspector.site.feedback import Says, mark

LIMIT = 100
COLUMNS = {"number": "sequence", "time": "time", "verdict": "outcome", "reason": "reason", "score": "score",
           "product": "product"}  # fmt: skip


class HistoryView:
    """The view of one visitor."""

    def __init__(self, visit: Visit, data_dir: Path) -> None:
        self._visit, self._data_dir = visit, data_dir
        with ui.element("div").classes("fields"):
            self._since, self._until = moment(visit, "since"), moment(visit, "until")
            self._product = choose_product(visit, data_dir, is_any=True)
            outcomes = {"": visit.text("any"), **{outcome.value: outcome.value for outcome in Outcome}}
            self._outcome = ui.select(outcomes, value="", label=visit.text("verdict"))
            self._low, self._high = ui.number(visit.text("min score")), ui.number(visit.text("max score"))
            ui.button(visit.text("show"), on_click=self._show)
        ui.label(visit.text("newest", count=LIMIT)).classes("text-caption")
        with ui.element("div").classes("wide"):
            self._table = ui.table(rows=[], columns=columns(visit, COLUMNS), row_key="sequence").classes("full-width")
        self._table.on("row-click", self._open)
        ui.timer(0, self._show, once=True)

    async def _show(self) -> None:
        if await self._visit.may("operator", "history"):
            try:
                rows = await asyncio.to_thread(self._find)
            except InspectorError as error:
                ui.notify(str(error), type="negative")
            else:
                self._table.update_rows([readable(row) for row in rows])

    def _find(self) -> list[Row]:
        outcome = Outcome(self._outcome.value) if self._outcome.value else None
        times = utc_us(self._since.value or None), utc_us(self._until.value or None)
        wanted = Filter(self._product.value or None, outcome, *times, self._low.value, self._high.value)
        return list_parts(open_for_reading(data_file(self._data_dir)), wanted, LIMIT)

    async def _open(self, event: events.GenericEventArguments) -> None:
        try:
            number = int(event.args[1]["sequence"])
        except (TypeError, ValueError, LookupError):
            return  # not what the table sends
        if await self._visit.may("operator", f"part {number}"):
            part = await asyncio.to_thread(self._part, number)
            if part is not None:
                self._show_part(part)

    def _part(self, number: int) -> Row | None:
        return find_part(open_for_reading(data_file(self._data_dir)), number)

    def _show_part(self, part: Row) -> None:
        with ui.dialog(value=True) as dialog, ui.card().style("max-width: 95vw"):
            ui.label(f"{self._visit.text('number')} {part['sequence']}: {part['outcome']}").classes("text-h5")
            with ui.element("div").style("display: grid; grid-template-columns: auto auto; gap: 2px 16px"):
                for name, value in part.items():
                    if value is not None:
                        ui.label(name)
                        ui.label(short(value)).style("overflow-wrap: anywhere")
            note = ui.input(self._visit.text("note")).props("maxlength=500").classes("full-width")
            with ui.row():
                for key, says in (("really good", "good"), ("really bad", "bad")):
                    ui.button(
                        self._visit.text(key), on_click=lambda says=says: self._mark(part, says, note.value, dialog)
                    )
                ui.button(self._visit.text("close"), on_click=dialog.close).props("flat")

    async def _mark(self, part: Row, says: Says, note: str, dialog: ui.dialog) -> None:
        if not await self._visit.may("operator", f"mark part {part['sequence']}"):
            return
        try:
            await asyncio.to_thread(self._write, part["sequence"], says, note)
        except InspectorError as error:
            ui.notify(str(error), type="negative")
        else:
            ui.notify(self._visit.text("marked"), type="positive")
            dialog.close()

    def _write(self, number: int, says: Says, note: str) -> None:
        part = self._part(number)
        if part is None:
            raise SiteError(f"the history has no part {number}")
        with writing(self._data_dir) as site:
            mark(site, part, says, self._visit.user.name, note[:500])


def moment(visit: Visit, key: str, value: str = "") -> ui.input:
    """A field for a moment, UTC."""
    return ui.input(visit.text(key), value=value).props("type=datetime-local stack-label")


def choose_product(visit: Visit, data_dir: Path, is_any: bool) -> ui.select:
    """A field for a product's name."""
    names = {each.name: each.name for each in list_products(data_dir)}
    known = {"": visit.text("any"), **names} if is_any else names
    return ui.select(known, value=next(iter(known), None), label=visit.text("product"))


def columns(visit: Visit, named: dict[str, str]) -> list[dict[str, Any]]:
    """Of a table: text by field."""
    return [{"name": field, "field": field, "label": visit.text(key), "align": "left"} for key, field in named.items()]


def readable(row: Row) -> dict[str, Any]:
    """A part as a row of the table."""
    time = utc_text(row["captured_us"]) if row["captured_us"] else ""
    return {**{field: short(row[field]) for field in COLUMNS.values() if field != "time"}, "time": time,
            "sequence": row["sequence"]}  # fmt: skip


def short(value: object) -> str:
    """A value for people."""
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
