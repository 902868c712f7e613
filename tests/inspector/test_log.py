"""The log tells, and never costs a verdict. In processes of their own: it is configured once for a whole process."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import sys
import structlog
from inspector.log import set_up_log
set_up_log()
log = structlog.get_logger("test")
log.debug("too quiet")
try:
    raise ValueError("odd")
except ValueError:
    log.exception("inspection failed", sequence=7)
if "closed" in sys.argv:
    sys.stderr.close()
log.warning("second")
print("went on")
"""


def test_a_line_of_the_log_is_one_json_object_on_standard_error() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    first, second = (json.loads(line) for line in done.stderr.splitlines())
    assert (first["event"], first["level"], first["sequence"]) == ("inspection failed", "error", 7)
    assert "ValueError: odd" in first["exception"]
    assert second["event"] == "second"
    assert done.stdout == "went on\n"


def test_a_log_on_a_full_disk_stops_nothing() -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=full, text=True, check=False
        )
    assert done.stdout == "went on\n"


def test_a_log_that_was_closed_stops_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, "closed"], capture_output=True, text=True, check=False)
    assert done.stdout == "went on\n"
