"""The systemd units: known to systemd, hardened, and in step with the program."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "systemd").glob("*.service"))
EXPOSURE = 20  # tenths: 2.0 of 10; a bare unit has 9.6


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs Debian's package systemd")
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_has_nothing_to_say_about_a_unit(unit: Path, tmp_path: Path) -> None:
    for each in UNITS:
        # Their program is not installed here; an unknown key or a typing error must still show.
        text = each.read_text().replace("/opt/line-inspector/bin/inspector", sys.executable)
        (tmp_path / each.name).write_text(text)
    verified = analyze("verify", "--man=no", str(tmp_path / unit.name))
    # It exits 0 on unknown keys, so any word of it is a failure.
    assert [line for line in (verified.stdout + verified.stderr).splitlines() if str(tmp_path) in line] == []
    assert verified.returncode == 0, verified.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_exposes_little(unit: Path) -> None:
    checked = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", str(unit))
    assert checked.returncode == 0, checked.stdout[-600:]


def test_verify_would_notice_an_unknown_key(tmp_path: Path) -> None:
    unit = tmp_path / "broken.service"
    unit.write_text(f"[Service]\nExecStart={sys.executable}\nWatchdogSex=10\n")
    verified = analyze("verify", "--man=no", str(unit))
    assert "WatchdogSex" in verified.stdout + verified.stderr
