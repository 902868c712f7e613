"""Guard: stands before everything that the page serves, its framework's files and websocket included.

path sound -> method and origin right -> logged in -> role may -> the page; otherwise refused and noted
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from inspector.page.desk import Desk
from inspector.site.users import Role, User

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "inspector"
LOGIN = "/login"
PUBLIC = frozenset({LOGIN, "/health/live"})
NEEDS: dict[str, Role] = {"/what-if": "engineer"}  # everything else: anybody who is logged in
WEBSOCKET = "/_nicegui_ws/"
# Vue compiles the framework's templates in the browser, hence eval; its page has inline scripts and styles without a
# nonce. Nothing comes from elsewhere, and nothing goes there.
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",  # with no-referrer a form of our own says "Origin: null"
    b"permissions-policy": b"camera=(), microphone=(), geolocation=()",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
FRAMEWORK_FILES = "/_nicegui/"  # the same for everybody; all else stays out of caches


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further, and the HTTP status that says so."""

    why: str
    status: int


class Guard:
    """An ASGI application around another."""

    def __init__(self, app: App, desk: Desk) -> None:
        self.app = app  # the framework finds its server by this name
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        # What a proxy would say of the way here is an attacker's word, as long as there is no proxy that we know.
        scope["headers"] = [(name, value) for name, value in scope["headers"] if not name.lower().startswith(b"x-f")]
        token = _token(headers.get("cookie", ""))
        user = await self._desk.who(token)
        refusal = judge(scope["type"], scope.get("method", "GET"), scope["path"], headers, user)
        if refusal is None:
            scope["inspector.token"], scope["inspector.user"] = token, user
            await self.app(scope, receive, _with_headers(send, scope["path"]))
        else:
            await self._refuse(scope, send, refusal, user, is_first_visit=not token and scope["path"] == "/")

    async def _refuse(
        self, scope: Scope, send: Send, refusal: Refusal, user: User | None, is_first_visit: bool
    ) -> None:
        if not is_first_visit:  # who opens the page is shown where to log in: no attack
            subject = f"{scope.get('method', 'websocket')} {scope['path']}"
            await self._desk.refuse(refusal.why, subject, address(scope), user)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.why})
            return
        to_login = [(b"location", LOGIN.encode())] if refusal.status == 303 else []
        start = {"type": "http.response.start", "status": refusal.status, "headers": to_login}
        told = _with_headers(send, scope["path"])
        await told(start)
        await told({"type": "http.response.body", "body": refusal.why.encode()})


def judge(kind: str, method: str, path: str, headers: dict[str, str], user: User | None) -> Refusal | None:
    """Whether a request may go on; None: it may.

    Args:
        kind: "http" or "websocket".
        path: decoded.
        headers: by lower-case name.
    """
    if ".." in path.split("/") or "\\" in path or "\0" in path or "//" in path:
        return Refusal("path leaves its folder", 400)
    if kind == "websocket" and not path.startswith(WEBSOCKET):
        return Refusal("no websocket here", 403)
    if kind == "http" and path.startswith(WEBSOCKET):
        return Refusal("websocket only", 403)  # long polling would need POST without a form
    is_post = method == "POST" and path == LOGIN
    if method not in ("GET", "HEAD") and not is_post:
        return Refusal("method not allowed", 405)
    if (kind == "websocket" or is_post) and not _is_own(headers.get("origin", ""), headers.get("host", "")):
        return Refusal("origin is another page", 403)
    if path in PUBLIC and kind == "http":
        return None
    if user is None:
        return Refusal("not logged in", 303 if "text/html" in headers.get("accept", "") else 401)
    if not user.may(NEEDS.get(path.rstrip("/"), "operator")):
        return Refusal("role may not", 403)
    return None


def address(scope: Scope) -> str:
    """Where a request comes from."""
    return str((scope.get("client") or ("unknown",))[0])


def _is_own(origin: str, host: str) -> bool:
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and bool(host) and parts.netloc == host


def _token(cookies: str) -> str:
    try:
        found = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _with_headers(send: Send, path: str) -> Send:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in HEADERS]
            if not path.startswith(FRAMEWORK_FILES):
                kept = [(name, value) for name, value in kept if name.lower() != b"cache-control"]
                kept.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*kept, *HEADERS.items()]}
        await send(message)

    return told
