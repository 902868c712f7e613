"""The page's process: routes, views, and the guard before them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI
from nicegui import core, ui
from nicegui.client import Client
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from inspector.config import Config
from inspector.page.desk import Desk
from inspector.page.guard import LOGIN, Guard, address
from inspector.page.history_view import HistoryView
from inspector.page.line_view import LineView
from inspector.page.login import Login
from inspector.page.trends_view import TrendsView
from inspector.page.visit import enter
from inspector.page.watch import Watch
from inspector.page.what_if_view import WhatIfView
from inspector.watchdog import Notifier, watchdog_period_s

MOST_BYTES = 64 * 1024  # of a websocket message; people type, they upload nothing
STOP_S = 3

log = structlog.get_logger("page")


def run_page(config: Config, notifier: Notifier) -> None:
    """Serve until SIGTERM or SIGINT."""
    section = config.page
    server = uvicorn.Server(
        uvicorn.Config(
            build(config, notifier), host=section.address, port=section.port, ws="wsproto", ws_max_size=MOST_BYTES,
            log_config=None, access_log=False, server_header=False, proxy_headers=False,
            ssl_certfile=section.certificate, ssl_keyfile=section.key, timeout_graceful_shutdown=STOP_S,
        )
    )  # fmt: skip
    log.info("page", address=section.address, port=section.port, encrypted=section.certificate is not None)
    server.run()


def build(config: Config, notifier: Notifier) -> Guard:
    """The application; once per process, for the framework has one."""
    desk, data_dir = Desk(config.line.data_dir), config.line.data_dir
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=_life(notifier))
    login = Login(desk)
    app.add_route(LOGIN, login.show, methods=["GET"])
    app.add_route(LOGIN, login.take, methods=["POST"])
    app.add_route("/health/live", _live, methods=["GET"])
    watch = Watch(data_dir)
    ui.page("/")(lambda: _none(LineView(enter(desk, "line"), watch)))
    ui.page("/history")(lambda: _none(HistoryView(enter(desk, "history"), data_dir)))
    ui.page("/what-if")(lambda: _none(WhatIfView(enter(desk, "what-if"), data_dir)))
    ui.page("/trends")(lambda: _none(TrendsView(enter(desk, "trends"), data_dir)))
    # Not compressed: the network is near, and the processor belongs to the line.
    ui.run_with(
        app, title="Line Inspector", dark=None, tailwind=False, show_welcome_message=False, gzip_middleware_factory=None
    )
    core.app.config.socket_io_js_transports = ["websocket"]  # the guard refuses the other one
    _check_events(desk)
    return Guard(app, desk)


def _none(view: object) -> None:
    """A page's function must give nothing."""


async def _live(request: Request) -> Response:
    return PlainTextResponse("alive\n")


def _check_events(desk: Desk) -> None:
    """Every event of a websocket needs a login that still holds, and the one that opened the page it is about."""
    handlers: dict[str, Callable[..., Any]] = core.sio.handlers["/"]
    for name, handler in list(handlers.items()):
        if name not in ("connect", "disconnect"):
            handlers[name] = _checked(desk, name, handler)
    handlers["connect"] = _checked_connect(desk, handlers["connect"])


def _checked(desk: Desk, name: str, handler: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def checked(sid: str, message: Any = None) -> Any:
        scope = core.sio.get_environ(sid)["asgi.scope"]
        if await _is_own(desk, scope, str(message.get("client_id", "")) if isinstance(message, dict) else ""):
            result = handler(sid, message)
            return await result if asyncio.iscoroutine(result) else result
        await desk.refuse("websocket of another login, or of none", name, address(scope), scope["inspector.user"])
        await core.sio.disconnect(sid)
        return False

    return checked


def _checked_connect(desk: Desk, handler: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def checked(sid: str, environ: dict[str, Any], auth: Any = None) -> Any:
        scope = environ["asgi.scope"]
        wanted = Request({**scope, "type": "http"}).query_params.get("client_id", "")
        if await _is_own(desk, scope, wanted):
            return await handler(sid, environ, auth)
        await desk.refuse("websocket of another login, or of none", "connect", address(scope), scope["inspector.user"])
        return False

    return checked


async def _is_own(desk: Desk, scope: dict[str, Any], client_id: str) -> bool:
    client = Client.instances.get(client_id)
    if client is None:
        return await desk.who(scope["inspector.token"]) is not None
    token = client.request.scope.get("inspector.token")
    return bool(token) and token == scope["inspector.token"] and await desk.who(token) is not None


def _life(notifier: Notifier) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        feeding = asyncio.create_task(_feed(notifier))
        notifier.ready("serving")
        yield
        notifier.stopping()
        feeding.cancel()
        with suppress(asyncio.CancelledError):
            await feeding

    return life


async def _feed(notifier: Notifier) -> None:
    """The watchdog, as long as the event loop comes round."""
    while True:
        notifier.alive()
        await asyncio.sleep(watchdog_period_s())
