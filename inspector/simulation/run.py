"""A simulated day: parts on the belt, faults by lot, and what the observer says at the end."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
import structlog

from inspector.history.database import open_for_reading
from inspector.history.tables import verdicts
from inspector.protocol import MS, LinkState
from inspector.simulation.breaks import BREAKS
from inspector.simulation.observer import Observer
from inspector.simulation.plant import LAYOUT, WINDOW_MS, Parts, Plant
from inspector.simulation.world import NOMINAL, World

PITCH_UM = (45_000, 80_000)  # between parts: 12 to 22 parts/s
DEFECTS = 0.05
PEACE_NS = 60_000 * MS  # at the end, without faults, for both ends to settle what they have
LATE_NS = 20_000 * MS  # of it after they have: what comes late has come
# One fault of a kind per so many parts, at random; at least 3 of each.
PER = {
    "lost_trigger": 1_000,
    "double_trigger": 1_000,
    "failed_picture": 1_000,
    "engine_fault": 1_000,
    "slow_inference": 200,
    "hung_inference": 5_000,
    "camera_failure": 4_000,
    "belt_stop": 2_000,
    "speed_change": 500,
    "link_cut": 3_000,
    "slow_link": 3_000,
    "line_kill": 5_000,
    "ejector_kill": 5_000,
    "ejector_kill_at_ack": 5_000,
    "clock_jump": 5_000,
    "line_reboot": 50_000,
}
HANG_NS = 5_000 * MS  # the watchdog's limit of inference: then the line is killed


@dataclass
class Simulation:
    """One run; `parts` on the belt, the same again for the same seed."""

    folder: Path
    parts: int
    seed: int
    faults: bool
    bug: str | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def run(self) -> dict[str, Any]:
        """Let the belt run, then settle, then hold the books against the belt."""
        self._luck = random.Random(self.seed)
        self._plan: dict[int, list[str]] = self._draw() if self.faults else {}
        self._world, self._observer = World(), Observer(self.parts, round(WINDOW_MS * MS) + 2 * MS)
        made_of = BREAKS[self.bug]() if self.bug else Parts()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
        try:
            self._plant = Plant(self.folder, self._observer, self._world, self._luck, made_of)
            self._world.after(5_000 * MS, lambda: self._load(0))
            self._world.run(lambda: self._observer.crossed >= self.parts)
            self._settle()
        finally:
            structlog.reset_defaults()
        return self._report()

    def _draw(self) -> dict[int, list[str]]:
        plan: dict[int, list[str]] = {}
        for kind, per in PER.items():
            for part in self._luck.sample(range(self.parts), min(self.parts, max(3, self.parts // per))):
                plan.setdefault(part, []).append(kind)
        return plan

    def _load(self, part: int) -> None:
        """The next part is laid on the belt, one part ahead of the camera."""
        world, plant = self._world, self._plant
        at = world.place + self._luck.randint(*PITCH_UM)
        if self._luck.random() < DEFECTS:
            self._observer.bad[part] = 1
        kinds = self._plan.get(part, [])
        for kind in kinds:
            self.counts[kind] += 1
            self._strike(kind, part)
        plant.coming.append((at + LAYOUT.gate, part))
        if "lost_trigger" not in kinds:
            picture = plant.fail_picture if "failed_picture" in kinds else plant.trigger
            world.at_place(at, lambda: picture(part))
            if "double_trigger" in kinds:
                world.at_place(at + 4_000, lambda: picture(part))
        world.at_place(at + (LAYOUT.sensor or 0), plant.sense)
        world.at_place(at + LAYOUT.gate, lambda: plant.at_gate(part))
        if part + 1 < self.parts:
            world.at_place(at, lambda: self._load(part + 1))

    def _strike(self, kind: str, part: int) -> None:
        plant = self._plant
        if kind == "engine_fault":
            plant.engine.broken.add(part)
        elif kind == "slow_inference":
            plant.slow[part] = self._luck.randint(120, 450) * MS
        elif kind == "hung_inference":
            self._hang(part)
        elif kind == "ejector_kill_at_ack":
            self._doom()
        elif kind == "clock_jump":
            plant.line_clock.utc_ahead_us += self._luck.choice((-3_600, -5, 5, 3_600)) * 1_000_000
        else:
            self._disturb(kind, int(self._luck.random() * 300 * MS))

    def _disturb(self, kind: str, soon: int) -> None:
        """What befalls the plant at any time, whatever part is where; some of it for a while."""
        luck, after, drive, net = self._luck, self._world.after, self._world.drive, self._plant.net
        if kind == "camera_failure":
            after(soon, self._lose_camera)
        elif kind == "belt_stop":
            after(soon, lambda: drive(0))
            after(soon + luck.randint(50, 5_000) * MS, lambda: drive(NOMINAL))
        elif kind == "speed_change":
            speed = luck.choice((500, 800, 1_200, 1_400))
            after(soon, lambda: drive(speed))
        elif kind == "link_cut":
            after(soon, lambda: setattr(net, "is_cut", True))
            after(soon + luck.randint(20, 3_000) * MS, lambda: setattr(net, "is_cut", False))
        elif kind == "slow_link":
            after(soon, lambda: setattr(net, "lag_ns", luck.randint(20, 300) * MS))
            after(soon + luck.randint(100, 3_000) * MS, lambda: setattr(net, "lag_ns", 0))
        elif kind == "line_kill":
            after(soon, self._plant.kill_line)
        elif kind == "ejector_kill":
            after(soon, self._plant.kill_ejector)
        elif kind == "line_reboot":
            after(soon, self._reboot)

    def _hang(self, part: int) -> None:
        self._plant.slow[part] = 10 * HANG_NS
        self._world.after(HANG_NS, self._plant.kill_line)

    def _lose_camera(self) -> None:
        line = self._plant.line
        if line is not None:
            line.camera.is_lost, line.camera.is_noticed = True, False
            line.triggered(None)
            back = self._luck.randint(500, 3_000) * MS
            self._world.after(back, lambda: setattr(line.camera, "is_lost", False))

    def _doom(self) -> None:
        if self._plant.ejector is not None:
            self._plant.ejector.doomed = True

    def _reboot(self) -> None:
        plant = self._plant
        plant.kill_line()
        plant.line_clock.ahead_ns = self._luck.randint(1, 10**9) * MS
        plant.machine = self._luck.randbytes(16)

    def _settle(self) -> None:
        plant, world = self._plant, self._world
        plant.net.is_cut, plant.net.lag_ns = False, 0
        world.drive(NOMINAL)
        end = world.now + PEACE_NS
        world.run(lambda: world.now >= end or self._is_settled())
        quiet = world.now + LATE_NS
        world.run(lambda: world.now >= end or (world.now > quiet and self._is_settled()))
        if plant.line is not None:
            plant.line.recorder.write_waiting()
            plant.line.kill()
        if plant.ejector is not None:
            plant.check_acknowledged(plant.ejector.journal)
            plant.ejector.kill()

    def _is_settled(self) -> bool:
        line = self._plant.line
        return (
            line is not None
            and self._plant.ejector is not None
            and line.end.state is LinkState.READY
            and not line.end.pending
        )

    def _report(self) -> dict[str, Any]:
        verdict = self._observer.verdict(self.folder)
        return {
            "parts": self._observer.crossed,
            **verdict,
            **self._read_times(),
            "no_trigger": _count_fates(self.folder, b'"no_trigger"'),
            "faults": dict(sorted(self.counts.items())),
            "line_stops": dict(Counter(self._plant.faults_of_line)),
            "simulated_hours": round(self._world.now / MS / 3.6e6, 2),
        }

    def _read_times(self) -> dict[str, Any]:
        database = open_for_reading(self.folder / "history.sqlite")
        with database.connect() as connection:
            by_reason = connection.execute(
                sa.select(verdicts.c.outcome, verdicts.c.reason, sa.func.count()).group_by("outcome", "reason")
            ).all()
            margins = connection.execute(sa.select(verdicts.c.margin_ms).where(verdicts.c.margin_ms.is_not(None)))
            margin = np.fromiter((row[0] for row in margins), np.float64)
        database.dispose()
        totals: Counter[str] = Counter()
        for outcome, _, count in by_reason:
            totals[outcome] += count
        # A margin is small at the bad end: its p99 is what 99 % of parts exceed.
        percentiles = {f"p{p}": round(float(np.percentile(margin, 100 - p)), 3) for p in (50, 99, 99.9)}
        return {
            "triggers": sum(totals.values()),
            "outcomes": dict(totals),
            "late": sum(count for _, reason, count in by_reason if reason == "late"),
            "reasons": {reason: count for _, reason, count in by_reason if reason},
            "margin_ms": percentiles if len(margin) else {},
        }


def _count_fates(folder: Path, word: bytes) -> int:
    with open(folder / "fates.jsonl", "rb") as file:
        return sum(word in line for line in file)


def is_sound(report: dict[str, Any]) -> bool:
    """Every part one fate, no unproven good, no wrong ejection, books in balance."""
    return bool(
        report["one_fate"] == report["parts"]
        and not report["unproven_good"]
        and not report["wrong_ejections"]
        and report["ledger_balanced"]
    )
