"""Audit: who decided what, and when. Append-only; each entry's digest covers the one before, so that a change shows.

    digest(n) = sha256(JSON [id, at_us, who, role, action, subject, detail, digest(n-1)])

A chain alone can't tell that its end was cut off, or that all of it was written anew: note its head now and then
and let `verify` look for it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from inspector.errors import SiteError
from inspector.site.tables import audit

Role = Literal["operator", "engineer", "admin", "nobody"]  # nobody: who is not logged in
GENESIS = "0" * 64  # what the first entry is chained to


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look at the whole chain found.

    Attributes:
        head: digest of the last entry.
        fault: what is wrong with the first bad entry; "": the chain holds.
    """

    entries: int
    head: str
    fault: str


def note(connection: sa.Connection, who: str, role: Role, action: str, subject: str, detail: Mapping[str, Any]) -> None:
    """Append an entry, in the transaction of what it is about: neither is there without the other.

    Raises:
        SiteError: nobody is named.
    """
    if not who.strip():
        raise SiteError(f"{action} needs the name of who does it; give --{role} NAME")
    last = connection.execute(sa.select(audit.c.id, audit.c.digest).order_by(audit.c.id.desc()).limit(1)).first()
    row: dict[str, Any] = {
        "id": 1 + (last.id if last else 0), "at_us": time.time_ns() // 1000, "who": who, "role": role,
        "action": action, "subject": subject, "detail": json.dumps(detail, sort_keys=True),
        "previous": last.digest if last else GENESIS,
    }  # fmt: skip
    connection.execute(sa.insert(audit), {**row, "digest": digest(row)})


def digest(row: Mapping[str, Any]) -> str:
    """What an entry's digest must be."""
    names = ("id", "at_us", "who", "role", "action", "subject", "detail", "previous")
    return hashlib.sha256(json.dumps([row[name] for name in names]).encode()).hexdigest()


def vouches(connection: sa.Connection, action: str, subject: str, detail: Mapping[str, Any]) -> bool:
    """The newest entry of this action on this subject says exactly this, and fits the one before it."""
    query = sa.select(audit).where(audit.c.action == action, audit.c.subject == subject)
    row = connection.execute(query.order_by(audit.c.id.desc()).limit(1)).mappings().first()
    if row is None:
        return False
    before = connection.scalar(sa.select(audit.c.digest).where(audit.c.id == row["id"] - 1)) or GENESIS
    told, kept = json.dumps(detail, sort_keys=True), dict(row)
    return (kept["digest"], kept["previous"], kept["detail"]) == (digest(kept), before, told)


def list_entries(connection: sa.Connection, limit: int) -> list[dict[str, Any]]:
    """The newest entries, newest first."""
    rows = connection.execute(sa.select(audit).order_by(audit.c.id.desc()).limit(limit)).mappings()
    return [{**row, "detail": json.loads(row["detail"])} for row in rows]


def verify(connection: sa.Connection, noted: str = "") -> Verified:
    """Check every entry against the one before, and that a digest noted earlier is still part of the chain."""
    rows = connection.execute(sa.select(audit).order_by(audit.c.id)).mappings().all()
    return check([dict(row) for row in rows], noted)


def check(rows: Sequence[Mapping[str, Any]], noted: str = "") -> Verified:
    """The same for entries that were read already, in their order."""
    head, met = GENESIS, noted in ("", GENESIS)
    for number, row in enumerate(rows, 1):
        if row["id"] != number:
            return Verified(number - 1, head, f"entry {number} is missing; {row['id']} stands in its place")
        if row["previous"] != head or row["digest"] != digest(row):
            return Verified(number - 1, head, f"entry {number} was changed, or the one before it")
        head = row["digest"]
        met = met or head == noted
    fault = "" if met else f"digest {noted} is not in the log: its end was cut off, or it was written anew"
    return Verified(len(rows), head, fault)
