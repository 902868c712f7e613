"""install.sh, run for real below a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "install.sh"
EXAMPLE = ROOT / "deploy" / "line.example.toml"
PREFIX = "/opt/inspection"
# The program alone: its dependencies are what takes minutes.
QUICK = ("--extras", "", "--pip-args", "--no-deps")


def install(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    call = [str(SCRIPT), "--python", sys.executable, *arguments]
    return subprocess.run(call, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def snapshot(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mode, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that was installed into once."""
    root = tmp_path_factory.mktemp("box")
    first = install("--root", str(root), "--prefix", PREFIX, *QUICK)
    assert first.returncode == 0, first.stderr
    return root


@pytest.mark.slow
def test_everything_is_placed_below_the_root(place: Path) -> None:
    assert (place / "etc/inspector/line.toml").read_text() == EXAMPLE.read_text()
    assert os.access(place / PREFIX[1:] / "bin/inspector", os.X_OK)
    assert {path.name for path in (place / "var/lib").iterdir()} == {"inspector", "inspector-ejector"}
    assert (place / "etc/udev/rules.d/69-line-inspector.rules").is_file()


@pytest.mark.slow
def test_units_start_the_program_where_it_was_installed(place: Path) -> None:
    for source in (ROOT / "systemd").glob("*.service"):
        unit = (place / "etc/systemd/system" / source.name).read_text()
        assert f"ExecStart={PREFIX}/bin/inspector " in unit
        assert unit.replace(PREFIX, "/opt/line-inspector") == source.read_text()


@pytest.mark.slow
def test_the_second_run_mends_the_program_and_keeps_settings_and_data(place: Path) -> None:
    settings, history = place / "etc/inspector/line.toml", place / "var/lib/inspector/history.sqlite"
    settings.write_text("# edited\n")
    history.write_text("every part\n")
    (package,) = (place / PREFIX[1:]).glob("lib/python*/site-packages/inspector")
    (package / "judge.py").unlink()
    (package / "left_behind_by_an_older_version.py").touch()
    before = snapshot(place / "etc")

    second = install("--root", str(place), "--prefix", PREFIX, *QUICK)

    assert second.returncode == 0, second.stderr
    assert settings.read_text() == "# edited\n"
    assert history.read_text() == "every part\n"
    assert snapshot(place / "etc") == before
    assert (package / "judge.py").read_bytes() == (ROOT / "inspector/judge.py").read_bytes()


@pytest.mark.slow
def test_what_is_installed_is_the_checkout_and_nothing_an_older_build_left_there(place: Path) -> None:
    (packages,) = (place / PREFIX[1:]).glob("lib/python*/site-packages")
    for name in ("engines", "calibration", "inspector"):
        installed = {path.relative_to(packages) for path in (packages / name).rglob("*.py")}
        source = {path.relative_to(ROOT) for path in (ROOT / name).rglob("*.py")}
        assert installed - source <= {Path("inspector/left_behind_by_an_older_version.py")}
        assert source - installed == set()


@pytest.mark.slow
def test_a_virtual_environment_that_an_interrupted_run_left_broken_is_made_again(tmp_path: Path) -> None:
    broken = tmp_path / PREFIX[1:] / "bin"
    broken.mkdir(parents=True)
    shutil.copy("/bin/false", broken / "python")
    (broken.parent / "pyvenv.cfg").touch()
    again = install("--root", str(tmp_path), "--prefix", PREFIX, "--system-site-packages", *QUICK)
    assert again.returncode == 0, again.stderr
    assert (broken / "inspector").exists()
    assert "include-system-site-packages = true" in (tmp_path / PREFIX[1:] / "pyvenv.cfg").read_text()


def test_only_root_may_install_services(tmp_path: Path) -> None:
    user = tmp_path / "id"
    user.write_text("#!/bin/sh\necho 1000\n")
    user.chmod(0o755)
    refused = install(PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert refused.returncode == 1
    assert "sudo" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--forse",), "--forse"),
        (("--prefix",), "--prefix"),
        (("--prefix", "opt"), "opt"),
        (("--prefix", "/a b"), "/a b"),
    ],
)
def test_a_wrong_option_is_refused_by_name_and_nothing_is_placed(
    arguments: tuple[str, ...], named: str, tmp_path: Path
) -> None:
    refused = install("--root", str(tmp_path), *arguments)
    assert refused.returncode == 2
    assert named in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_prefix_that_is_in_use_by_something_else_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / PREFIX[1:] / "bin" / "precious"
    file.parent.mkdir(parents=True)
    file.touch()
    refused = install("--root", str(tmp_path), "--prefix", PREFIX, *QUICK)
    assert refused.returncode == 1
    assert "another --prefix" in refused.stderr
    assert file.exists()


def test_help_names_every_option() -> None:
    helped = install("--help")
    assert helped.returncode == 0
    for option in ("--prefix", "--python", "--extras", "--system-site-packages", "--pip-args", "--root"):
        assert option in helped.stdout
