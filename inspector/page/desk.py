"""Desk: lets people in, knows who is in, and notes who was refused. Every file access of it is in a thread."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from pathlib import Path
from typing import TypeVar

from inspector.errors import InspectorError
from inspector.site import audit, logins, users
from inspector.site.database import reading, writing
from inspector.site.users import User

K = TypeVar("K")
V = TypeVar("V")

KNOWN_S = 1.0  # an answer of the database holds so long: a page is thirty files; a removed user is out a second later
NOTED_S = 60.0  # the audit log is for ever: of the same refusal it gets one entry in this time
REMEMBERED = 1_000
WAITING = 8  # attempts in the queue; each takes a tenth of a second


class TooMany(InspectorError):
    """Somebody has to wait before the next attempt.

    Attributes:
        wait_s: how long.
    """

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many attempts; wait {wait_s:.0f} s")
        self.wait_s = wait_s


class Desk:
    """Logins as the page sees them. Used by the page's event loop."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._throttle = logins.Throttle()
        self._turn = asyncio.Lock()  # one attempt after the other, so that none escapes the throttle
        self._waiting = 0
        self._known: OrderedDict[str, tuple[User | None, float]] = OrderedDict()
        self._noted: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def who(self, token: str) -> User | None:
        """Whose login a token is; None: nobody's, or no more."""
        if not token:
            return None
        user, at = self._known.get(token, (None, float("-inf")))
        if time.monotonic() - at > KNOWN_S:
            user = await asyncio.to_thread(self._ask, token)
            _remember(self._known, token, (user, time.monotonic()))
        return user

    async def log_in(self, name: str, password: str, address: str) -> str | None:
        """Begin a login.

        Returns:
            The token for the browser; None: name or password is wrong.

        Raises:
            TooMany: not now.
        """
        keys = f"name {name[:64]}", f"from {address}"
        if self._waiting >= WAITING:
            raise TooMany(1.0)
        self._waiting += 1
        try:
            async with self._turn:
                wait_s = self._throttle.wait_s(*keys)
                if wait_s:
                    raise TooMany(wait_s)
                token = await asyncio.to_thread(self._attempt, name, password, address)
                (self._throttle.succeeded if token else self._throttle.failed)(*keys)
                return token
        finally:
            self._waiting -= 1

    async def log_out(self, token: str) -> None:
        """End a login."""
        self._known.pop(token, None)
        await asyncio.to_thread(self._end, token)

    async def refuse(self, why: str, subject: str, address: str, user: User | None) -> None:
        """Note that something was refused."""
        now, key = time.monotonic(), (why, address)
        if now - self._noted.get(key, float("-inf")) < NOTED_S:
            return
        _remember(self._noted, key, now)
        await asyncio.to_thread(self._note, why, subject, address, user)

    def _ask(self, token: str) -> User | None:
        with reading(self.data_dir) as site:
            return logins.who(site, token)

    def _attempt(self, name: str, password: str, address: str) -> str | None:
        with reading(self.data_dir) as known:  # hashing takes long; nobody else's writing waits for it
            user = users.check(known, name, password)
        with writing(self.data_dir) as site:
            if user is not None and users.find(site, name) == user:
                return logins.log_in(site, user, address)
            logins.refuse(site, name, address)
            return None

    def _end(self, token: str) -> None:
        with writing(self.data_dir) as site:
            logins.log_out(site, token)

    def _note(self, why: str, subject: str, address: str, user: User | None) -> None:
        role: audit.Role = user.role if user else "nobody"
        told = {"why": why, "address": address}
        with writing(self.data_dir) as site:
            audit.note(site, user.name if user else "page", role, "page refused", subject[:128], told)


def _remember(kept: OrderedDict[K, V], key: K, value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > REMEMBERED:
        kept.popitem(last=False)
