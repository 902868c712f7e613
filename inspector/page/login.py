"""The login: one form without a script, so that nothing of the framework is served to who is not logged in."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from inspector.page.desk import Desk, TooMany
from inspector.page.guard import COOKIE, LOGIN, address
from inspector.page.texts import Language, preferred, text
from inspector.site.logins import LASTS_S

MOST = 4096  # bytes of a form with a name and a password

FORM = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<style>
:root {{ color-scheme: light dark; font: 1.1rem system-ui, sans-serif; }}
body {{ display: grid; min-height: 90vh; place-items: center; margin: 0; }}
form {{ display: grid; gap: 1rem; width: min(22rem, 88vw); }}
input, button {{ font: inherit; padding: 0.8rem; width: 100%; box-sizing: border-box; }}
p {{ color: light-dark(#b00020, #ff8a80); margin: 0; min-height: 1.4em; }}
</style></head><body><form method="post" action="{action}">
<h1>{title}</h1>
<label>{name}<input name="name" autocomplete="username" required maxlength="64" autofocus></label>
<label>{password}<input name="password" type="password" autocomplete="current-password" required></label>
<button>{log_in}</button><p role="alert">{trouble}</p>
</form></body></html>"""


class Login:
    """Shows the form, and takes it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, request: Request) -> Response:
        """The empty form."""
        return _form(_language(request), "", 200)

    async def take(self, request: Request) -> Response:
        """The form that was sent."""
        language = _language(request)
        name, password = await _read(request)
        try:
            token = await self._desk.log_in(name, password, address(request.scope))
        except TooMany as error:
            return _form(language, text("wait", language, seconds=round(error.wait_s)), 429)
        if token is None:
            return _form(language, text("wrong", language), 403)
        response = RedirectResponse("/", 303)
        # Browsers take a Secure cookie over plain HTTP from this box itself, and from nowhere else.
        response.set_cookie(COOKIE, token, max_age=LASTS_S, secure=True, httponly=True, samesite="strict")
        return response


async def _read(request: Request) -> tuple[str, str]:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST:
            return "", ""
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=8)
    return fields.get("name", [""])[0], fields.get("password", [""])[0]


def _language(request: Request) -> Language:
    return preferred(request.headers.get("accept-language", ""))


def _form(language: Language, trouble: str, status: int) -> Response:
    said = {key: escape(text(key, language)) for key in ("title", "name", "password")}
    page = FORM.format(
        language=language, action=LOGIN, trouble=escape(trouble), log_in=escape(text("log in", language)), **said
    )
    return HTMLResponse(page, status)
