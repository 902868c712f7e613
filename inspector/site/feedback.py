"""Feedback: what operators say about judged parts, and what engineers make of it. Nothing here touches a recipe.

    mark -> open -> accept -> accepted: `recipe confirm` uses it
                 -> refuse -> refused: kept, and nothing else

At most one mark of a part is open. The latest accepted one counts, and only while the audit log vouches for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

import sqlalchemy as sa

from inspector.confirmed import PartId, score_of
from inspector.errors import SiteError
from inspector.site import audit
from inspector.site.tables import feedback

Says = Literal["good", "bad"]
Row = dict[str, Any]


def mark(connection: sa.Connection, part: Mapping[str, Any], says: Says, operator: str, note: str = "") -> Row:
    """Put a part into the review queue.

    Args:
        part: its row of the history.

    Raises:
        SiteError: the line never judged the part, or a mark of it is open.
    """
    number = part["sequence"]
    if score_of(part) is None:
        why = part["reason"] or "no verdict"
        raise SiteError(f"part {number} was not judged ({why}); mark parts that have a score")
    of_part = (feedback.c.boot == part["boot"]) & (feedback.c.sequence == number) & (feedback.c.state == "open")
    waiting = connection.scalar(sa.select(feedback.c.id).where(of_part))
    if waiting is not None:
        raise SiteError(f"mark {waiting} of part {number} is open; an engineer accepts or refuses it first")
    row = {
        "state": "open", "product": part["product"], "bundle": part["bundle"], "boot": part["boot"],
        "sequence": number, "outcome": part["outcome"], "says": says, "marked_us": time.time_ns() // 1000,
        "operator": operator, "note": note,
    }  # fmt: skip
    made = dict(connection.execute(sa.insert(feedback).returning(*feedback.c), row).mappings().one())
    audit.note(connection, operator, "operator", "feedback mark", _subject(made), {**_said(made), "note": note})
    return made


def decide(connection: sa.Connection, number: int, is_accepted: bool, engineer: str, reason: str) -> Row:
    """Accept or refuse an open mark, for good.

    Raises:
        SiteError: there is no such mark, or it was decided already.
    """
    known = dict(connection.execute(sa.select(feedback).where(feedback.c.id == number)).mappings().first() or {})
    if not known:
        raise SiteError(f"there is no mark {number}; inspector feedback list shows them")
    if known["state"] != "open":
        raise SiteError(f"mark {number} was {known['state']} by {known['engineer']}; mark the part again")
    action = "feedback accept" if is_accepted else "feedback refuse"
    audit.note(connection, engineer, "engineer", action, _subject(known), {**_said(known), "reason": reason})
    decided = {
        "state": "accepted" if is_accepted else "refused", "decided_us": time.time_ns() // 1000,
        "engineer": engineer, "reason": reason,
    }  # fmt: skip
    connection.execute(sa.update(feedback).where(feedback.c.id == number), decided)
    return {**known, **decided}


def list_marks(connection: sa.Connection, product: str = "", state: str = "") -> list[Row]:
    """Marks, oldest first; "": of any."""
    tests = [column == value for column, value in ((feedback.c.product, product), (feedback.c.state, state)) if value]
    return [
        dict(row) for row in connection.execute(sa.select(feedback).where(*tests).order_by(feedback.c.id)).mappings()
    ]


def known_parts(connection: sa.Connection, product: str) -> dict[PartId, Says]:
    """What engineers accepted.

    Raises:
        SiteError: a mark says accepted, the audit log says otherwise.
    """
    known: dict[PartId, Says] = {}
    for row in list_marks(connection, product, "accepted"):
        if not audit.vouches(connection, "feedback accept", _subject(row), {**_said(row), "reason": row["reason"]}):
            raise SiteError(f"the audit log doesn't vouch for mark {row['id']}; run inspector audit verify")
        known[row["boot"], row["sequence"]] = row["says"]
    return known


def words(connection: sa.Connection, product: str) -> dict[PartId, tuple[Says, audit.Role]]:
    """What is said of parts, and whose word it is: an engineer's where one was accepted, else an open mark's operator.

    Raises:
        SiteError: see `known_parts`.
    """
    said: dict[PartId, tuple[Says, audit.Role]] = {
        (row["boot"], row["sequence"]): (row["says"], "operator") for row in list_marks(connection, product, "open")
    }
    said.update({part: (says, "engineer") for part, says in known_parts(connection, product).items()})
    return said


def _subject(row: Mapping[str, Any]) -> str:
    return f"mark {row['id']}"


def _said(row: Mapping[str, Any]) -> Row:
    return {name: row[name] for name in ("product", "boot", "sequence", "outcome", "says")}
