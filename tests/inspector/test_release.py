"""A held line never says GOOD, whatever has become of the challenge; what it judged is kept."""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.detector import Anomaly
from engines.image import Image
from inspector import release as module
from inspector.errors import SiteError
from inspector.inspection import Band, Outcome, Reason, Verdict
from inspector.job import make_job
from inspector.line import Line
from inspector.release import STALE_S, Release, due_us
from inspector.site.challenge import begin, define, examine, finish, passed
from inspector.site.database import site_file, writing
from inspector.site.tables import metadata
from inspector.waiting import Waiting

if TYPE_CHECKING:
    from tests.inspector.conftest import FakeClock, FakeLink, Make

GOOD = Verdict(1, Outcome.GOOD, Band.CLEAR, None)
REJECT = Verdict(1, Outcome.REJECT, Band.CLEAR, Reason.ABOVE_LIMIT)
BROKEN = Verdict(1, Outcome.ERROR, Band.CLEAR, Reason.BAD_FRAME, "size")
PARTS = [("fine", "good"), ("cut", "bad")]


def run_challenge(site: sa.Connection, recipe: str = "r1", is_right: bool = True, line: str = "line1") -> None:
    begun = begin(site, line, "ring", recipe, "Otto")
    row = {"sequence": 1, "recipe": recipe, "outcome": "ERROR", "reason": "not_released", "acknowledged": True}
    judged = [{**row, "judged": name, "score": 1.0} for name in ("GOOD", "REJECT" if is_right else "GOOD")]
    assert finish(site, begun, examine(PARTS, recipe, judged))["state"] == ("passed" if is_right else "failed")


@pytest.fixture
def now(clock: FakeClock) -> FakeClock:
    """A clock that stands still at what is now: challenges are dated by the real one."""
    clock.utc = time.time_ns() // 1000
    return clock


def catch_up(clock: FakeClock) -> None:
    clock.utc = max(clock.utc + 1, time.time_ns() // 1000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with writing(tmp_path) as site:
        define(site, "ring", PARTS, "Berta")
    return tmp_path


def test_a_passed_challenge_releases_its_recipe_on_its_line_only(folder: Path, now: FakeClock) -> None:
    release = Release(folder, "line1", ["start"], now)
    other = Release(folder, "line2", ["start"], now)
    with writing(folder) as site:
        run_challenge(site)
    catch_up(now)
    assert release.hold(GOOD, "r1").outcome is Outcome.ERROR  # not asked yet
    for line in (release, other):
        line.refresh()
    assert release.hold(GOOD, "r1") is GOOD
    assert release.hold(REJECT, "r1") is REJECT
    assert release.hold(GOOD, "r2").reason is Reason.NOT_RELEASED
    assert other.hold(GOOD, "r1").reason is Reason.NOT_RELEASED


def test_a_held_verdict_keeps_what_was_judged_and_an_error_its_reason(folder: Path, now: FakeClock) -> None:
    release = Release(folder, "line1", ["start"], now)
    release.refresh()
    held = [release.hold(verdict, "r1") for verdict in (GOOD, REJECT)]
    assert [verdict.judged for verdict in held] == [Outcome.GOOD, Outcome.REJECT]
    assert {(verdict.outcome, verdict.reason) for verdict in held} == {(Outcome.ERROR, Reason.NOT_RELEASED)}
    assert release.hold(BROKEN, "r1") is BROKEN


def test_a_line_that_asks_for_no_challenge_is_never_held(tmp_path: Path, now: FakeClock) -> None:
    release = Release(tmp_path, "line1", [], now)
    release.refresh()
    assert release.hold(GOOD, "r1") is GOOD


@pytest.mark.parametrize("trouble", ["stale", "broken", "gone", "forged", "started again", "changed", "line clock"])
def test_whatever_is_wrong_holds_a_released_line(folder: Path, now: FakeClock, trouble: str) -> None:
    release = Release(folder, "line1", ["changeover"], now)
    with writing(folder) as site:
        run_challenge(site)
    catch_up(now)
    release.refresh()
    assert release.hold(GOOD, "r1") is GOOD
    if trouble == "stale":
        now.advance(STALE_S * 1000 + 1)
    elif trouble == "changed":
        release.put_in_force("r1")  # held at once, and after the next look too
        assert release.hold(GOOD, "r1") is not GOOD
        release.refresh()
    elif trouble == "started again":
        release = Release(folder, "line1", ["changeover"], now)
        release.refresh()
    elif trouble == "line clock":  # set back: the challenge lies in the future, so nobody knows what it is worth
        release = Release(folder, "line1", ["06:00"], now)
        now.utc -= 3_600_000_000
        release.refresh()
    else:
        if trouble == "broken":
            site_file(folder).write_bytes(b"no database at all" * 1000)
            for more in ("-wal", "-shm"):
                site_file(folder).with_name(f"site.sqlite{more}").unlink(missing_ok=True)
        elif trouble == "gone":
            site_file(folder).unlink()
        else:
            with writing(folder) as site:
                site.exec_driver_sql("UPDATE challenges SET recipe = 'r2'")
        release.refresh()
    for recipe in ("r1", "r2"):
        assert release.hold(GOOD, recipe).reason is Reason.NOT_RELEASED


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one line's name whenever the challenges are read."""
    names: list[str] = []

    def counting(site: sa.Connection, line: str) -> dict[str, int]:
        names.append(line)
        return passed(site, line)

    monkeypatch.setattr(module, "passed", counting)
    return names


def test_the_database_is_read_again_only_when_its_files_changed(folder: Path, now: FakeClock, reads: list[str]) -> None:
    release = Release(folder, "line1", ["start"], now)
    with writing(folder) as site:
        run_challenge(site)
    catch_up(now)
    for count in (1, 2):  # so soon after a change nobody knows whether a second one would show
        release.refresh()
        assert len(reads) == count
    now.advance(1000 * 60)
    for _ in range(5):
        release.refresh()
        assert (release.hold(GOOD, "r1"), len(reads)) == (GOOD, 3)
    with writing(folder) as site:
        begin(site, "line1", "ring", "r1", "Otto")
    release.refresh()
    assert (release.hold(GOOD, "r1").reason, len(reads)) == (Reason.NOT_RELEASED, 4)


def test_a_database_that_was_moved_away_holds_until_it_is_back(folder: Path, now: FakeClock) -> None:
    release = Release(folder, "line1", ["start"], now)
    with writing(folder) as site:
        run_challenge(site)
    now.advance(1000 * 60)
    release.refresh()
    assert release.hold(GOOD, "r1") is GOOD
    aside = site_file(folder).rename(folder / "aside")
    release.refresh()
    assert release.hold(GOOD, "r1").reason is Reason.NOT_RELEASED
    aside.rename(site_file(folder))
    release.refresh()
    assert release.hold(GOOD, "r1") is GOOD


@pytest.mark.parametrize(
    ("moments", "expected"),
    [((), 0), (("start",), 50), (("changeover",), 70), (("start", "changeover"), 70)],
)
def test_a_start_is_a_changeover_but_a_changeover_is_no_start(moments: tuple[str, ...], expected: int) -> None:
    assert due_us(moments, 100, 50, 70) == expected
    assert due_us(moments, 100, 50, 0) == (50 if moments else 0)


def test_a_time_of_day_is_due_at_its_last_coming() -> None:
    def at(day: int, hour: int, minute: int) -> int:
        return round(datetime.datetime(2026, 1, day, hour, minute).timestamp() * 1e6)

    shifts = ("06:00", "22:00")
    assert due_us(shifts, at(5, 6, 0), 0, 0) == at(5, 6, 0)
    assert due_us(shifts, at(5, 5, 59), 0, 0) == at(4, 22, 0)
    assert due_us(shifts, at(5, 21, 59), 0, 0) == at(5, 6, 0)


acts = st.tuples(st.sampled_from(["pass", "fail", "open", "change", "wait", "break", "mend"]), st.sampled_from("ab"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(acts, max_size=10))
def test_a_held_line_never_says_good(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, todo: list[tuple[str, str]]
) -> None:
    """Held against the simplest account of it: what was done last about each recipe."""
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    metadata.create_all(engine)
    is_broken, has_passed, is_fresh = False, {"a": False, "b": False}, True

    @contextmanager
    def reading(_: Path) -> Iterator[sa.Connection]:
        if is_broken:
            raise SiteError("cannot read")
        yield site

    monkeypatch.setattr(module, "reading", reading)
    with engine.connect() as site:
        define(site, "ring", PARTS, "Berta")
        catch_up(clock)
        release = Release(tmp_path, "line1", ["changeover"], clock)
        for act, recipe in todo:
            is_fresh = act != "wait"
            if act in ("pass", "fail"):
                run_challenge(site, recipe, act == "pass")
                has_passed[recipe] = act == "pass"
            elif act == "open":
                begin(site, "line1", "ring", recipe, "Otto")
                has_passed[recipe] = False
            elif act == "change":
                release.put_in_force(recipe)
                has_passed[recipe] = False
            elif act in ("break", "mend"):
                is_broken = act == "break"
            catch_up(clock)
            release.refresh()
            if act == "wait":
                clock.advance(STALE_S * 1000 + 1)
            for name in "ab":
                is_released = has_passed[name] and is_fresh and not is_broken
                assert (release.hold(GOOD, name).outcome is Outcome.GOOD) == is_released, (act, recipe, name)
                clock.utc = time.time_ns() // 1000
    engine.dispose()


class Flat:
    """A detector that finds nothing odd."""

    def detect(self, image: Image) -> Anomaly:
        return Anomaly((np.zeros((8, 8), np.float32),), 0.0, 0.0)

    def close(self) -> None:
        pass


def test_the_line_asks_with_the_recipe_that_the_part_was_numbered_under(
    make: Make, link: FakeLink, clock: FakeClock
) -> None:
    waiting = Waiting(2)
    lane = waiting.add_lane()
    for number, product in enumerate(("ring", "disc"), 1):
        lane.offer(dataclasses.replace(make.part(number), job=make_job(make.recipe(product), [Flat()])))
    lane.end()

    def hold(verdict: Verdict, recipe: str) -> Verdict:
        is_held = recipe == "checksum of ring"
        return dataclasses.replace(verdict, outcome=Outcome.ERROR, reason=Reason.NOT_RELEASED) if is_held else verdict

    Line(waiting, 0, link, clock, lambda: None, lambda part: None, hold).run()
    assert [verdict.outcome for verdict in link.verdicts] == [Outcome.ERROR, Outcome.GOOD]
