"""The page in a real Chromium: what an operator and an engineer see and do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from inspector.site.database import reading
from inspector.site.feedback import list_marks

if TYPE_CHECKING:
    from tests.inspector.page.conftest import Served

CHROMIUM = "/usr/bin/chromium"  # Debian's; playwright's own would be fetched from the network
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
WAIT_MS = 30_000  # before a test gives up; on an idle box a view is there within a second
PASSWORD = "correct horse"
VIEWS = ("/", "/history", "/trends", "/what-if")
NETWORK_WORD = "Failed to load resource"  # Chromium's of any answer above 399, a refused login too


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


class Visitor:
    """One browser window, and all that its console complained of."""

    def __init__(self, context: BrowserContext, served: Served) -> None:
        self.context, self.served, self.url = context, served, served.url
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "request",
            lambda asked: asked.url.startswith((served.url, "data:", "ws:")) or self.foreign.append(asked.url),
        )

    def log_in(self, name: str, password: str = PASSWORD) -> None:
        self.page.goto(self.url)
        self.page.fill("input[name=name]", name)
        self.page.fill("input[name=password]", password)
        self.page.click("button")

    def open(self, path: str, name: str) -> None:
        """As somebody who is logged in."""
        cookie, token = self.served.cookie(name).split("=", 1)
        self.context.add_cookies([{"name": cookie, "value": token, "url": self.url, "secure": True}])
        self.page.goto(self.url + path)
        self.page.get_by_role("button", name=re.compile("Log out|Abmelden")).wait_for()


@pytest.fixture(scope="module")
def contexts(browser: Browser) -> dict[str, BrowserContext]:
    """One per language: files of the framework are fetched once."""
    expect.set_options(timeout=WAIT_MS)
    made = {name: browser.new_context(viewport=DESKTOP, locale=name) for name in ("en-GB", "de-DE")}  # type: ignore[arg-type]
    for context in made.values():
        context.set_default_timeout(WAIT_MS)
    return made


@pytest.fixture
def visitor(contexts: dict[str, BrowserContext], served: Served, request: pytest.FixtureRequest) -> Iterator[Visitor]:
    context = contexts[getattr(request, "param", "en-GB")]
    context.clear_cookies()
    opened = Visitor(context, served)
    yield opened
    opened.page.close()
    assert [word for word in opened.complaints if NETWORK_WORD not in word] == []
    assert opened.foreign == [], "the page works without a network"


def test_a_wrong_password_is_told_and_lets_nobody_in(visitor: Visitor) -> None:
    visitor.log_in("Otto", "not the password")
    expect(visitor.page.get_by_role("alert")).to_have_text("Name or password is wrong.")
    visitor.page.goto(f"{visitor.url}/history")
    expect(visitor.page.get_by_label("Password")).to_be_visible()


def test_an_operator_sees_the_verdict_and_counts_that_balance(visitor: Visitor) -> None:
    visitor.log_in("Otto")
    verdict = visitor.page.locator(".verdict")
    expect(verdict.locator(".word")).to_have_text("REJECT")
    expect(verdict).to_contain_text("above_limit")
    expect(visitor.page.get_by_text("the books balance")).to_be_visible()
    shown = visitor.page.locator(".facts .value").all_inner_texts()
    assert shown[:4] == ["9", "6", "2", "1"]
    assert shown[4] == "ring"
    expect(visitor.page.get_by_role("button", name="What if")).to_have_count(0)


def test_an_operator_marks_a_part_as_good(visitor: Visitor, served: Served) -> None:
    visitor.open("/history", "Otto")
    visitor.page.get_by_role("cell", name="7", exact=True).first.click()
    visitor.page.get_by_label("Note for the engineer").fill("only <b>dust</b>")
    visitor.page.get_by_role("button", name="It is really good").click()
    expect(visitor.page.get_by_text("It waits for an engineer")).to_be_visible()
    with reading(served.data_dir) as site:
        assert site is not None
        (mark,) = list_marks(site)
    assert (mark["sequence"], mark["says"], mark["operator"]) == (7, "good", "Otto")
    assert mark["note"] == "only <b>dust</b>"


def test_an_engineer_asks_what_another_limit_would_have_done(visitor: Visitor) -> None:
    visitor.open("/what-if", "Berta")
    expect(visitor.page.get_by_text("In force: review")).to_be_visible()
    visitor.page.get_by_label("Proposed review limit").fill("8000")
    visitor.page.get_by_role("button", name="Judge again").click()
    expect(visitor.page.get_by_text("8 parts: 2 -> 1 rejects; 1 change. 1 left out.")).to_be_visible()
    expect(visitor.page.get_by_role("cell", name="below the review limit")).to_be_visible()


def test_trends_show_yield_and_chart(visitor: Visitor) -> None:
    visitor.open("/trends", "Otto")
    expect(visitor.page.get_by_text("Yield: 75.00 %")).to_be_visible()
    expect(visitor.page.locator("canvas")).to_be_visible()


@pytest.mark.parametrize("visitor", ["de-DE"], indirect=True)
def test_a_german_browser_is_answered_in_german_and_no_view_scrolls_sideways(visitor: Visitor) -> None:
    for path in VIEWS:
        visitor.open(path, "Berta")
        for size in (DESKTOP, PHONE):
            visitor.page.set_viewport_size(size)  # type: ignore[arg-type]
            wide, shown = visitor.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
            assert wide <= shown, f"{path} at {size}"
    expect(visitor.page.get_by_text("Neu beurteilen")).to_be_visible()


def test_logging_out_ends_it(visitor: Visitor) -> None:
    visitor.log_in("Otto")
    visitor.page.get_by_role("button", name="Log out").click()
    expect(visitor.page.get_by_label("Password")).to_be_visible()
    visitor.page.goto(f"{visitor.url}/history")
    expect(visitor.page.get_by_label("Password")).to_be_visible()
