"""Plant: the shipping line and ejector as two processes that can be killed, on the simulated belt, link and camera."""

from __future__ import annotations

import queue
import random
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import zmq

from calibration.evidence import Evidence
from calibration.recipe import Recipe
from calibration.thresholds import Thresholds
from engines.detector import Anomaly
from engines.errors import InferenceFailed
from engines.image import Image
from engines.scoring import Scoring
from inspector.acquisition import Acquisition
from inspector.admission import Admission
from inspector.ejector import Ejector
from inspector.errors import CameraError
from inspector.gate import Gate
from inspector.history.database import data_file, open_for_writing
from inspector.history.writer import HistoryWriter, Session
from inspector.inspection import CameraFault, Capture, Frame, Part, Reason
from inspector.job import make_job
from inspector.journal import Journal
from inspector.line import Line
from inspector.messages import Ack, Entry, decode_from_ejector
from inspector.protocol import MS, LineEnd, LinkState
from inspector.recorder import Recorder
from inspector.reject import RejectLink
from inspector.sequence import SequenceFile
from inspector.simulation.observer import Observer
from inspector.simulation.world import SimulatedClock, World
from inspector.tracking import Layout, Tracker
from inspector.waiting import Waiting

WINDOW_MS = 150.0
LAYOUT = Layout(gate=300_000, reach=8_000, sensor=180_000, tolerance=12_000)  # um
QUEUE = 4
KEPT_BYTES = 2**62  # the observer reads all fates
COMMIT_NS = 500 * MS
LINE_DOWN_NS, EJECTOR_DOWN_NS = 500 * MS, 200 * MS  # until systemd has them back
CLEAN, DEFECT = (np.zeros((1, 1), np.float32),), (np.full((1, 1), 9, np.float32),)


class Killed(Exception):
    """The process is gone, in the middle of what it did."""


def recipe() -> Recipe:
    """Of the simulated product: clean maps are far below the limits, those of defects far above."""
    zero, one = np.asarray(0, np.float32), np.asarray(1, np.float32)
    return Recipe(
        product="simulated",
        bundle="simulated",
        engine="simulated",
        created="",
        scoring=Scoring("level", (zero,), (one,), pixel_limit=3.0),
        thresholds=Thresholds(2.0, 3.0),
        evidence=Evidence(parts=100, pictures=100, above=0, bound=0.03, confidence=0.95, asked=0.05),
        calibrate=(),
        scores=(),
        checksum="simulated",
    )


def picture(part: int) -> Image:
    """A picture that shows which part it is of, (1, 2, 3) uint8."""
    return np.frombuffer(part.to_bytes(6, "little"), np.uint8).reshape(1, 2, 3)


class Parts:
    """What the plant's programs are made of; a planted bug is another one of them."""

    line_end: type[LineEnd] = LineEnd
    ejector: type[Ejector] = Ejector
    tracker: type[Tracker] = Tracker
    link: type[RejectLink] = RejectLink


class Net:
    """The link's wires. Messages take 0.2 to 1 ms and what it lags, and overtake each other."""

    def __init__(self, world: World, luck: random.Random) -> None:
        self.world, self._luck = world, luck
        self.is_cut = False
        self.lag_ns = 0

    def carry(self, deliver: Callable[[], None]) -> None:
        if not self.is_cut:
            trip_ns = self.lag_ns + 200_000 + int(self._luck.random() * 800_000)
            self.world.after(trip_ns, lambda: None if self.is_cut else deliver())


class SimulatedEngine:
    """Finds out which part it looks at, and tells the observer what it found."""

    def __init__(self, observer: Observer, world: World) -> None:
        self._observer, self._world = observer, world
        self.broken: set[int] = set()

    def detect(self, image: Image) -> Anomaly:
        part = int.from_bytes(image.tobytes(), "little")
        if part in self.broken:
            raise InferenceFailed(f"no maps of part {part}")
        if self._observer.bad[part]:
            return Anomaly(DEFECT, 0.0, 0.0)
        self._observer.found_good(part, self._world.now)
        return Anomaly(CLEAN, 0.0, 0.0)

    def close(self) -> None:
        pass


class SimulatedCamera:
    """Gives what was triggered; while it is lost, nothing."""

    name = "camera"

    def __init__(self) -> None:
        self.waiting: deque[Capture] = deque()
        self.is_lost = self.is_noticed = False

    def open(self) -> None:
        self.is_noticed = True

    def grab(self, timeout_s: float) -> Capture | None:
        if self.is_lost and not self.is_noticed:
            raise CameraError("the camera is gone; look at its cable")
        return self.waiting.popleft() if self.waiting else None

    def close(self) -> None:
        pass


class LineProcess:
    """All of a line that `kill -9` takes away; number file and history stay."""

    def __init__(self, plant: Plant) -> None:
        self.plant, self.world = plant, plant.world
        clock, boot = plant.line_clock, uuid.UUID(int=plant.luck.getrandbits(128)).hex
        self.database = open_for_writing(data_file(plant.folder))
        # A kill takes no page from the kernel, so no disk need be waited for. Not through SQLAlchemy: it would begin.
        self.database.raw_connection().cursor().execute("PRAGMA synchronous=OFF")
        session = Session(boot, "line1", clock.utc_us(), "simulated", "camera", "simulated", "")
        writer = HistoryWriter(self.database, session, plant.recipe)
        self.numbers = SequenceFile(plant.folder / "sequence", plant.machine)
        settled = writer.settled()
        self.recorder = Recorder(writer, settled, plant.fault, lambda: None)
        self.end = plant.made_of.line_end("line1", boot, settled, self.numbers.upcoming, writer.expired())
        self.link = plant.made_of.link(
            "", boot, self.end, clock, self.recorder.submit, lambda: self.recorder.settled, lambda: 0.0,
            plant.fault, lambda: None,
        )  # fmt: skip
        self.camera = SimulatedCamera()
        job = make_job(plant.recipe, [plant.engine])
        admission = Admission(self.numbers, self.link, job)
        self.waiting = Waiting(QUEUE)
        lane = self.waiting.add_lane()
        self.acquisition = Acquisition(
            self.camera, lane, admission, self.link, WINDOW_MS, 0, plant.fault, lambda: None
        )  # fmt: skip
        self.line = Line(self.waiting, 0, self.link, clock, lambda: None, admission.finish)
        self.inbox: deque[bytes] = deque()
        self.is_ready = self.is_busy = self.is_dead = False
        self._due = -1
        self.turn()
        self.world.after(COMMIT_NS, self._commit)

    # -- as the link's socket

    def send(self, data: bytes, flags: int) -> None:
        self.plant.net.carry(lambda: self.plant.to_ejector(data, self))

    def recv(self, flags: int) -> bytes:
        if not self.inbox:
            raise zmq.Again
        return self.inbox.popleft()

    # -- its threads

    def turn(self) -> None:
        """The link's round; it sets its own alarm."""
        if self.is_dead:
            return
        self.link.turn(self, bool(self.inbox))
        if not self.is_ready and self.end.state is LinkState.READY:
            self.is_ready = True
            self.recorder.skip_to(self.link.settled)
            self.numbers.skip_to(self.link.upcoming)
        now = self.plant.line_clock.now_ns()
        due = self.world.now + max(MS // 10, self.end.next_ns(now) - now)
        if self._due <= self.world.now or due < self._due:
            self._due = due
            self.world.after(due - self.world.now, lambda: self.turn() if self._due == due else None)

    def _commit(self) -> None:
        if not self.is_dead:
            self.recorder.write_waiting()
            self.world.after(COMMIT_NS, self._commit)

    def triggered(self, capture: Capture | None) -> None:
        """The camera has something: a capture, or its loss."""
        if self.is_dead or not self.is_ready:
            return
        if capture is not None and not self.camera.is_lost:
            self.camera.waiting.append(capture)
            self.plant.observer.exposed(int(capture.block_id or 0), self.world.now, capture.captured_us)
        self.acquisition.turn()
        self.turn()
        self.look()

    def look(self) -> None:
        """The inference thread takes the next part, if it has none."""
        if self.is_busy or self.is_dead:
            return
        try:
            part = self.waiting.get(0)
        except queue.Empty:
            return
        if part is not None:
            self.is_busy = True
            self.world.after(self.plant.inference_ns(part), lambda: self._looked(part))

    def _looked(self, part: Part) -> None:
        if self.is_dead:
            return
        self.line.inspect(part)
        self.is_busy = False
        self.turn()
        self.look()

    def kill(self) -> None:
        self.is_dead = True
        self.link.close()
        self.numbers.close()
        self.database.dispose()


class EjectorProcess:
    """All of an ejector that `kill -9` takes away, its driver too; journal and fates stay."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.journal = Journal(plant.folder / "journal")
        plant.check_acknowledged(self.journal)
        self.gate = Gate(
            plant.made_of.tracker(LAYOUT, plant.sensed), self, self, plant.folder / "fates.jsonl", KEPT_BYTES
        )
        self.ejector = plant.made_of.ejector("", "line1", self.journal, self, plant.ejector_clock, self.gate)
        self.is_dead = self.is_open = False
        self._rested_ns = 0
        self.doomed = False  # killed at the next message it sends
        self._from: LineProcess | None = None
        self._data = b""
        self._alarm: int | None = None
        self._poll()

    # -- as socket, belt and driver

    def recv_multipart(self) -> list[bytes]:
        return [b"line", self._data]

    def send_multipart(self, msg_parts: Sequence[bytes]) -> None:
        data, line = msg_parts[1], self._from
        if line is not None:
            self.plant.net.carry(lambda: self.plant.to_line(data, line))
        if self.doomed:
            raise Killed

    def place(self, now_ns: int) -> int:
        return self.plant.world.place

    def seen(self) -> Sequence[int]:
        seen, self.plant.sensor = self.plant.sensor, []
        return seen

    def let_pass(self, entry: Entry) -> None:
        self.is_open = True

    def eject(self, entry: Entry) -> None:
        pass

    def rest(self) -> None:
        self._rested_ns = self.plant.world.now if self.is_open else 0
        self.is_open = False

    def fail_safe(self, active: bool) -> None:
        if active:
            self.plant.cut_short(self.is_open or self._rested_ns == self.plant.world.now)
            self.is_open = False

    def close(self) -> None:
        self.is_open = False

    # -- its loop

    def receive(self, data: bytes, line: LineProcess) -> None:
        self._data, self._from = data, line
        self.turn(True)

    def turn(self, is_readable: bool = False) -> None:
        if self.is_dead:
            return
        try:
            self.ejector.turn(self, is_readable)
        except Killed:
            self.plant.kill_ejector()
            return
        place = self.gate.next_place
        if place is not None and place != self._alarm:
            self._alarm = place
            self.plant.world.at_place(place, lambda: self.turn() if self._alarm == place else None)

    def _poll(self) -> None:
        if not self.is_dead:
            self.turn()
            self.plant.world.after(50 * MS, self._poll)

    def kill(self) -> None:
        self.is_dead, self.is_open = True, False
        self.journal.close()
        self.gate.close()


class Plant:
    """Belt, camera, link and the two processes."""

    def __init__(self, folder: Path, observer: Observer, world: World, luck: random.Random, made_of: Parts) -> None:
        self.folder, self.observer, self.world, self.luck, self.made_of = folder, observer, world, luck, made_of
        self.recipe = recipe()
        self.net = Net(world, luck)
        self.engine = SimulatedEngine(observer, world)
        self.line_clock = SimulatedClock(world, 10**9 * MS)
        self.ejector_clock = SimulatedClock(world, 10**10 * MS)
        self.machine = bytes(15) + b"1"
        self.slow: dict[int, int] = {}  # part -> ns that its inference takes
        self.sensor: list[int] = []
        self.sensed = 0
        self.coming: deque[tuple[int, int]] = deque()  # gate places of parts that are not through, ascending
        self.faults_of_line: list[str] = []
        self.ejector: EjectorProcess | None = EjectorProcess(self)
        self.line: LineProcess | None = LineProcess(self)

    def fault(self, detail: str) -> None:
        """The line stops itself; systemd starts it again."""
        self.faults_of_line.append(detail)
        self.world.after(0, self.kill_line)

    def inference_ns(self, part: Part) -> int:
        usual = int((12 + 8 * self.luck.random()) * MS)
        return self.slow.pop(int(part.capture.block_id or 0), usual)

    # -- the belt

    def trigger(self, part: int) -> None:
        """The light barrier: the line gets a picture 1 ms later."""
        self.world.after(MS, lambda: self._expose(part, None))

    def fail_picture(self, part: int) -> None:
        self.world.after(MS, lambda: self._expose(part, Reason.GRAB_FAILED))

    def _expose(self, part: int, fault: Reason | None) -> None:
        if self.line is None:
            return
        now, utc = self.line_clock.now_ns(), self.line_clock.utc_us()
        if fault is None:
            self.line.triggered(Frame("camera", part, now, utc, picture(part)))
        else:
            self.line.triggered(CameraFault("camera", part, now, utc, fault, "incomplete"))

    def sense(self) -> None:
        """The ejector's own sensor sees a part."""
        self.sensed += 1
        if self.ejector is not None:
            self.sensor.append(self.world.place)
            self.ejector.turn()

    def at_gate(self, part: int) -> None:
        self.coming.popleft()
        self.observer.at_gate(part, self.ejector is not None and self.ejector.is_open)

    def cut_short(self, was_open: bool) -> None:
        """The gate falls back for another reason than that its part is through."""
        if was_open:
            place = self.world.place
            self.observer.interrupted.update(part for at, part in self.coming if place <= at <= place + LAYOUT.reach)

    # -- the link

    def to_ejector(self, data: bytes, line: LineProcess) -> None:
        if self.ejector is not None:
            self.ejector.receive(data, line)

    def to_line(self, data: bytes, line: LineProcess) -> None:
        if not line.is_dead:
            message = decode_from_ejector(data)
            if isinstance(message, Ack):
                self.observer.acknowledged[message.entry.sequence] = message.entry
            line.inbox.append(data)
            line.turn()

    # -- kills

    def kill_line(self) -> None:
        if self.line is not None:
            self.observer.line_kills.append(self.world.now)
            self.line.kill()
            self.line = None
            self.world.after(LINE_DOWN_NS, self._start_line)

    def kill_ejector(self) -> None:
        if self.ejector is not None:
            ejector, self.ejector = self.ejector, None
            self.cut_short(ejector.is_open)
            ejector.kill()
            self.sensor = []
            self.world.after(EJECTOR_DOWN_NS, self._start_ejector)

    def _start_line(self) -> None:
        self.line = LineProcess(self)

    def _start_ejector(self) -> None:
        self.ejector = EjectorProcess(self)

    def check_acknowledged(self, journal: Journal) -> None:
        """What was acknowledged before the kill must be in the journal now, unless it was settled and forgotten."""
        forgotten, _ = journal.span()
        for sequence, entry in self.observer.acknowledged.items():
            if sequence > forgotten and journal.find(sequence) != entry:
                self.observer.lost_acks += 1
        self.observer.acknowledged.clear()
