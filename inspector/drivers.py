"""What moves the ejector. One `Driver` per technology; here the one that needs no hardware."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from inspector.inspection import Outcome
from inspector.messages import Entry


class Driver(Protocol):
    """Outputs of an ejector. The gate rests in the ejecting position: only `let_pass` opens it, for one part."""

    def let_pass(self, entry: Entry) -> None:
        """A proven GOOD: open the gate for this part."""

    def eject(self, entry: Entry) -> None:
        """Anything else: the gate stays as it rests."""

    def rest(self) -> None:
        """The part that was let pass is through: the gate falls back. Only where the ejector tracks its parts."""

    def fail_safe(self, active: bool) -> None:
        """True: the line is silent, drop every output (ejecting, line-stop relay open); False: it is back."""

    def close(self) -> None:
        """Drop every output; may be called twice."""


class SimulatedDriver:
    """Counts what a real driver would do."""

    def __init__(self) -> None:
        self.counts: Counter[Outcome] = Counter()
        self.is_safe = True

    def let_pass(self, entry: Entry) -> None:
        self.counts[entry.outcome] += 1

    def eject(self, entry: Entry) -> None:
        self.counts[entry.outcome] += 1

    def rest(self) -> None:
        pass

    def fail_safe(self, active: bool) -> None:
        self.is_safe = active

    def close(self) -> None:
        self.is_safe = True
