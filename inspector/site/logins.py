"""Logins: who is logged in at the page, kept here and not in the browser, so that a login can be ended.

The browser has a random token, the database its sha256. A login ends after a shift, whatever happens.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict

import sqlalchemy as sa

from inspector.site import audit, users
from inspector.site.tables import logins
from inspector.site.tables import users as users_table
from inspector.site.users import User

LASTS_S = 12 * 3600  # a shift and its handover
ATTEMPTS = 5  # that fail in a row before a name or an address has to wait
WAIT_S = 60.0
REMEMBERED = 10_000  # names and addresses of which failures are known; more would be an attacker's memory


class Throttle:
    """Failed attempts by name and by address, in memory: whoever fails too often waits. Used by one thread."""

    def __init__(self) -> None:
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, *keys: str) -> float:
        """How long until another attempt; 0: now."""
        now = time.monotonic()
        waits = (at + WAIT_S - now for count, at in map(self._of, keys) if count >= ATTEMPTS)
        return max(0.0, *waits, 0.0)

    def failed(self, *keys: str) -> None:
        """An attempt failed."""
        for key in keys:
            count, at = self._of(key)
            is_recent = time.monotonic() - at < WAIT_S
            self._failed[key] = (count + 1 if is_recent else 1, time.monotonic())
            self._failed.move_to_end(key)
        while len(self._failed) > REMEMBERED:
            self._failed.popitem(last=False)

    def succeeded(self, *keys: str) -> None:
        """An attempt went well: forget the failures."""
        for key in keys:
            self._failed.pop(key, None)

    def _of(self, key: str) -> tuple[int, float]:
        return self._failed.get(key, (0, 0.0))


def log_in(connection: sa.Connection, user: User, address: str) -> str:
    """Begin a login.

    Returns:
        The token for the browser; it is kept nowhere else.
    """
    now, token = time.time_ns() // 1000, secrets.token_urlsafe(32)
    connection.execute(sa.delete(logins).where(logins.c.until_us < now))
    row = {"token": _digest(token), "name": user.name, "since_us": now, "until_us": now + LASTS_S * 1_000_000}
    connection.execute(sa.insert(logins), row)
    audit.note(connection, user.name, user.role, "login", f"user {user.name}", {"address": address})
    return token


def refuse(connection: sa.Connection, name: str, address: str) -> None:
    """Note a login that failed. A name that is not known may be a password typed into the wrong field: not kept."""
    known = users.find(connection, name)
    subject = f"user {name}" if known else "a name that is not known"
    audit.note(connection, "page", "nobody", "login refused", subject, {"address": address})


def log_out(connection: sa.Connection, token: str) -> None:
    """End a login; nothing happens when it has ended."""
    user = who(connection, token)
    if user is not None:
        connection.execute(sa.delete(logins).where(logins.c.token == _digest(token)))
        audit.note(connection, user.name, user.role, "logout", f"user {user.name}", {})


def who(connection: sa.Connection | None, token: str) -> User | None:
    """Whose login a token is; None: nobody's, or no more."""
    if connection is None:
        return None
    query = sa.select(users_table.c.name, users_table.c.role).join(logins, logins.c.name == users_table.c.name)
    its = (logins.c.token == _digest(token)) & (logins.c.until_us > time.time_ns() // 1000)
    row = connection.execute(query.where(its)).first()
    return User(row.name, row.role) if row else None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
