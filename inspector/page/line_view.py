"""Line: the newest verdict, large, and what stands around it."""

from __future__ import annotations

import asyncio

from nicegui import ui

from inspector.page.visit import Visit
from inspector.page.watch import Sight, Watch

UPDATE_S = 0.25  # a verdict is seen within half a second; people see no more than ten a second
FACTS = ("product", "recipe", "engine", "rate", "margin")
OUTCOMES = ("good", "reject", "error")


class LineView:
    """The view of one visitor."""

    def __init__(self, visit: Visit, watch: Watch) -> None:
        self._visit, self._watch = visit, watch
        self._box = ui.column().classes("verdict items-center").style("gap: 0").mark("verdict")
        with self._box:
            self._word = ui.label().classes("word")
            self._why, self._part = ui.label().classes("text-h6"), ui.label()
        with ui.element("div").classes("facts"):
            self._counts = {name: self._fact(visit.text("parts") if name == "parts" else name.upper())
                            for name in ("parts", *OUTCOMES)}  # fmt: skip
        self._books = ui.label()
        with ui.element("div").classes("facts"):
            self._facts = {name: self._fact(visit.text(name)) for name in FACTS}
        ui.timer(UPDATE_S, self._update)

    @staticmethod
    def _fact(name: str) -> ui.label:
        with ui.card().style("gap: 0"):
            ui.label(name).classes("text-caption")
            return ui.label().classes("value")

    async def _update(self) -> None:
        if await self._visit.may("operator", "line"):
            self._show(await asyncio.to_thread(self._watch.look))

    def _show(self, sight: Sight) -> None:
        outcome, reason = head(sight)
        self._word.set_text(outcome or self._visit.text("stopped" if sight.listed is None else "no parts"))
        self._box.classes(remove="GOOD REJECT ERROR", add=outcome)
        self._why.set_text(reason)
        part, age = sight.part, sight.age_s
        shown = self._visit.text("part", number=part["sequence"], age=f"{age:.0f}") if part and age is not None else ""
        self._part.set_text(shown if outcome else f"{shown} {part['outcome'] or ''}".strip() if part else "")
        for name, label in self._counts.items():
            number = sight.counts.get("triggers" if name == "parts" else name)
            label.set_text("-" if number is None else f"{number:,}")
        is_wrong = sight.counts.get("balanced") is False
        said = "not balanced" if is_wrong else "balanced" if sight.counts else "not known"
        self._books.set_text(f"{self._visit.text('today')}: {self._visit.text(said)}")
        self._books.classes(remove="text-negative text-h5", add="text-negative text-h5" if is_wrong else "")
        for name, value in facts(sight).items():
            self._facts[name].set_text(value)


def head(sight: Sight) -> tuple[str, str]:
    """The word that is shown large, and why; "": no verdict that still means something.

    A GOOD of a line that doesn't answer is of the past: it is not shown as if it were now.
    """
    if sight.listed is None or sight.part is None:
        return "", sight.trouble
    return sight.part["outcome"] or "ERROR", sight.part["reason"] or ""


def facts(sight: Sight) -> dict[str, str]:
    """What stands below the counts; "-": not known."""
    part, listed = sight.part or {}, sight.listed
    product = listed.in_force if listed else part.get("product")
    recipe = listed.recipe if listed else part.get("recipe")
    return {
        "product": product or "-",
        "recipe": recipe[:12] if recipe else "-",
        "engine": (listed.engine if listed else part.get("engine")) or "-",
        "rate": "-" if sight.per_minute is None else f"{sight.per_minute:.0f}",
        "margin": "-" if sight.margin_ms is None else f"{sight.margin_ms:.0f} ms",
    }
