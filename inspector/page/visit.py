"""Visit: one open page of one user, and the frame that every view has."""

from __future__ import annotations

from dataclasses import dataclass

from nicegui import ui

from inspector.page.desk import Desk
from inspector.page.guard import LOGIN, NEEDS, address
from inspector.page.texts import Language, preferred, text
from inspector.site.users import Role, User

VIEWS = {"line": "/", "history": "/history", "what-if": "/what-if", "trends": "/trends"}
STYLE = """
.nicegui-content { width: 100%; max-width: 1240px; margin: 0 auto; padding: 12px; }
.verdict { width: 100%; align-items: center !important; border-radius: 12px; padding: 4vh 8px;
  text-align: center; color: #fff; background: #546e7a; }
.verdict.GOOD { background: #1b7837; } .verdict.REJECT { background: #b2182b; } .verdict.ERROR { background: #a65300; }
.verdict .word { font-size: clamp(3rem, 13vw, 9rem); line-height: 1.05; font-weight: 800; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; width: 100%; }
.facts .value { font-size: 1.6rem; font-weight: 600; overflow-wrap: anywhere; }
.wide { width: 100%; overflow-x: auto; }
.fields { display: flex; flex-wrap: wrap; gap: 8px; align-items: end; width: 100%; }
.fields > * { flex: 1 1 150px; min-width: 0; }
.q-btn { min-height: 48px; }
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """Who looks, and in which language."""

    desk: Desk
    token: str
    user: User
    language: Language
    address: str

    def text(self, key: str, **values: object) -> str:
        """A text in the visitor's language."""
        return text(key, self.language, **values)

    async def may(self, role: Role, what: str) -> bool:
        """Whether the visitor may do this now; says so and notes it if not."""
        user = await self.desk.who(self.token)
        if user is None:
            ui.navigate.to(LOGIN)
            return False
        if not user.may(role):
            await self.desk.refuse("role may not", what, self.address, user)
            ui.notify(self.text("not allowed"), type="negative")
            return False
        return True

    async def leave(self) -> None:
        """Log out."""
        await self.desk.log_out(self.token)
        ui.navigate.to(LOGIN)


def enter(desk: Desk, view: str) -> Visit:
    """Begin a page: who looks, the header, and the way to the other views."""
    request = ui.context.client.request
    language = preferred(request.headers.get("accept-language", ""))
    scope = request.scope
    visit = Visit(desk, scope["inspector.token"], scope["inspector.user"], language, address(scope))
    ui.add_css(STYLE)
    ui.colors(primary="#1f5f99")
    with (
        ui.header().classes("items-center q-py-xs q-px-sm"),
        ui.row().classes("full-width items-center").style("gap: 4px; align-items: center"),
    ):
        for name, path in VIEWS.items():
            if visit.user.may(NEEDS.get(path, "operator")):
                look = "flat color=white" if name != view else "unelevated color=white text-color=primary"
                ui.button(visit.text(name), on_click=lambda path=path: ui.navigate.to(path)).props(f"{look} no-caps")
        ui.space()
        ui.label(f"{visit.user.name}, {visit.user.role}").classes("gt-xs")
        ui.button(visit.text("log out"), on_click=visit.leave).props("flat color=white no-caps")
    return visit
