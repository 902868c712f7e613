"""World: true time and the belt. Events happen at a time, or when the belt has travelled to a place."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from inspector.protocol import MS

NOMINAL = 1_000  # um per ms: 1 m/s

Event = Callable[[], None]


class World:
    """Runs events in order. Times in true ns, places in um of travel."""

    def __init__(self) -> None:
        self.now = 10_000 * MS
        self._base_ns, self._base_um, self.speed = self.now, 0, NOMINAL
        self._by_time: list[tuple[int, int, Event]] = []
        self._by_place: list[tuple[int, int, Event]] = []
        self._order = itertools.count()

    @property
    def place(self) -> int:
        """How far the belt has travelled."""
        return self._base_um + self.speed * (self.now - self._base_ns) // MS

    def drive(self, speed: int) -> None:
        """The belt runs at `speed` um per ms from now on; 0: it stands."""
        self._base_um, self._base_ns, self.speed = self.place, self.now, speed

    def after(self, delay_ns: int, event: Event) -> None:
        heapq.heappush(self._by_time, (self.now + delay_ns, next(self._order), event))

    def at_place(self, place: int, event: Event) -> None:
        heapq.heappush(self._by_place, (place, next(self._order), event))

    def run(self, until: Callable[[], bool]) -> None:
        """Until it is true, or nothing is left to happen."""
        while (self._by_time or self._by_place) and not until():
            self._step()

    def _step(self) -> None:
        arrival = self._arrival()
        if arrival is not None and (not self._by_time or arrival <= self._by_time[0][0]):
            self.now = arrival
            heapq.heappop(self._by_place)[2]()
        else:
            self.now, _, event = heapq.heappop(self._by_time)
            event()

    def _arrival(self) -> int | None:
        """When the belt is at the next place where something happens; None: it stands, or nothing does."""
        if not self._by_place:
            return None
        way = self._by_place[0][0] - self._base_um
        if way <= self.speed * (self.now - self._base_ns) // MS:
            return self.now
        return self._base_ns - (-way * MS // self.speed) if self.speed else None


@dataclass
class SimulatedClock:
    """A process's clocks: each machine counts from another beginning, and its calendar may be set."""

    world: World
    ahead_ns: int
    utc_ahead_us: int = 1_700_000_000_000_000

    def now_ns(self) -> int:
        return self.world.now + self.ahead_ns

    def utc_us(self) -> int:
        return self.world.now // 1000 + self.utc_ahead_us
