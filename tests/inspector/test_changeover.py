"""A change of product lies between two parts: none is judged by a mix, and a change that fails changes nothing."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.errors import RecipeError
from engines.detector import Anomaly
from engines.errors import RuntimeUnavailable
from engines.image import Image
from inspector.admission import Admission
from inspector.changeover import CHANGES, Changeover, ProductChange, note, product_to_start
from inspector.inspection import Part
from inspector.job import Job, make_job
from inspector.line import Line
from inspector.waiting import Waiting

if TYPE_CHECKING:
    from tests.inspector.conftest import FakeClock, FakeLink, Make

Until = Callable[[Callable[[], bool], str], None]
ENGINES = {"ring": "onnxruntime", "disc": "openvino:fp32", "cup": "onnxruntime"}
VALUES = {"ring": 1.0, "disc": 5.0, "cup": 9.0}  # what each product's detector gives, so that a score names it


class OneValue:
    """Gives maps of its product's value."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.is_closed = False

    def detect(self, image: Image) -> Anomaly:
        if self.is_closed:
            raise AssertionError("looked at a part after it was closed")
        return Anomaly((np.full((8, 8), self.value, np.float32),), 0.0, 0.0)

    def close(self) -> None:
        self.is_closed = True


class Counted:
    """Numbers without a file."""

    def __init__(self) -> None:
        self.upcoming = 1

    def take(self) -> int:
        self.upcoming += 1
        return self.upcoming - 1


class Shop:
    """A changeover over fake products, and a line that can be turned by hand."""

    def __init__(self, folder: Path, make: Make, link: FakeLink, clock: FakeClock, budget_mb: float = 1e6) -> None:
        self.make, self.link, self.folder = make, link, folder
        self.versions = dict.fromkeys(VALUES, 1)
        self.opened: list[Job] = []
        self.refuses: dict[str, BaseException] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = Waiting(1000)
        self.lane = self.waiting.add_lane()
        self.admission = Admission(Counted(), link, self.open("ring"))  # type: ignore[arg-type]
        self.line = Line(self.waiting, 0, link, clock, lambda: None, self.admission.finish)
        self.changeover = Changeover(self.admission, "ring", folder, self.open, self.mark, budget_mb, self.mark("ring"))

    def open(self, name: str) -> Job:
        assert self.gate.wait(20)
        if name in self.refuses:
            raise self.refuses[name]
        recipe = dataclasses.replace(
            self.make.recipe(name), checksum=f"{name} {self.versions[name]}", engine=ENGINES[name]
        )
        self.opened.append(make_job(recipe, [OneValue(VALUES[name])]))
        return self.opened[-1]

    def mark(self, name: str) -> str:
        if name not in self.versions:
            raise RecipeError(f"{name} was never calibrated")
        return str(self.versions[name])

    def trigger(self) -> Part:
        part = self.admission.admit(self.make.frame(), 10**9)
        assert self.lane.offer(part)
        return part

    def look(self) -> None:
        """At everything that waits."""
        while self.lane.parts:
            part = self.waiting.get(0)
            assert part is not None
            self.line.inspect(part)

    def judged(self) -> dict[int, tuple[str, float]]:
        """Product and score of each part, as the history would have them."""
        return {
            part.sequence: (part.job.recipe.checksum, inspection.score.value)
            for part, inspection, _ in self.link.sent
            if part.job and inspection and inspection.score
        }


@pytest.fixture
def shop(tmp_path: Path, make: Make, link: FakeLink, clock: FakeClock) -> Iterator[Shop]:
    made = Shop(tmp_path, make, link, clock)
    yield made
    made.gate.set()
    made.changeover.close()


def warm(shop: Shop, until: Until, *names: str) -> None:
    shop.changeover.start(names)
    until(lambda: {*names} <= {*shop.changeover.products().open_mb}, f"{names} are warm")


def test_a_warm_product_is_in_force_at_once_from_the_number_that_is_told(shop: Shop, until: Until) -> None:
    warm(shop, until, "disc")
    shop.trigger()
    told = shop.changeover.change("disc", "anna")
    after = shop.trigger()
    assert (told.state, told.first) == ("changed", after.sequence)
    assert 0 < told.took_ms < 50
    assert shop.changeover.products().engine == "openvino:fp32"  # which one judges may change with the product
    shop.look()
    assert {number: checksum for number, (checksum, _) in shop.judged().items()} == {1: "ring 1", 2: "disc 1"}


def test_a_part_that_waits_during_the_change_is_judged_as_what_it_was(shop: Shop, until: Until) -> None:
    warm(shop, until, "disc")
    waiting = shop.trigger()
    shop.changeover.change("disc", "anna")
    shop.look()
    ring = shop.make.recipe("ring")
    assert shop.judged()[waiting.sequence][0] == "ring 1"
    assert shop.link.verdicts[0].outcome.value == "GOOD"  # by the ring's own maps and limit
    assert ring.thresholds.review > VALUES["ring"]


def test_a_cold_product_loads_while_the_old_one_goes_on(shop: Shop, until: Until) -> None:
    shop.changeover.start()
    shop.gate.clear()
    assert shop.changeover.change("disc", "anna").state == "loading"
    assert shop.changeover.products().loading == "disc"
    assert shop.changeover.change("cup", "anna").state == "failed"  # one at a time
    shop.trigger()
    shop.look()
    shop.gate.set()
    until(lambda: shop.changeover.in_force == "disc", "disc is in force")
    shop.trigger()
    shop.look()
    assert [checksum for checksum, _ in shop.judged().values()] == ["ring 1", "disc 1"]


@pytest.mark.parametrize("error", [RuntimeUnavailable("no such engine"), MemoryError(), RuntimeError("broken file")])
def test_a_product_that_does_not_load_leaves_the_old_one_in_force_and_says_so(
    shop: Shop, until: Until, error: Exception
) -> None:
    shop.refuses["disc"] = error
    shop.changeover.start()
    assert shop.changeover.change("disc", "anna").state == "loading"
    until(lambda: not shop.changeover.products().loading, "it gave up")
    told = shop.changeover.products()
    assert told.in_force == "ring"
    assert "ring stays in force" in told.failure
    assert type(error).__name__ in told.failure
    assert product_to_start(shop.folder, "ring") == "ring"
    assert type(error).__name__ in (shop.folder / CHANGES).read_text()


def test_a_product_that_is_not_there_is_refused_at_once(shop: Shop) -> None:
    told = shop.changeover.change("lid", "anna")
    assert told.state == "failed"
    assert "never calibrated" in told.detail


def test_a_change_that_cannot_be_noted_is_none(shop: Shop, until: Until) -> None:
    warm(shop, until, "disc")
    (shop.folder / CHANGES).mkdir()
    told = shop.changeover.change("disc", "anna")
    assert (told.state, shop.changeover.in_force) == ("failed", "ring")


def test_a_recipe_made_active_since_it_was_warmed_is_loaded_anew(shop: Shop, until: Until) -> None:
    warm(shop, until, "disc")
    shop.versions["disc"] = 2
    assert shop.changeover.change("disc", "anna").state == "loading"
    until(lambda: shop.changeover.in_force == "disc", "disc is in force")
    shop.trigger()
    shop.look()
    assert shop.judged()[1][0] == "disc 2"


def test_a_recipe_made_active_while_the_line_waited_to_start_is_loaded(
    shop: Shop, tmp_path: Path, until: Until
) -> None:
    shop.versions["ring"] = 2  # after version 1 was opened, before there was a changeover
    changeover = Changeover(shop.admission, "ring", tmp_path, shop.open, shop.mark, 1e6, "1")
    changeover.start()
    assert changeover.change("ring", "anna").state == "loading"
    until(lambda: changeover.products().recipe == "ring 2", "the new recipe is in force")
    changeover.close()


def test_a_change_to_the_product_in_force_brings_its_new_recipe(shop: Shop, until: Until) -> None:
    shop.changeover.start()
    shop.versions["ring"] = 2
    before = shop.trigger()
    shop.changeover.change("ring", "anna")
    until(lambda: shop.changeover.products().recipe == "ring 2", "the new recipe is in force")
    after = shop.trigger()
    shop.look()
    assert [shop.judged()[part.sequence][0] for part in (before, after)] == ["ring 1", "ring 2"]


def test_what_does_not_fit_is_closed_but_never_before_its_last_part(
    tmp_path: Path, make: Make, link: FakeLink, clock: FakeClock, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inspector.changeover.ROUND_S", 0.001)
    sizes = iter(range(0, 10_000, 50))  # each look at the memory finds 50 MB more
    monkeypatch.setattr("inspector.changeover.resident_mb", lambda: float(next(sizes)))
    shop = Shop(tmp_path, make, link, clock, budget_mb=20.0)
    shop.changeover.start()
    for name in ("disc", "cup"):
        shop.changeover.change(name, "anna")
        until(lambda name=name: shop.changeover.in_force == name, f"{name} is in force")  # type: ignore[misc]
        shop.trigger()
    disc = next(job for job in shop.opened if job.recipe.product == "disc")
    until(lambda: "disc" not in shop.changeover.products().open_mb, "disc is no longer kept")
    assert not disc.detectors[0].is_closed  # type: ignore[attr-defined]
    shop.look()  # its part, by a detector that would complain
    assert [score > 0 for _, score in shop.judged().values()] == [True, True]
    until(lambda: disc.detectors[0].is_closed, "disc is closed")  # type: ignore[attr-defined]
    shop.changeover.close()
    assert all(job.detectors[0].is_closed for job in shop.opened)  # type: ignore[attr-defined]


Steps = st.lists(st.sampled_from(["trigger", "look", *VALUES]), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(steps=Steps)
def test_every_verdict_has_the_checksum_and_the_score_of_one_product(
    tmp_path_factory: pytest.TempPathFactory, make: Make, steps: list[str]
) -> None:
    from tests.inspector.conftest import FakeClock, FakeLink

    shop = Shop(tmp_path_factory.mktemp("shop"), make, FakeLink(), FakeClock())
    for name in VALUES:
        shop.changeover._open.setdefault(name, shop.changeover._opened(name))
    expected: dict[int, str] = {}
    for step in steps:
        if step == "trigger":
            expected[shop.trigger().sequence] = shop.changeover.in_force
        elif step == "look":
            shop.look()
        else:
            assert shop.changeover.change(step, "anna").state == "changed"
    shop.look()
    alone = {name: _score_of(name, make) for name in VALUES}
    assert shop.judged() == {number: (f"{name} 1", alone[name]) for number, name in expected.items()}
    shop.changeover.close()


def test_changes_under_a_running_line_never_mix(shop: Shop, until: Until) -> None:
    """Real threads: one triggers, one looks, one changes."""
    warm(shop, until, "disc", "cup")
    looking = threading.Thread(target=shop.line.run)
    looking.start()
    names, parts = list(VALUES), []
    changing = threading.Thread(target=lambda: [shop.changeover.change(names[n % 3], "anna") for n in range(60)])
    changing.start()
    for _ in range(600):
        parts.append(shop.trigger())
    changing.join(20)
    shop.lane.end()
    looking.join(20)
    alone = {f"{name} 1": _score_of(name, shop.make) for name in VALUES}
    judged = shop.judged()
    assert len(judged) == len(parts)
    assert all(score == alone[checksum] for checksum, score in judged.values())
    assert all(judged[part.sequence][0] == part.job.recipe.checksum for part in parts if part.job)


def test_a_restart_keeps_the_product_until_the_config_is_edited(tmp_path: Path) -> None:
    assert product_to_start(tmp_path, "ring") == "ring"
    note(tmp_path, ProductChange("", "ring", "disc", "c", "anna"))
    note(tmp_path, ProductChange("", "ring", "cup", "", "anna", "failed"))
    with open(tmp_path / CHANGES, "ab") as file:
        file.write(b'{"at": "torn')
    assert product_to_start(tmp_path, "ring") == "disc"
    assert product_to_start(tmp_path, "lid") == "lid"
    note(tmp_path, ProductChange("", "ring", "cup", "c", "anna"))  # the torn line does not swallow it
    assert product_to_start(tmp_path, "ring") == "cup"


def _score_of(name: str, make: Make) -> float:
    from engines.scoring import score

    return score((np.full((8, 8), VALUES[name], np.float32),), make.recipe(name).scoring).value


def test_a_recipe_is_announced_before_it_judges(tmp_path: Path, shop: Shop, until: Until) -> None:
    """Else a part could be numbered under it while the line still holds for released what was before."""
    told: list[tuple[str, str]] = []

    def announce(recipe: str) -> None:
        told.append((recipe, shop.admission.job.recipe.checksum))

    changeover = Changeover(shop.admission, "ring", tmp_path, shop.open, shop.mark, 1e6, "1", before_change=announce)
    changeover.start()
    changeover.change("disc", "anna")
    until(lambda: changeover.in_force == "disc", "disc is in force")
    changeover.close()
    assert told == [("disc 1", "ring 1")]
