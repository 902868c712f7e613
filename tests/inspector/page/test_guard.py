"""Nothing of the page is reached without a login, by the wrong role, or from another page; who tries is on record."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as websocket_to
from websockets.typing import Origin

from inspector.page.desk import KNOWN_S
from inspector.page.guard import NEEDS, PUBLIC, WEBSOCKET, judge
from inspector.site.database import writing
from inspector.site.users import ROLES, User, end_logins

if TYPE_CHECKING:
    from tests.inspector.page.conftest import Served

SOCKET = f"{WEBSOCKET}socket.io/?EIO=4&transport=websocket"
HOST = "box:8080"
OWN = {"host": HOST, "origin": f"http://{HOST}"}


METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
PATHS = ["/", "/history", "/_nicegui/3/static/x.js", SOCKET, "/login"]
paths = st.one_of(st.text().map("/".__add__), st.sampled_from(PATHS))


@given(st.sampled_from(["http", "websocket"]), st.sampled_from(METHODS), paths)
def test_without_a_login_nothing_is_passed_on_but_the_login_itself(kind: str, method: str, path: str) -> None:
    refusal = judge(kind, method, path, OWN, None)
    assert refusal is not None or (kind == "http" and path in PUBLIC and method in ("GET", "HEAD", "POST"))


@given(st.text(min_size=1).map("/".__add__), st.sampled_from(["POST", "PUT", "DELETE", "PATCH", "TRACE"]))
def test_nothing_is_changed_by_a_request_whoever_sends_it(path: str, method: str) -> None:
    assert judge("http", method, path, OWN, User("Anna", "admin")) is not None or (method, path) == ("POST", "/login")


ORIGINS = ["", "null", "http://evil.example", f"http://{HOST}.evil.example", f"http://evil.example/{HOST}",
           "http://box:8081", f"file://{HOST}", f"http://evil@{HOST}"]  # fmt: skip


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize(("kind", "method", "path"), [("websocket", "GET", WEBSOCKET), ("http", "POST", "/login")])
def test_another_pages_origin_opens_no_websocket_and_sends_no_form(
    kind: str, method: str, path: str, origin: str
) -> None:
    user = User("Anna", "admin")
    assert judge(kind, method, path, OWN, user) is None
    refusal = judge(kind, method, path, {"host": HOST, "origin": origin}, user)
    assert refusal is not None
    assert refusal.why == "origin is another page"


@pytest.mark.parametrize("path", sorted(NEEDS))
@pytest.mark.parametrize("role", ROLES)
def test_a_view_of_engineers_is_shown_to_them_and_admins_only(path: str, role: str) -> None:
    user = User("x", role)  # type: ignore[arg-type]
    for each in (path, f"{path}/"):
        assert (judge("http", "GET", each, OWN, user) is None) == user.may(NEEDS[path])


TRAVERSALS = ["/_nicegui/3.18.0/static/../../../etc/passwd", "/_nicegui/x/static/%2e%2e/%2e%2e/etc/passwd",
              "/..%2f..%2fetc/passwd", "/history/..", "//etc/passwd", "/..\\..\\etc", "/a%00b"]  # fmt: skip


@pytest.mark.parametrize("path", TRAVERSALS)
def test_a_path_that_leaves_its_folder_is_refused_to_everybody_and_on_record(served: Served, path: str) -> None:
    for cookie in ("", served.cookie("Berta")):
        answer = served.ask("GET", path, cookie=cookie)
        assert answer.status == 400
        assert "root:" not in answer.body
    assert "path leaves its folder" in [row["detail"].get("why") for row in served.audited()]


ROUTES = ["/", "/history", "/what-if", "/trends", "/favicon.ico", "/docs", "/openapi.json",
          "/_nicegui/3.18.0/static/nicegui.js", "/_nicegui/3.18.0/static/quasar.umd.prod.js",
          f"{WEBSOCKET}socket.io/?EIO=4&transport=polling", "/nothing"]  # fmt: skip


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("cookie", ["", "inspector=", "inspector=guessed", "inspector='; DROP TABLE users;--", "=;;,"])
def test_no_route_answers_without_a_login(served: Served, path: str, cookie: str) -> None:
    answer = served.ask("GET", path, cookie=cookie)
    assert answer.status in (401, 403)
    assert answer.body in ("not logged in", "websocket only")
    assert served.ask("GET", path, cookie=cookie, accept="text/html").status in (303, 403)


def test_a_refusal_has_its_entry_and_a_thousand_of_them_no_thousand(served: Served) -> None:
    for _ in range(20):
        assert served.ask("GET", "/history", cookie="inspector=forged").status == 401
    entries = [row for row in served.audited() if row["detail"].get("why") == "not logged in"]
    assert len(entries) == 1
    assert (entries[0]["who"], entries[0]["action"]) == ("page", "page refused")


def test_the_wrong_role_is_refused_by_name(served: Served) -> None:
    assert served.ask("GET", "/what-if", cookie=served.cookie("Otto")).status == 403
    assert served.ask("GET", "/what-if", cookie=served.cookie("Berta")).status == 200
    (entry,) = [row for row in served.audited() if row["detail"].get("why") == "role may not"]
    assert (entry["who"], entry["role"], entry["subject"]) == ("Otto", "operator", "GET /what-if")


def test_a_form_from_another_page_logs_nobody_in(served: Served) -> None:
    for origin in ("http://evil.example", "null"):
        answer = served.log_in("Otto", origin=origin)
        assert answer.status == 403
        assert "set-cookie" not in answer.headers
    assert "origin is another page" in [row["detail"].get("why") for row in served.audited()]


def test_the_cookie_is_kept_from_scripts_networks_and_other_pages(served: Served) -> None:
    kept = served.log_in("Otto").headers["set-cookie"]
    assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= {part.strip() for part in kept.split(";")}


def test_every_answer_has_the_headers_that_keep_a_browser_safe(served: Served) -> None:
    cookie = served.cookie("Otto")
    for path in ("/", "/login", "/nothing", "/_nicegui/3.18.0/static/nicegui.js"):
        headers = served.ask("GET", path, cookie=cookie).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert ("no-store" in headers["cache-control"]) == (not path.startswith("/_nicegui/"))


def test_an_oversize_form_is_no_login(served: Served) -> None:
    assert served.log_in("Otto", "x" * 100_000).status == 403
    assert served.ask("POST", "/history", "x" * 100_000, origin=served.url).status == 405


def page_id(served: Served, path: str, cookie: str) -> str:
    """The framework's number of a page that was just opened."""
    found = re.search(r"client_id[^0-9a-f]{1,4}([0-9a-f-]{36})", served.ask("GET", path, cookie=cookie).body)
    assert found
    return found[1]


def connect(served: Served, cookie: str, origin: str = "") -> ClientConnection:
    return websocket_to(
        f"ws://{served.host}{SOCKET}", additional_headers={"Cookie": cookie}, origin=Origin(origin or served.url)
    )


@pytest.mark.parametrize("forged", ["login", "origin"])
def test_no_websocket_opens_without_a_login_or_from_another_page(served: Served, forged: str) -> None:
    cookie = "inspector=guessed" if forged == "login" else served.cookie("Berta")
    origin = served.url if forged == "login" else "http://evil.example"
    with pytest.raises(InvalidStatus, match="403"):
        connect(served, cookie, origin)
    why = "not logged in" if forged == "login" else "origin is another page"
    assert why in [row["detail"].get("why") for row in served.audited()]


def begin(websocket: ClientConnection) -> None:
    websocket.recv(10)
    websocket.send("40")
    assert str(websocket.recv(10)).startswith("40")


EVENTS = ["handshake", "event", "javascript_response", "ack", "log"]


@pytest.mark.parametrize("name", EVENTS)
def test_no_websocket_event_reaches_the_page_of_another_login(served: Served, name: str) -> None:
    theirs = page_id(served, "/what-if", served.cookie("Berta"))
    with connect(served, served.cookie("Otto")) as websocket:
        begin(websocket)
        websocket.send("42" + json.dumps([name, {"client_id": theirs, "tab_id": "t", "document_id": "d", "id": 1}]))
        assert websocket.recv(10) == "41"  # put out
    why = "websocket of another login, or of none"
    assert ("Otto", why) in [(row["who"], row["detail"].get("why")) for row in served.audited()]


def test_a_websocket_is_put_out_when_its_login_ended(served: Served) -> None:
    cookie = served.fresh_cookie("Otto")
    own = page_id(served, "/", cookie)
    with connect(served, cookie) as websocket:
        begin(websocket)
        with writing(served.data_dir) as site:
            end_logins(site, "Otto")
        time.sleep(KNOWN_S)
        websocket.send("42" + json.dumps(["event", {"client_id": own, "id": 1, "listener_id": "x", "args": []}]))
        assert websocket.recv(10) == "41"


def test_failed_logins_are_on_record_and_have_to_wait(served: Served) -> None:
    """The last test here: this address waits a minute after it."""
    statuses = [served.log_in("Otto", "wrong password").status for _ in range(6)]
    assert statuses == [403] * 5 + [429]
    assert served.log_in("Otto").status == 429
    refused = [row for row in served.audited() if row["action"] == "login refused" and row["subject"] == "user Otto"]
    assert len(refused) == 5
