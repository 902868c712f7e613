"""Challenge: known good and known bad parts, put into a held line, must come out right before it is released.

begin -> open -> every part as expected -> passed: releases the line for this recipe, until one is due again
              -> any other way          -> failed
              -> killed                 -> stays open; only a newer challenge helps
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

from inspector.errors import SiteError
from inspector.history.queries import Filter, each_part
from inspector.inspection import Outcome, Reason
from inspector.site import audit
from inspector.site.tables import challenge_sets, challenges

Row = dict[str, Any]
EXPECTED = {"good": Outcome.GOOD, "bad": Outcome.REJECT}
PICTURES = ""  # in place of a line, which always has a name: no line saw these parts, and none is released
POLL_S = 0.2


def define(connection: sa.Connection, product: str, parts: Sequence[tuple[str, str]], engineer: str) -> Row:
    """Say which challenge parts a product has, in the order in which they are put in; it replaces an earlier set.

    Args:
        parts: name and "good" or "bad".

    Raises:
        SiteError: a kind of part is missing, or two have one name.
    """
    if {kind for _, kind in parts} != set(EXPECTED):
        raise SiteError(f"challenge parts of {product}: give at least one good and one bad, such as --part scratch=bad")
    if len({name for name, _ in parts}) < len(parts):
        raise SiteError(f"challenge parts of {product}: two have one name; the record needs to tell them apart")
    row = {
        "product": product, "defined_us": time.time_ns() // 1000, "engineer": engineer,
        "parts": [list(part) for part in parts],
    }  # fmt: skip
    made = dict(connection.execute(sa.insert(challenge_sets).returning(*challenge_sets.c), row).mappings().one())
    audit.note(connection, engineer, "engineer", "challenge define", f"challenge set {made['id']}", row)
    return made


def begin(connection: sa.Connection, line: str, product: str, recipe: str, operator: str) -> Row:
    """Open a challenge, which holds the line for this recipe.

    Args:
        line: its name, or `PICTURES`.
        recipe: checksum of the one in force.

    Returns:
        The challenge, with the `parts` of its set.

    Raises:
        SiteError: the product has no challenge parts, or somebody changed them behind the audit log's back.
    """
    query = sa.select(challenge_sets).where(challenge_sets.c.product == product).order_by(challenge_sets.c.id.desc())
    known = dict(connection.execute(query.limit(1)).mappings().first() or {})
    if not known:
        raise SiteError(f"{product} has no challenge parts; an engineer gives them: inspector challenge define")
    number = known.pop("id")
    if not audit.vouches(connection, "challenge define", f"challenge set {number}", known):
        raise SiteError(f"the audit log doesn't vouch for challenge set {number}; run inspector audit verify")
    row = {
        "state": "open", "line": line, "product": product, "set_id": number, "recipe": recipe, "operator": operator,
        "started_us": time.time_ns() // 1000,
    }  # fmt: skip
    made = dict(connection.execute(sa.insert(challenges).returning(*challenges.c), row).mappings().one())
    audit.note(connection, operator, "operator", "challenge open", _subject(made), row)
    return {**made, "parts": known["parts"]}


def finish(connection: sa.Connection, begun: Mapping[str, Any], findings: Sequence[Row]) -> Row:
    """Close a challenge: passed when each of its parts came out right."""
    is_passed = len(findings) == len(begun["parts"]) and not any(finding["fault"] for finding in findings)
    result = {
        "state": "passed" if is_passed else "failed", "finished_us": time.time_ns() // 1000, "findings": findings,
    }  # fmt: skip
    its = (challenges.c.id == begun["id"]) & (challenges.c.state == "open")
    made = (
        connection.execute(sa.update(challenges).where(its).values(result).returning(*challenges.c)).mappings().first()
    )
    if made is None:
        raise SiteError(f"challenge {begun['id']} is not open any more; run another one")
    row = dict(made)
    audit.note(connection, row["operator"], "operator", f"challenge {row['state']}", _subject(row), _said(row))
    return row


def examine(parts: Sequence[Sequence[str]], recipe: str, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """What came of each challenge part; `fault` "": as it must.

    Args:
        parts: of the set.
        rows: of the history, in the order of their numbers; may be too few.
    """
    return [
        {"name": name, "expected": kind, **_fate(row), "fault": _fault(kind, recipe, row)}
        for (name, kind), row in zip(parts, [*rows, *[None] * len(parts)])
    ]


def next_parts(history: sa.Engine, since_us: int, count: int, wait_s: float) -> list[Row]:
    """The first parts that the line saw from a moment on, all acknowledged; fewer when they don't come in time."""
    ends, wanted = time.monotonic() + wait_s, Filter(since_us=since_us)
    before: list[int] = []
    while True:
        rows = list(islice(each_part(history, wanted, page=count), count))
        numbers = [row["sequence"] for row in rows if row["acknowledged"]]
        is_whole = len(numbers) == count and numbers[-1] - numbers[0] == count - 1
        # Seen twice: an earlier part may be recorded later than its successors.
        if (is_whole and numbers == before) or time.monotonic() > ends:
            return rows
        before = numbers
        time.sleep(POLL_S)


def list_challenges(connection: sa.Connection, limit: int) -> list[Row]:
    """The newest challenges, newest first."""
    query = sa.select(challenges).order_by(challenges.c.id.desc()).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def passed(connection: sa.Connection, line: str) -> dict[str, int]:
    """Start of the newest challenge of each recipe on a line, UTC microseconds, where it passed.

    An open or failed one hides what passed before it, and so does one that the audit log doesn't vouch for.
    """
    newest = sa.select(sa.func.max(challenges.c.id)).where(challenges.c.line == line).group_by(challenges.c.recipe)
    rows = connection.execute(sa.select(challenges).where(challenges.c.id.in_(newest))).mappings().all()
    sound = (
        row for row in map(dict, rows)
        if row["state"] == "passed" and audit.vouches(connection, "challenge passed", _subject(row), _said(row))
    )  # fmt: skip
    return {row["recipe"]: row["started_us"] for row in sound}


def _subject(row: Mapping[str, Any]) -> str:
    return f"challenge {row['id']}"


def _said(row: Mapping[str, Any]) -> Row:
    names = ("line", "product", "recipe", "set_id", "started_us", "finished_us", "findings")
    return {name: row[name] for name in names}


def _fate(row: Mapping[str, Any] | None) -> Row:
    names = ("sequence", "outcome", "reason", "judged", "score")
    return {name: row[name] if row else None for name in names}


def _fault(kind: str, recipe: str, row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "did not come"
    if row["recipe"] != recipe:
        return "judged with another recipe"
    if row["reason"] != Reason.NOT_RELEASED:
        return f"{row['outcome']} {row['reason'] or ''}".strip() + f" instead of {Reason.NOT_RELEASED.value}"
    if not row["acknowledged"]:
        return "not acknowledged by the ejector"
    return "" if row["judged"] == EXPECTED[kind] else f"judged {row['judged']} instead of {EXPECTED[kind].value}"
