"""The audit log: whatever is changed in it shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.errors import HistoryError, SiteError
from inspector.site import audit
from inspector.site.database import reading, site_file, writing
from inspector.site.tables import metadata


def chain(count: int) -> list[dict[str, Any]]:
    """A sound log."""
    rows, head = [], audit.GENESIS
    for number in range(1, count + 1):
        row = {
            "id": number, "at_us": number * 1000, "who": "Berta", "role": "engineer", "action": "feedback accept",
            "subject": f"mark {number}", "detail": '{"says": "good"}', "previous": head,
        }  # fmt: skip
        head = audit.digest(row)
        rows.append({**row, "digest": head})
    return rows


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(2, 6))
def test_any_changed_value_removed_entry_or_swap_before_the_end_shows(data: st.DataObject, count: int) -> None:
    rows = chain(count)
    head = audit.check(rows).head
    assert audit.check(rows, head) == audit.Verified(count, head, "")
    place = data.draw(st.integers(0, count - 1))
    forged = [dict(row) for row in rows]
    change = data.draw(st.sampled_from(["value", "removed", "swapped", "rewritten", "added"]))
    if change == "value":
        name = data.draw(st.sampled_from(sorted(rows[0])))
        value = rows[place][name]
        forged[place][name] = value + 1 if isinstance(value, int) else data.draw(st.text().filter(lambda t: t != value))
    elif change == "removed":
        del forged[place]
    elif change == "swapped":
        other = data.draw(st.integers(0, count - 1).filter(lambda n: n != place))
        forged[place], forged[other] = forged[other], forged[place]
    elif change == "rewritten":  # by somebody who knows the rule, up to the end: only the noted head tells
        forged[place]["who"] = "nobody"
        for number in range(place, count):
            forged[number]["previous"] = forged[number - 1]["digest"] if number else audit.GENESIS
            forged[number]["digest"] = audit.digest(forged[number])
    else:
        forged.insert(place, dict(rows[place]))
    assert audit.check(forged, head).fault


def test_entries_are_chained_and_a_slip_is_refused_by_the_database(tmp_path: Path) -> None:
    for number in (1, 2):
        with writing(tmp_path) as site:
            audit.note(site, "Berta", "engineer", "feedback accept", f"mark {number}", {"says": "good"})
    with reading(tmp_path) as site:
        assert site is not None
        newest, oldest = audit.list_entries(site, 10)
        assert (newest["previous"], newest["detail"]) == (oldest["digest"], {"says": "good"})
        assert audit.verify(site, oldest["digest"]) == audit.Verified(2, newest["digest"], "")
        assert "cut off" in audit.verify(site, "f" * 64).fault
    for statement in ("UPDATE audit SET who = 'nobody'", "DELETE FROM audit"):
        with pytest.raises(SiteError, match="append-only"), writing(tmp_path) as site:
            site.exec_driver_sql(statement)


def test_what_fails_leaves_no_entry(tmp_path: Path) -> None:
    def fail() -> None:
        with writing(tmp_path) as site:
            audit.note(site, "Berta", "engineer", "recipe confirm", "recipe", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with reading(tmp_path) as site:
        assert site is not None
        assert audit.verify(site) == audit.Verified(0, audit.GENESIS, "")


def test_nobody_decides_without_a_name(site: sa.Connection) -> None:
    with pytest.raises(SiteError, match="--engineer NAME"):
        audit.note(site, "  ", "engineer", "feedback accept", "mark 1", {})


def test_an_entry_vouches_only_for_what_it_says_and_only_unchanged(site: sa.Connection) -> None:
    def vouches(says: str, subject: str = "mark 1") -> bool:
        return audit.vouches(site, "feedback accept", subject, {"says": says})

    assert not vouches("good")
    audit.note(site, "Otto", "operator", "feedback mark", "mark 1", {})
    audit.note(site, "Berta", "engineer", "feedback accept", "mark 1", {"says": "good"})
    assert vouches("good")
    assert not vouches("bad")
    assert not vouches("good", "mark 2")
    site.exec_driver_sql("UPDATE audit SET who = 'nobody' WHERE id = 2")
    assert not vouches("good")


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    with writing(tmp_path) as site:
        assert compare_metadata(MigrationContext.configure(site, opts={"compare_type": True}), metadata) == []


def test_a_site_without_decisions_is_not_created_by_a_look_and_a_broken_one_is_named(tmp_path: Path) -> None:
    with reading(tmp_path) as site:
        assert site is None
    assert not site_file(tmp_path).exists()
    site_file(tmp_path).write_bytes(b"no database at all" * 100)
    with pytest.raises(SiteError, match=r"site\.sqlite.*restore"), reading(tmp_path) as site:
        audit.verify(site)  # type: ignore[arg-type]
    with pytest.raises(HistoryError, match=r"site\.sqlite"), writing(tmp_path):
        pass
