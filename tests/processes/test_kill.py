"""kill -9 of real processes: the line, the ejector, and both, over real ZeroMQ, SQLite and journal."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from inspector.history.database import data_file, open_for_reading
from inspector.history.ledger import summarise
from inspector.history.queries import Filter, each_part
from inspector.journal import Journal

VICTIMS = (("line",), ("ejector",), ("line", "ejector"))


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("turn", range(20))
def test_after_kill_9_every_acknowledged_verdict_is_recorded_and_the_ledger_balances(turn: int, rig: Any) -> None:
    rng = random.Random(turn)
    victims = VICTIMS[turn % 3]
    rig.start("ejector", "line")
    rig.wait_for_parts(rng.randrange(1, rig.parts - 100))
    time.sleep(rng.random() * 0.01)  # anywhere between two parts
    rig.kill(*victims)
    if "line" in victims:
        # The belt's other parts come when the line is back.
        rig.config["camera"] |= {"parts": rig.parts - rig.passed, "seed": 1}
    rig.start(*victims)
    assert rig.wait_for_line() == 0, rig.log()
    rig.kill("ejector")

    journal = Journal(rig.folder / "ejector" / "journal")
    acknowledged = journal.after(0, 10 * rig.parts)
    journal.close()
    history = open_for_reading(data_file(rig.folder))
    rows = {row["sequence"]: row for row in each_part(history, Filter())}
    ledger = summarise(history, Filter(), recount=True)

    assert {entry.sequence: entry.outcome.value for entry in acknowledged} == {
        sequence: row["outcome"] for sequence, row in rows.items() if row["acknowledged"]
    }
    assert ledger["balanced"]
    assert ledger["acknowledged"] == ledger["triggers"]
    assert sorted(rows) == list(range(1, len(rows) + 1))
    # The observer stands before the line: a kill may fall between its note and the part's number, once.
    assert 0 <= rig.parts - len(rows) <= ("line" in victims)
    assert ledger["good"] > 0
    assert ledger["reject"] > 0
