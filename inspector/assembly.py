"""Puts a line, or an ejector, together from its config, runs it, and takes it apart again.

Order matters: the line reports ready only when engine, history and camera are open and every part of earlier runs is
settled with the ejector. On the way out the camera stops first and the history closes last.
"""

from __future__ import annotations

import fcntl
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import sqlalchemy as sa
import structlog

from calibration.changes import utc_now
from calibration.errors import CalibrationError
from calibration.recipe import Recipe
from engines.errors import EngineError
from engines.runtimes.base import engine_name
from inspector import __version__
from inspector.acquisition import Acquisition
from inspector.admission import Admission
from inspector.cameras.base import make_camera
from inspector.changeover import (
    CHANGES,
    Changeover,
    ProductChange,
    last_change,
    note,
    product_to_start,
    resident_mb,
)
from inspector.clock import SystemClock
from inspector.config import Config, EjectorSection
from inspector.control import Control
from inspector.drift import LiveDrift, drift_folder
from inspector.drivers import Driver, SimulatedDriver
from inspector.ejector import Ejector
from inspector.engine import open_engine
from inspector.errors import ConfigError, InspectorError, LineStopped
from inspector.gate import Gate, TimedBelt
from inspector.history.database import data_file, open_for_reading, open_for_writing
from inspector.history.writer import HistoryWriter, Session
from inspector.job import Job, make_job
from inspector.journal import Journal
from inspector.line import Line
from inspector.products import product
from inspector.protocol import MS, LineEnd
from inspector.recorder import Recorder
from inspector.reject import RejectLink
from inspector.release import Release
from inspector.sequence import SequenceFile
from inspector.tracking import Layout, Tracker
from inspector.waiting import Waiting
from inspector.watchdog import Notifier, Pulses, watchdog_period_s

# How long a loop may take for one round before the watchdog is no longer fed.
LIMIT_S = {
    "acquisition": 10.0,  # a software trigger may wait 1 s for readiness and 1 s for its picture; a reopen 5 s
    "inference": 5.0,  # a hundred times the slowest inference
    "link": 2.0,
    "recorder": 30.0,  # a busy database may hold a commit for BUSY_MS, several times
}
DRAIN_S = 10.0  # on the way out, for an ejector that is just restarting; systemd gives 90 s to stop
START_S = 30.0  # what is asked of systemd at a time while the ejector is not there

log = structlog.get_logger("line")


def run_line(config: Config, stopping: threading.Event, notifier: Notifier) -> None:
    """Run the line until it is told to stop or its parts end.

    Raises:
        EngineError, CalibrationError, InspectorError: it can't start; nothing was judged.
        LineStopped: it had to stop; what was judged is settled or will be at the next start.
    """
    clock = SystemClock()
    faults: list[str] = []

    def stop_for(fault: str) -> None:
        faults.append(fault)
        stopping.set()

    with ExitStack() as stack:
        stack.enter_context(_no_thread_dies_in_silence(stop_for))
        stack.enter_context(locked(config.line.data_dir))
        before_mb = resident_mb()
        job, mark = _open_first(config)
        job_mb = resident_mb() - before_mb
        stack.callback(job.close)
        recipe, engine = job.recipe, engine_name(job.recipe.engine)
        pulses = Pulses(clock)
        books = open_books(config, recipe, engine, pulses, stop_for, stack)
        stack.callback(_finish, books, config, faults)
        if _wait_for_ejector(books.link, config.ejector.endpoint, stopping, notifier):
            books.catch_up()
            admission = Admission(books.numbers, books.link, job)
            release = Release(config.line.data_dir, config.line.name, config.line.challenge, clock)
            changeover = _open_changeover(config, admission, mark, job_mb, release, stack)
            waiting = Waiting(config.line.queue)
            cameras = _open_cameras(config, waiting, admission, books, pulses, stop_for, stack)
            workers = _make_workers(config, waiting, admission, books, pulses, release, stack)
            for camera in cameras:
                camera.start()
            for worker in workers:
                worker.start()
            changeover.start(config.line.warm)
            folder = drift_folder(config.line.data_dir)
            # An engine of its own: the recorder's is one connection, for one thread.
            reader = open_for_reading(data_file(config.line.data_dir))
            drift = LiveDrift(reader, books.recorder, lambda: admission.job.recipe, folder)
            stack.callback(drift.close)
            drift.start()
            notifier.ready(f"{recipe.product} on {engine}, part {books.numbers.upcoming}")
            log.info("ready", product=recipe.product, engine=engine, sequence=books.numbers.upcoming)

            def chore() -> None:
                books.numbers.reserve_ahead()
                release.refresh()

            supervise(workers, pulses, notifier, stopping, chore)
            notifier.stopping()
            # The queue's end marker lets the line finish the parts it has; none is left without a verdict.
            for camera in cameras:
                camera.stop()
    if faults:
        raise LineStopped(faults[0])


@dataclass(frozen=True, slots=True)
class Books:
    """What makes the books balance: numbers, link and recorder."""

    numbers: SequenceFile
    link: RejectLink
    recorder: Recorder
    database: sa.Engine

    def catch_up(self) -> None:
        """Begin where journal and history together end; the link is ready."""
        self.recorder.skip_to(self.link.settled)
        self.numbers.skip_to(self.link.upcoming)
        self.numbers.reserve_ahead()


def open_books(
    config: Config, recipe: Recipe, engine: str, pulses: Pulses, stop_for: Callable[[str], None], stack: ExitStack
) -> Books:
    """Open history and numbers, start recorder and link; the link begins to settle what earlier runs left open."""
    clock, boot, data_dir = SystemClock(), uuid.uuid4().hex, config.line.data_dir
    database = open_for_writing(data_file(data_dir))
    stack.callback(database.dispose)
    cameras = ", ".join(camera.name for camera in config.every_camera)[:64]
    session = Session(boot, config.line.name, clock.utc_us(), recipe.product, cameras, engine, __version__)
    writer = HistoryWriter(database, session, recipe)
    numbers = SequenceFile(data_dir / "sequence")
    stack.callback(numbers.close)
    settled = writer.settled()
    recorder = Recorder(writer, settled, stop_for, pulses.register("recorder", LIMIT_S["recorder"]))
    link = RejectLink(
        endpoint=config.ejector.endpoint,
        boot=boot,
        end=LineEnd(config.line.name, boot, settled, numbers.upcoming, writer.expired()),
        clock=clock,
        record=recorder.submit,
        settled=lambda: recorder.settled,
        loop_age_ms=lambda: max(pulses.age_ms(name) for name in inference_names(config.line.in_flight)),
        on_fault=stop_for,
        beat=pulses.register("link", LIMIT_S["link"]),
    )
    recorder.start()
    link.start()
    return Books(numbers, link, recorder, database)


def _open_first(config: Config) -> tuple[Job, str]:
    """The product that was in force last, or the site's; and its mark from before it was opened."""
    folder, configured = config.line.data_dir, config.line.product
    name = product_to_start(folder, configured)
    try:
        mark = product(folder, name).mark()
        job, last = _open_job(config, name), last_change(folder)
        if last is not None and last.configured != configured:
            # Else the site's old product, written there once more, would bring back what was in force with it.
            note(folder, ProductChange(utc_now(), configured, name, job.recipe.checksum, "site config"))
        return job, mark
    except (EngineError, CalibrationError, InspectorError) as error:
        if name == configured:
            raise
        raise ConfigError(
            f"{error}; {name} was put in force while the line ran. To start with {configured}, remove "
            f"{folder / CHANGES}"
        ) from error


def _open_job(config: Config, name: str) -> Job:
    return make_job(*open_engine(config, product(config.line.data_dir, name)))


def _open_changeover(
    config: Config, admission: Admission, first_mark: str, job_mb: float, release: Release, stack: ExitStack
) -> Changeover:
    """What changes the product, not yet started, and the socket that asks for it."""
    data_dir = config.line.data_dir
    changeover = Changeover(
        admission=admission,
        configured=config.line.product,
        folder=data_dir,
        open_product=lambda name: _open_job(config, name),
        mark=lambda name: product(data_dir, name).mark(),
        budget_mb=config.line.warm_mb,
        first_mark=first_mark,
        first_mb=job_mb,
        before_change=release.put_in_force,
    )
    stack.callback(changeover.close)
    control = Control(data_dir, changeover.answer)
    control.start()
    stack.callback(control.close)
    return changeover


def _open_cameras(
    config: Config,
    waiting: Waiting,
    admission: Admission,
    books: Books,
    pulses: Pulses,
    stop_for: Callable[[str], None],
    stack: ExitStack,
) -> list[Acquisition]:
    """Open every camera and give each a thread and a lane, not yet started."""
    opened = []
    for section in config.every_camera:
        camera, name = make_camera(section), f"acquisition {section.name}"
        stack.callback(camera.close)
        camera.open()
        acquisition = Acquisition(
            camera=camera,
            lane=waiting.add_lane(),
            admission=admission,
            link=books.link,
            window_ms=config.ejector.window_ms,
            stop_after=config.line.stop_after,
            on_fault=stop_for,
            beat=pulses.register(name, LIMIT_S["acquisition"]),
            on_end=partial(pulses.retire, name),
        )
        stack.callback(acquisition.close)
        opened.append(acquisition)
    return opened


def _make_workers(
    config: Config,
    waiting: Waiting,
    admission: Admission,
    books: Books,
    pulses: Pulses,
    release: Release,
    stack: ExitStack,
) -> list[threading.Thread]:
    """A thread per detector of a job, not yet started; each part goes to the first that is free."""
    workers = []
    for place, name in enumerate(inference_names(config.line.in_flight)):
        beat = pulses.register(name, LIMIT_S["inference"])
        line = Line(waiting, place, books.link, SystemClock(), beat, admission.finish, release.hold)
        worker = threading.Thread(target=line.run, name=name, daemon=True)
        stack.callback(_join, worker)
        workers.append(worker)
    return workers


def inference_names(in_flight: int) -> list[str]:
    """Of the threads that look at parts, as log and watchdog know them."""
    return ["inference", *(f"inference-{number}" for number in range(2, in_flight + 1))]


def _join(worker: threading.Thread) -> None:
    if worker.ident is not None:  # it was started
        worker.join(LIMIT_S["inference"])


def supervise(
    workers: Sequence[threading.Thread],
    pulses: Pulses,
    notifier: Notifier,
    stopping: threading.Event,
    chore: Callable[[], None] = lambda: None,
) -> None:
    """Feed the watchdog while every loop comes round, until all workers end or the line is told to stop."""
    period_s = min(0.5, watchdog_period_s())
    while any(worker.is_alive() for worker in workers) and not stopping.wait(period_s):
        chore()
        hung = pulses.hung()
        if hung:
            log.error("not feeding the watchdog", hung=hung)
        else:
            notifier.alive()


def run_ejector(config: Config, stopping: threading.Event, notifier: Notifier) -> None:
    """Run the reference ejector until it is told to stop.

    Raises:
        LinkError: the endpoint is taken.
        JournalError: the journal can't be read or written.
    """
    folder = config.ejector.data_dir
    with ExitStack() as stack:
        stack.enter_context(locked(folder))
        journal = Journal(folder / "journal")
        stack.callback(journal.close)
        driver = SimulatedDriver()
        gate = _open_gate(config.ejector, driver, stack)
        ejector = Ejector(config.ejector.endpoint, config.line.name, journal, driver, SystemClock(), gate)

        def beat() -> None:
            notifier.alive()
            if stopping.is_set():
                ejector.stop()

        ejector.run(beat, on_listening=lambda: notifier.ready(f"listening on {config.ejector.endpoint}"))
        notifier.stopping()
        log.info("ejector ends", **ejector.counts)


def _open_gate(section: EjectorSection, driver: Driver, stack: ExitStack) -> Gate | None:
    """What tracks parts to the gate by time; None: the driver, or what is behind it, does."""
    if section.gate_ms is None:
        return None
    reach = round(section.gate_reach_ms * MS)
    layout = Layout(gate=round(section.gate_ms * MS), reach=reach, sensor=None, tolerance=reach)
    gate = Gate(Tracker(layout), TimedBelt(), driver, section.data_dir / "fates.jsonl")
    stack.callback(gate.close)
    return gate


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a data directory for this process alone.

    Raises:
        ConfigError: another process has it, or it can't be written.
    """
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(open(folder / ".lock", "w", encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot write to {folder}: {error.strerror}; create it or correct data_dir") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f"{folder} is in use by another process; stop it, or set another data_dir") from error
        yield


@contextmanager
def _no_thread_dies_in_silence(stop_for: Callable[[str], None]) -> Iterator[None]:
    """A thread that ends by an exception stops the line."""

    def report(died: threading.ExceptHookArgs) -> None:
        name = died.thread.name if died.thread else "?"
        log.error("thread died", thread=name, exc_info=(died.exc_type, died.exc_value, died.exc_traceback))
        stop_for(f"thread {name} died: {died.exc_value}")

    before, threading.excepthook = threading.excepthook, report
    try:
        yield
    finally:
        threading.excepthook = before


def _wait_for_ejector(link: RejectLink, endpoint: str, stopping: threading.Event, notifier: Notifier) -> bool:
    waited = 0
    while not stopping.is_set():
        if link.wait_ready(0.5):
            return True
        if waited % 10 == 0:
            log.warning("waiting for the ejector", endpoint=endpoint, state=link.state.value)
            notifier.status(f"waiting for the ejector at {endpoint}")
        notifier.extend_start(START_S)
        waited += 1
    return False


def _finish(books: Books, config: Config, faults: list[str]) -> None:
    """Settle what is open, then write what is waiting."""
    if not books.link.drain(config.ejector.window_ms / 1000 + DRAIN_S):
        log.warning("some parts are not acknowledged; the next start settles them")
    books.link.close()
    if not books.recorder.close():
        faults.append("the database did not take every verdict; the ejector's journal has them, see the log")
