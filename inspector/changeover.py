"""Changeover: puts another product in force while the line runs. Warm ones at once, cold ones once they are loaded.

    cold --load, in the background--> warm --change, between two numbers--> in force --change--> warm --budget--> cold

Until a change is done the old product judges, and after a failed one it goes on. What was changed stands in
`product_changes.jsonl` before it takes effect, so that a line that is started again judges the same product.
"""

from __future__ import annotations

import contextlib
import queue
import resource
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from calibration.changes import append_line, utc_now
from calibration.errors import CalibrationError
from engines.errors import EngineError
from inspector.admission import Admission
from inspector.control import Ask, Changed, Listed, Reply, Request
from inspector.errors import InspectorError
from inspector.job import Job

CHANGES = "product_changes.jsonl"
ROUND_S = 0.2  # how long a retired job may wait for being closed after its last part

log = structlog.get_logger("changeover")


class ProductChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the file.

    Attributes:
        at: UTC.
        configured: the product of the site config at that time; another one there counts for more than this line.
        recipe: checksum of the one put in force; "": the change failed, and the old product went on.
        operator: who asked for it; a name, not yet an identity.
    """

    at: str
    configured: str
    product: str
    recipe: str
    operator: str
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A job, the mark of the recipe that it was opened from, and what it takes."""

    job: Job
    mark: str
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Order:
    """What the loader is to do; `operator` None: only warm it."""

    name: str
    operator: str | None


class Changeover:
    """The products that are open, and the thread that loads and closes them.

    Attributes:
        failure: why the last change failed; "": it did not, or is not done.
    """

    def __init__(
        self,
        admission: Admission,
        configured: str,
        folder: Path,
        open_product: Callable[[str], Job],
        mark: Callable[[str], str],
        budget_mb: float,
        first_mark: str,
        first_mb: float = 0.0,
        before_change: Callable[[str], None] = lambda recipe: None,
    ) -> None:
        """
        Args:
            admission: its job is that of the product in force.
            configured: the site config's product.
            folder: where changes are noted.
            open_product: recipe and warm detectors of a product; raises what explains why not.
            mark: changes whenever another recipe of the product is made active or its certificates change; raises
                like `open_product`.
            budget_mb: what open products that are not in force may take together.
            first_mark: of the product now in force, from before it was opened; hours may lie between, in which the line
                waited for the ejector and another recipe was made active.
            before_change: told the checksum of a recipe just before it is put in force.
            first_mb: what the product now in force took, the engine's library included.
        """
        self._admission, self._configured, self._folder = admission, configured, folder
        self._open_product, self._mark, self._budget_mb = open_product, mark, budget_mb
        self._before_change = before_change
        job = admission.job
        first = Opened(job, first_mark, round(first_mb, 1))
        self._open = {job.recipe.product: first}  # in force or warm; last used last
        self._retired: list[Job] = []
        self._orders: queue.Queue[Order] = queue.Queue(100)
        self._loading = self.failure = ""
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="changeover", daemon=True)

    def start(self, warm: tuple[str, ...] = ()) -> None:
        """Begin, with these products to be opened beside the one in force."""
        for name in warm:
            self._orders.put_nowait(Order(name, None))
        self._thread.start()

    def close(self, timeout_s: float = 5.0) -> None:
        """Close every product; no part is looked at any more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        for job in [*self._retired, *(opened.job for opened in self._open.values())]:
            job.close()
        self._retired, self._open = [], {}

    @property
    def in_force(self) -> str:
        """The product that judges parts numbered now."""
        return self._admission.job.recipe.product

    def answer(self, request: Request) -> Reply:
        """What the control socket says to a request."""
        return self.products() if isinstance(request, Ask) else self.change(request.product, request.operator)

    def products(self) -> Listed:
        """What is in force, being loaded and open."""
        with self._lock:
            recipe = self._admission.job.recipe
            sizes = {name: opened.memory_mb for name, opened in self._open.items()}
            return Listed(recipe.product, recipe.checksum, recipe.engine, self._loading, self.failure, sizes)

    def change(self, name: str, operator: str) -> Changed:
        """Put a product in force: at once if it is warm and its recipe still the active one, else once it is loaded."""
        started_ns = time.perf_counter_ns()
        with self._lock:
            if self._loading:
                return Changed("failed", f"{self._loading} is being loaded; wait for it, {self.in_force} goes on")
            self.failure = ""
            try:
                opened = self._fresh(name)
                if opened is None:
                    self._orders.put_nowait(Order(name, operator))
                    self._loading = name
                    return Changed("loading", f"{self.in_force} goes on until {name} is loaded")
                first = self._switch(name, opened, operator)
            except (CalibrationError, EngineError, InspectorError, OSError, queue.Full) as error:
                return self._failed(name, operator, error)
        return Changed("changed", "", first, (time.perf_counter_ns() - started_ns) / 1e6)

    def _fresh(self, name: str) -> Opened | None:
        """A product that is open with the recipe that is active now."""
        mark, opened = self._mark(name), self._open.get(name)
        return opened if opened is not None and opened.mark == mark else None

    def _switch(self, name: str, opened: Opened, operator: str) -> int:
        checksum = opened.job.recipe.checksum
        note(self._folder, ProductChange(utc_now(), self._configured, name, checksum, operator))
        before = self.in_force
        self._before_change(checksum)
        first = self._admission.change(opened.job)
        self._open[name] = self._open.pop(name, opened)
        engine = opened.job.recipe.engine
        log.info(
            "product changed", product=name, was=before, recipe=checksum, engine=engine, first=first, operator=operator
        )
        return first

    def _failed(self, name: str, operator: str, error: Exception) -> Changed:
        why = f"{type(error).__name__}: {error}"
        log.error("product not changed", product=name, stays=self.in_force, why=why)
        with contextlib.suppress(OSError):  # the log and the answer say it too
            note(self._folder, ProductChange(utc_now(), self._configured, name, "", operator, why))
        self.failure = f"{self.in_force} stays in force: {why}"
        return Changed("failed", self.failure)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._tidy()
            with contextlib.suppress(queue.Empty):
                self._load(self._orders.get(timeout=ROUND_S))

    def _load(self, order: Order) -> None:
        try:
            opened = self._fresh(order.name) or self._opened(order.name)
            with self._lock:
                self._shelve(order.name, opened)
                if order.operator is not None:
                    self._switch(order.name, opened, order.operator)
        except Exception as error:  # whatever breaks while loading, the product in force goes on
            log.exception("product not loaded", product=order.name)
            if order.operator is not None:
                with self._lock:
                    self._failed(order.name, order.operator, error)
        finally:
            if order.operator is not None:
                self._loading = ""

    def _shelve(self, name: str, opened: Opened) -> None:
        stale = self._open.pop(name, opened)
        if stale is not opened:
            self._retired.append(stale.job)
        self._open = {name: opened, **self._open}  # the first to go, unless it is put in force

    def _opened(self, name: str) -> Opened:
        """What it takes is what this process grew by: too little where memory that others freed was used again."""
        mark, before = self._mark(name), resident_mb()
        job = self._open_product(name)
        return Opened(job, mark, round(max(0.0, resident_mb() - before), 1))

    def _tidy(self) -> None:
        """Close what does not fit into the budget, least recently used first, once its last part is judged."""
        with self._lock:
            warm = [name for name, opened in self._open.items() if opened.job is not self._admission.job]
            while warm and sum(self._open[name].memory_mb for name in warm) > self._budget_mb:
                log.info("product closed", product=warm[0], memory_mb=self._open[warm[0]].memory_mb)
                self._retired.append(self._open.pop(warm.pop(0)).job)
            done = [job for job in self._retired if self._admission.is_idle(job)]
            self._retired = [job for job in self._retired if job not in done]
        for job in done:
            job.close()


def note(folder: Path, change: ProductChange) -> None:
    """Append a change, durably.

    Raises:
        OSError: the disk refuses.
    """
    append_line(folder / CHANGES, msgspec.json.encode(change))


def product_to_start(folder: Path, configured: str) -> str:
    """The product that was in force last; the site config's if that was edited since, or nothing was changed."""
    last = last_change(folder)
    return last.product if last is not None and last.configured == configured else configured


def last_change(folder: Path) -> ProductChange | None:
    """The last one that took effect."""
    path, last = folder / CHANGES, None
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        with contextlib.suppress(msgspec.DecodeError):  # a line that a crash tore: it never took effect
            change = msgspec.json.decode(line, type=ProductChange)
            last = change if change.recipe else last
    return last


def resident_mb() -> float:
    """Of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6
