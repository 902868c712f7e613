"""Users of the page: names, roles and passwords; argon2id, so that a stolen file gives no password away quickly."""

from __future__ import annotations

import functools
import re
import threading
import time
from dataclasses import dataclass
from typing import Any, Literal, get_args

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from inspector.errors import SiteError
from inspector.site import audit
from inspector.site.tables import logins, users

Role = Literal["operator", "engineer", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)  # each may what the one before it may
NAME = re.compile(r"\w[\w .@-]{0,63}")
SHORTEST = 10  # characters of a password; NIST SP 800-63B asks for 8 at least
LONGEST = 256  # hashing more is work for an attacker to give away

_hasher = PasswordHasher()
_at_work = threading.Lock()  # a hash takes 64 MiB: one at a time, however many people log in


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may use the page."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether this user has at least that role."""
        return ROLES.index(self.role) >= ROLES.index(role)


def add(connection: sa.Connection, name: str, role: str, password: str, by: str) -> User:
    """Let somebody use the page.

    Args:
        by: who decides it, for the audit log.

    Raises:
        SiteError: the name is taken or none, there is no such role, or the password is too short.
    """
    known = next((known for known in ROLES if known == role), None)
    if known is None:
        raise SiteError(f"{role!r} is no role; choose one of {', '.join(ROLES)}")
    if not NAME.fullmatch(name):
        raise SiteError(f"{name!r} is no user name; write 1 to 64 letters, digits, spaces and . _ @ -")
    if find(connection, name):
        raise SiteError(f"there is a user {name!r}; remove it first, or change its password")
    row = {"name": name, "role": role, "password": _hash(password), "since_us": time.time_ns() // 1000}
    connection.execute(sa.insert(users), row)
    audit.note(connection, by, "admin", "user add", f"user {name}", {"role": role})
    return User(name, known)


def remove(connection: sa.Connection, name: str, by: str) -> None:
    """Let somebody use the page no more; ends every login.

    Raises:
        SiteError: there is no such user.
    """
    _must_be(connection, name)
    end_logins(connection, name)
    connection.execute(sa.delete(users).where(users.c.name == name))
    audit.note(connection, by, "admin", "user remove", f"user {name}", {})


def set_password(connection: sa.Connection, name: str, password: str, by: str) -> None:
    """Give a user another password; ends every login.

    Raises:
        SiteError: there is no such user, or the password is too short.
    """
    _must_be(connection, name)
    connection.execute(sa.update(users).where(users.c.name == name).values(password=_hash(password)))
    end_logins(connection, name)
    audit.note(connection, by, "admin", "user password", f"user {name}", {})


def list_users(connection: sa.Connection) -> list[dict[str, Any]]:
    """Everybody, by name; no passwords."""
    query = sa.select(users.c.name, users.c.role, users.c.since_us).order_by(users.c.name)
    return [dict(row) for row in connection.execute(query).mappings()]


def find(connection: sa.Connection, name: str) -> User | None:
    """The user of a name."""
    role = connection.scalar(sa.select(users.c.role).where(users.c.name == name))
    return User(name, role) if role else None


def check(connection: sa.Connection | None, name: str, password: str) -> User | None:
    """The user whose name and password these are. Takes as long for a name that is not known."""
    query = sa.select(users.c.role, users.c.password).where(users.c.name == name)
    row = connection.execute(query).first() if connection else None
    try:
        kept = row.password if row else _of_nobody()
        with _at_work:
            _hasher.verify(kept, password[:LONGEST])
    except (VerificationError, InvalidHashError):
        return None
    return User(name, row.role) if row else None


def end_logins(connection: sa.Connection, name: str) -> None:
    """Log a user out everywhere."""
    connection.execute(sa.delete(logins).where(logins.c.name == name))


@functools.cache
def _of_nobody() -> str:
    return _hash("a password that nobody has")


def _must_be(connection: sa.Connection, name: str) -> None:
    if find(connection, name) is None:
        raise SiteError(f"there is no user {name!r}; inspector user list shows them")


def _hash(password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        raise SiteError(f"a password needs {SHORTEST} to {LONGEST} characters, this one has {len(password)}")
    with _at_work:
        return _hasher.hash(password)
