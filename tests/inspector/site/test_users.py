"""Who may use the page: passwords, roles, logins that end, and attempts that have to wait."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from inspector.errors import SiteError
from inspector.site import audit, logins, users
from inspector.site.database import reading, site_file, writing
from inspector.site.logins import ATTEMPTS, LASTS_S, WAIT_S, Throttle, log_in, log_out, refuse, who
from inspector.site.tables import users as table

if TYPE_CHECKING:
    from tests.inspector.conftest import Call

SECRET = "correct horse"


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real parameters are tested once."""
    monkeypatch.setattr(users, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds, of both clocks; change [0]."""
    at = [1_700_000_000.0]
    clocks = SimpleNamespace(time_ns=lambda: int(at[0] * 1e9), monotonic=lambda: at[0])
    monkeypatch.setattr(logins, "time", clocks)
    return at


def actions(site: sa.Connection) -> list[tuple[str, str, str]]:
    return [(row["who"], row["action"], row["subject"]) for row in reversed(audit.list_entries(site, 99))]


def test_a_user_is_known_by_name_and_password_and_by_nothing_less(site: sa.Connection) -> None:
    users.add(site, "Berta", "engineer", SECRET, "root")
    assert users.check(site, "Berta", SECRET) == users.User("Berta", "engineer")
    for name, password in (("Berta", "correct hors"), ("Berta", ""), ("berta", SECRET), ("Otto", SECRET), ("", "")):
        assert users.check(site, name, password) is None
    assert users.check(None, "Berta", SECRET) is None


def test_passwords_are_kept_as_argon2id_that_takes_memory_and_two_alike_look_different(
    site: sa.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "_hasher", PasswordHasher())
    for name in ("Berta", "Otto"):
        users.add(site, name, "operator", SECRET, "root")
    first, second = site.execute(sa.select(table.c.password)).scalars()
    assert first.startswith("$argon2id$v=19$m=65536,")
    assert first != second
    assert SECRET not in first + json.dumps(audit.list_entries(site, 9))


@pytest.mark.parametrize(
    ("name", "role", "password", "why"),
    [
        ("Otto", "boss", SECRET, "'boss' is no role"),
        ("", "admin", SECRET, "no user name"),
        (" Otto", "admin", SECRET, "no user name"),
        ("<script>", "admin", SECRET, "no user name"),
        ("O" * 65, "admin", SECRET, "no user name"),
        ("Otto", "admin", "123456789", "this one has 9"),
        ("Otto", "admin", "x" * 257, "this one has 257"),
        ("Berta", "admin", SECRET, "there is a user 'Berta'"),
    ],
)
def test_what_makes_no_user_is_refused_by_name(
    site: sa.Connection, name: str, role: str, password: str, why: str
) -> None:
    users.add(site, "Berta", "engineer", SECRET, "root")
    with pytest.raises(SiteError, match=why):
        users.add(site, name, role, password, "root")


@pytest.mark.parametrize(("role", "expected"), [("operator", 1), ("engineer", 2), ("admin", 3)])
def test_a_role_may_what_the_ones_before_it_may_and_no_more(role: users.Role, expected: int) -> None:
    assert [users.User("x", role).may(other) for other in users.ROLES] == [n < expected for n in range(3)]


def test_a_login_is_known_by_its_token_until_it_ends(site: sa.Connection, now: list[float]) -> None:
    user = users.add(site, "Otto", "operator", SECRET, "root")
    token, other = log_in(site, user, "10.0.0.7"), log_in(site, user, "10.0.0.8")
    assert who(site, token) == user
    assert who(site, token[:-1]) is None
    log_out(site, token)
    assert who(site, token) is None
    assert who(site, other) == user
    now[0] += LASTS_S + 1
    assert who(site, other) is None
    assert [action for _, action, _ in actions(site)] == ["user add", "login", "login", "logout"]


def test_the_database_holds_no_token(site: sa.Connection) -> None:
    token = log_in(site, users.add(site, "Otto", "operator", SECRET, "root"), "10.0.0.7")
    assert token not in repr(site.exec_driver_sql("SELECT * FROM logins").all())


@pytest.mark.parametrize("change", ["remove", "password"])
def test_removal_and_another_password_end_every_login(site: sa.Connection, change: str) -> None:
    token = log_in(site, users.add(site, "Otto", "operator", SECRET, "root"), "10.0.0.7")
    if change == "remove":
        users.remove(site, "Otto", "root")
    else:
        users.set_password(site, "Otto", "another secret", "root")
        assert users.check(site, "Otto", "another secret")
    assert who(site, token) is None
    assert users.check(site, "Otto", SECRET) is None


def test_nobody_can_be_neither_removed_nor_given_a_password(site: sa.Connection) -> None:
    with pytest.raises(SiteError, match="no user 'Otto'"):
        users.remove(site, "Otto", "root")
    with pytest.raises(SiteError, match="no user 'Otto'"):
        users.set_password(site, "Otto", SECRET, "root")


def test_a_refused_login_is_noted_without_what_may_be_a_password(site: sa.Connection) -> None:
    users.add(site, "Otto", "operator", SECRET, "root")
    refuse(site, "Otto", "10.0.0.7")
    refuse(site, SECRET, "10.0.0.7")
    assert actions(site)[1:] == [
        ("page", "login refused", "user Otto"),
        ("page", "login refused", "a name that is not known"),
    ]
    assert SECRET not in json.dumps(audit.list_entries(site, 9))
    assert audit.verify(site).fault == ""


def test_whoever_fails_too_often_waits_by_name_and_by_address(now: list[float]) -> None:
    throttle = Throttle()
    for _ in range(ATTEMPTS):
        assert throttle.wait_s("name Otto", "from 10.0.0.7") == 0
        throttle.failed("name Otto", "from 10.0.0.7")
    assert throttle.wait_s("name Otto", "from elsewhere") == WAIT_S
    assert throttle.wait_s("name Berta", "from 10.0.0.7") == WAIT_S
    assert throttle.wait_s("name Berta", "from elsewhere") == 0
    now[0] += WAIT_S
    assert throttle.wait_s("name Otto", "from 10.0.0.7") == 0


def test_a_success_forgets_the_failures(now: list[float]) -> None:
    throttle = Throttle()
    for _ in range(ATTEMPTS - 1):
        throttle.failed("name Otto")
    throttle.succeeded("name Otto")
    throttle.failed("name Otto")
    assert throttle.wait_s("name Otto") == 0


def test_the_throttles_memory_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "REMEMBERED", 3)
    throttle = Throttle()
    for number in range(10):
        throttle.failed(f"from {number}")
    assert len(throttle._failed) == 3


def test_a_database_from_before_there_were_users_is_read(tmp_path: Path) -> None:
    with writing(tmp_path) as site:
        for drop in ("DROP TABLE logins", "DROP TABLE users", "UPDATE alembic_version SET version_num = '0001'"):
            site.exec_driver_sql(drop)
    assert site_file(tmp_path).is_file()
    with reading(tmp_path) as kept:
        assert kept is not None
        assert users.list_users(kept) == []


def test_the_commands_add_list_change_and_remove(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*arguments: Any, said: str = SECRET) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(said + "\n"))
        return call("user", *arguments, "--data-dir", tmp_path)

    assert "Nobody yet" in run("list")[1]
    assert run("add", "Berta", "--role", "engineer", "--stdin", "--json")[0] == 0
    assert "this one has 5" in run("add", "Otto", "--stdin", said="short")[2]
    assert "'boss'" in run("add", "Otto", "--role", "boss", "--stdin")[2]
    (known,) = json.loads(run("list", "--json")[1])
    assert (known["name"], known["role"], set(known)) == ("Berta", "engineer", {"name", "role", "since_us"})
    assert run("password", "Berta", "--stdin", said="another secret")[0] == 0
    assert run("remove", "Berta")[0] == 0
    assert "Nobody yet" in run("list")[1]
    with reading(tmp_path) as site:
        assert site is not None
        assert [action for _, action, _ in actions(site)] == ["user add", "user password", "user remove"]
