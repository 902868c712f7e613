"""The systemd units: known to systemd, hardened, and in step with the program."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from inspector.assembly import DRAIN_S, LIMIT_S, START_S
from inspector.config import EjectorSection, LineSection

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "systemd").glob("*.service"))
INSTALLED = "/opt/line-inspector/bin/inspector"
EXPOSURE = 20  # tenths: 2.0 of 10; a bare unit has 9.6

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze: apt-get install systemd"
)
every_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


def read(unit: Path) -> dict[str, list[str]]:
    """What a unit sets, key by key; a key may stand there more than once."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def runnable(unit: Path, folder: Path, extra: str = "") -> Path:
    """The units in a folder, so that each finds the other, with a program that exists on this machine."""
    for each in UNITS:
        text = each.read_text().replace(INSTALLED, sys.executable)
        (folder / each.name).write_text(text + (extra if each == unit else ""))
    return folder / unit.name


def words_about(verified: subprocess.CompletedProcess[str]) -> list[str]:
    """What systemd says about our units; units of the machine that they depend on may have faults of their own."""
    return [line for line in (verified.stdout + verified.stderr).splitlines() if "inspector" in line]


def test_there_are_the_three_units() -> None:
    assert [unit.name for unit in UNITS] == ["inspector-ejector.service", "inspector-page.service", "inspector.service"]


@needs_systemd
@every_unit
def test_systemd_has_nothing_to_say_about_a_unit(unit: Path, tmp_path: Path) -> None:
    verified = analyze("verify", "--man=no", str(runnable(unit, tmp_path)))
    # It exits 0 on unknown keys, so any word of it is a failure.
    assert words_about(verified) == []
    assert verified.returncode == 0, verified.stderr


@needs_systemd
@pytest.mark.parametrize("mistake", ["[Service]\nWatchdogSex=10\n", "[Service]\nRestart=allways\n"])
@every_unit
def test_a_mistake_in_a_unit_would_be_noticed(unit: Path, mistake: str, tmp_path: Path) -> None:
    assert words_about(analyze("verify", "--man=no", str(runnable(unit, tmp_path, mistake)))) != []


@needs_systemd
@every_unit
def test_a_unit_exposes_little(unit: Path) -> None:
    checked = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", str(unit))
    assert checked.returncode == 0, checked.stdout[-600:]


@needs_systemd
def test_a_bare_unit_would_expose_too_much(tmp_path: Path) -> None:
    bare = tmp_path / "bare.service"
    bare.write_text(f"[Service]\nExecStart={sys.executable}\n")
    assert analyze("security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", str(bare)).returncode != 0


@every_unit
def test_a_unit_is_restarted_for_ever_and_watched(unit: Path) -> None:
    keys = read(unit)
    assert keys["StartLimitIntervalSec"] == ["0"], "five fast crashes would leave it dead"
    assert keys["Restart"] == ["always"]
    assert keys["Type"] == ["notify"]
    assert keys["NotifyAccess"] == ["main"]
    assert keys["WatchdogSec"] == ["10"]


@every_unit
def test_a_unit_runs_as_the_user_who_owns_its_data(unit: Path) -> None:
    keys = read(unit)
    section = EjectorSection if "ejector" in unit.name else LineSection
    assert keys["User"] == ["inspector"]
    assert [f"/var/lib/{folder}" for folder in keys["StateDirectory"]] == [
        str(section.model_fields["data_dir"].default)
    ]


@every_unit
def test_a_unit_starts_a_command_that_the_program_has(unit: Path) -> None:
    (command,) = read(unit)["ExecStart"]
    program, name, *options = command.split()
    assert program == INSTALLED
    assert options == ["--config", "/etc/inspector/line.toml"]
    call = [sys.executable, "-m", "inspector.cli", name, "--help"]
    helped = subprocess.run(call, capture_output=True, text=True, check=False)
    assert helped.returncode == 0
    assert "--config" in helped.stdout


def test_the_lines_times_leave_room_for_what_the_program_does() -> None:
    keys = read(ROOT / "systemd" / "inspector.service")
    assert int(keys["TimeoutStartSec"][0]) > START_S
    settling_s = DRAIN_S + LIMIT_S["inference"] + LIMIT_S["recorder"]
    assert int(keys["TimeoutStopSec"][0]) > settling_s, "parts in hand would be killed with the line"


def test_the_page_comes_after_everything_that_judges() -> None:
    line, page = (read(ROOT / "systemd" / name) for name in ("inspector.service", "inspector-page.service"))
    for key in ("Nice", "OOMScoreAdjust"):
        assert int(page[key][0]) > 0 > int(line[key][0])
    assert page["MemoryMax"]
    assert page["IPAddressDeny"] == ["any"]


def test_cameras_reach_the_line() -> None:
    keys = read(ROOT / "systemd" / "inspector.service")
    assert {"char-usb_device rw", "char-video4linux rw"} <= set(keys["DeviceAllow"])
    assert set(keys["RestrictAddressFamilies"][0].split()) == {"AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"}
    assert "PrivateDevices" not in keys
    assert "MemoryDenyWriteExecute" not in keys, "OpenVINO would not start"
