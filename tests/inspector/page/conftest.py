"""A page that is served by a process of its own, over a product, a history and a line that answers."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from calibration.recipe import Recipe, save_recipe
from inspector.control import Control, Listed
from inspector.history.database import data_file, open_for_writing
from inspector.history.writer import HistoryWriter, Session
from inspector.inspection import Outcome
from inspector.site import audit, users
from inspector.site.database import reading, writing

if TYPE_CHECKING:
    from tests.inspector.conftest import Make

PASSWORD = "correct horse"
PEOPLE: dict[str, users.Role] = {"Otto": "operator", "Berta": "engineer"}
OUTCOMES = [Outcome.GOOD] * 6 + [Outcome.REJECT, Outcome.ERROR, Outcome.REJECT]
WAIT_S = 60.0  # before a test gives up; an idle box starts the page in three seconds


@dataclass
class Answer:
    """What the page said."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass
class Served:
    """The page's process, and what it reads."""

    port: int
    data_dir: Path
    recipe: Recipe
    _cookies: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> Answer:
        """One request, its path as it is written here."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            got = connection.getresponse()
            return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read().decode(errors="replace"))
        finally:
            connection.close()

    def log_in(self, name: str, password: str = PASSWORD, **headers: str) -> Answer:
        form = urlencode({"name": name, "password": password})
        kind = {"content_type": "application/x-www-form-urlencoded", "origin": self.url}
        return self.ask("POST", "/login", form, **{**kind, **headers})

    def cookie(self, name: str) -> str:
        """Of somebody who is logged in."""
        if name not in self._cookies:
            self._cookies[name] = self.fresh_cookie(name)
        return self._cookies[name]

    def fresh_cookie(self, name: str) -> str:
        """Of somebody who has just logged in."""
        return self.log_in(name).headers["set-cookie"].split(";")[0]

    def audited(self) -> list[dict[str, Any]]:
        """The newest entries of the audit log, newest first."""
        with reading(self.data_dir) as site:
            assert site is not None
            return audit.list_entries(site, 500)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, tiny_recipe: Recipe, make: Make) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("page")
    recipes = folder / "products" / "ring" / "recipes"
    recipes.mkdir(parents=True)
    recipe = save_recipe(recipes, tiny_recipe)
    database = open_for_writing(data_file(folder))
    now_us = time.time_ns() // 1000
    writer = HistoryWriter(
        database, Session("boot1", "line1", now_us, "ring", "camera", "onnxruntime", "0.1.0"), recipe
    )
    records = [make.record(number, outcome, value=1e3 * number) for number, outcome in enumerate(OUTCOMES, 1)]
    writer.write([replace(record, captured_us=now_us + record.sequence * 100_000) for record in records])
    with writing(folder) as site:
        for name, role in PEOPLE.items():
            users.add(site, name, role, PASSWORD, "root")
    control = Control(folder, lambda request: Listed("ring", recipe.checksum, recipe.engine, "", "", {}))
    control.start()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = folder / "line.toml"
    settings.write_text(
        f'[line]\nproduct = "ring"\ndata_dir = "{folder}"\n[camera]\nkind = "synthetic"\n[page]\nport = {port}\n'
    )
    call = [sys.executable, "-m", "inspector.cli", "page", "--config", str(settings)]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(call, stderr=log, stdout=log, env={**os.environ})
    made = Served(port, folder, recipe)
    try:
        _wait(made, process, folder / "log")
        yield made
    finally:
        process.terminate()
        assert process.wait(20) in (0, -signal.SIGTERM), (folder / "log").read_text()
        control.close()
        database.dispose()


def _wait(served: Served, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + WAIT_S
    while True:
        try:
            assert served.ask("GET", "/health/live").status == 200
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < ends, log.read_text()
            time.sleep(0.05)
