"""Trends: yield, and the p-chart of rejects with its limits."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from nicegui import ui

from inspector.clock import utc_text, utc_us
from inspector.errors import InspectorError
from inspector.history.charts import p_chart
from inspector.history.database import data_file, open_for_reading
from inspector.history.ledger import trend
from inspector.history.queries import Filter, Row
from inspector.page.history_view import choose_product, moment
from inspector.page.visit import Visit

LINES = {"rejects": "rejects_per_1000", "centre": "centre_per_1000", "lower": "lower_per_1000",
         "upper": "upper_per_1000"}  # fmt: skip
DASHED = ("lower", "upper")


class TrendsView:
    """The view of one visitor."""

    def __init__(self, visit: Visit, data_dir: Path) -> None:
        self._visit, self._data_dir = visit, data_dir
        with ui.element("div").classes("fields"):
            self._by = ui.select({name: visit.text(name) for name in ("hour", "day")}, value="hour")
            self._product = choose_product(visit, data_dir, is_any=True)
            self._since, self._until = moment(visit, "since"), moment(visit, "until")
            ui.button(visit.text("show"), on_click=self._show)
        self._yield = ui.label().classes("text-h6").mark("yield")
        self._chart = ui.echart({}).classes("full-width").style("height: 55vh")
        ui.timer(0, self._show, once=True)

    async def _show(self) -> None:
        if not await self._visit.may("operator", "trends"):
            return
        try:
            periods = await asyncio.to_thread(self._find)
        except InspectorError as error:
            ui.notify(str(error), type="negative")
            return
        self._yield.set_text(
            f"{self._visit.text('yield')}: {share_good(periods)}" if periods else self._visit.text("nothing")
        )
        self._chart.options.clear()
        self._chart.options.update(options(p_chart(periods), self._visit))
        self._chart.update()

    def _find(self) -> list[Row]:
        times = utc_us(self._since.value or None), utc_us(self._until.value or None)
        wanted = Filter(self._product.value or None, None, *times)
        return trend(open_for_reading(data_file(self._data_dir)), wanted, self._by.value)


def share_good(periods: list[Row]) -> str:
    """Of the judged parts, in percent."""
    good, judged = (sum(period[name] for period in periods) for name in ("good", "reject"))
    return f"{100 * good / (good + judged):.2f} %" if good + judged else "-"


def options(points: list[Row], visit: Visit) -> dict[str, Any]:
    """The chart: ECharts' own words."""
    series = [
        {"name": visit.text(name), "type": "line", "data": [round(point[field], 3) for point in points],
         "step": "middle" if name in DASHED else False, "lineStyle": {"type": "dashed" if name in DASHED else "solid"},
         "symbol": "circle" if name == "rejects" or len(points) == 1 else "none"}
        for name, field in LINES.items()
    ]  # fmt: skip
    return {
        "animation": False,
        "tooltip": {"trigger": "axis"},
        "legend": {"top": 0, "textStyle": {"color": "#888"}},
        "grid": {"left": 50, "top": 64, "right": 16, "bottom": 40},
        "xAxis": {"type": "category", "data": [utc_text(point["start_us"])[:16] for point in points]},
        "yAxis": {"type": "value"},
        "series": series,
    }
