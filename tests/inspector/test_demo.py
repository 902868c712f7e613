"""The demo, whole: taught, calibrated and run with real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_synthetic_demo_balances_and_finds_the_defects(tmp_path: Path) -> None:
    call = [
        sys.executable,
        "-m",
        "inspector.cli",
        "demo",
        "--synthetic",
        "--json",
        "--data-dir",
        str(tmp_path / "demo"),
    ]
    ran = subprocess.run(call, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    result = json.loads(ran.stdout)
    assert result["triggers"] >= 300
    assert result["triggers"] == result["good"] + result["reject"] + result["error"]
    assert result["triggers"] == result["acknowledged"] == result["recorded"]
    assert result["error"] <= 0.05 * result["triggers"]  # a busy machine makes a part late, which is an ERROR
    assert result["auroc"] >= 0.95
    assert result["missed_defects"] < 0.6 * result["defects"]
