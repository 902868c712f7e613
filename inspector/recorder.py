"""Recorder: the thread that owns the history and commits verdicts in batches. Verdicts are never shed."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from inspector.errors import HistoryError
from inspector.inspection import Record

CAPACITY = 20_000  # records waiting for the disk; a minute at 300 parts/s, about 40 MB
BATCH = 500  # records per transaction
IDLE_S = 0.2  # how often a recorder that has nothing to do shows that it lives
GATHER_S = 0.02  # waits so long for company: a synced commit costs 3 ms, one or twenty rows alike
MEASURED_S = 1.0  # for a frame's facts, which take a few ms once the verdict is out
RETRY_S = 1.0  # after a refused write: a full disk is seldom cleared faster

log = structlog.get_logger("recorder")


class Writer(Protocol):
    """What the recorder writes to: `HistoryWriter`, or a test's."""

    def write(self, records: list[Record]) -> None:
        """All or nothing, durable on return.

        Raises:
            HistoryError: nothing was written.
        """


class Recorder:
    """Takes records from any thread; keeps what the database refuses until it takes it."""

    def __init__(self, writer: Writer, settled: int, on_full: Callable[[str], None], beat: Callable[[], None]) -> None:
        """
        Args:
            settled: all parts up to here are durable and acknowledged already.
            on_full: called when the queue is full: the line must stop, or verdicts would be lost.
            beat: called at every round.
        """
        self._writer = writer
        self._on_full, self._beat = on_full, beat
        self._queue: queue.Queue[Record] = queue.Queue(CAPACITY)
        self._watermark = Watermark(settled)
        self._is_complete = True
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Begin writing."""
        self._thread.start()

    def submit(self, record: Record) -> None:
        """Hand over a record; returns at once."""
        try:
            self._queue.put_nowait(record.without_picture())
        except queue.Full:
            self._on_full(f"{CAPACITY} verdicts wait for the database; free the disk, then restart the line")

    @property
    def settled(self) -> int:
        """All parts up to this sequence are durable and acknowledged."""
        return self._watermark.value

    def skip_to(self, settled: int) -> None:
        """Parts up to here are settled, though this history does not have them: it was replaced. Before any part."""
        self._watermark.skip_to(settled)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Write what is waiting, then end; False when the database did not take all of it in time."""
        self._stopping.set()
        self._thread.join(timeout_s)
        return self._is_complete and not self._thread.is_alive() and self._queue.empty()

    def write_waiting(self) -> None:
        """Write what waits now, without waiting for more."""
        while batch := self._gather(0.0, 0.0):
            self._write(batch)

    def _run(self) -> None:
        while True:
            self._beat()
            batch = self._gather(IDLE_S, GATHER_S)
            if batch:
                self._write(batch)
            elif self._stopping.is_set():
                return

    def _gather(self, first_s: float, more_s: float) -> list[Record]:
        """What comes within `more_s` of the first, which is waited for `first_s`; measured."""
        try:
            batch = [self._queue.get(timeout=first_s)]
        except queue.Empty:
            return []
        deadline = time.monotonic() + more_s
        while len(batch) < BATCH:
            try:
                batch.append(self._queue.get(timeout=max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                break
        return [record.measured(MEASURED_S) for record in batch]

    def _write(self, batch: list[Record]) -> None:
        while True:
            self._beat()
            try:
                self._writer.write(batch)
            except HistoryError as error:
                log.error("history refuses verdicts", waiting=len(batch) + self._queue.qsize(), error=str(error))
                if self._stopping.wait(RETRY_S):
                    # Ending with the disk full: the ejector's journal has these, the next start fetches them.
                    self._is_complete = False
                    return
                continue
            self._watermark.add(record.sequence for record in batch if record.acknowledged)
            return


class Watermark:
    """The largest number up to which all numbers were added, whatever their order."""

    def __init__(self, value: int) -> None:
        self.value = value
        self._beyond: set[int] = set()
        self._lock = threading.Lock()

    def add(self, numbers: Iterable[int]) -> None:
        """Numbers that are done."""
        with self._lock:
            self._beyond.update(number for number in numbers if number > self.value)
            self._advance()

    def skip_to(self, value: int) -> None:
        """All numbers up to `value` are done."""
        with self._lock:
            self.value = max(self.value, value)
            self._beyond = {number for number in self._beyond if number > self.value}
            self._advance()

    def _advance(self) -> None:
        while self.value + 1 in self._beyond:
            self.value += 1
            self._beyond.remove(self.value)
