"""install.sh, run for real below a folder, and the example config that it installs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from inspector.config import (
    BaslerCameraConfig,
    EjectorSection,
    LineSection,
    OpenCvCameraConfig,
    ReplayCameraConfig,
    SyntheticCameraConfig,
    load_config,
)

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "line.example.toml"


def install(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    call = [str(ROOT / "deploy" / "install.sh"), "--root", str(root), "--python", sys.executable, *arguments]
    return subprocess.run(call, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_installing_twice_updates_the_program_and_keeps_the_settings(tmp_path: Path) -> None:
    options = ("--extras", "", "--pip-args", "--no-deps")
    first = install(tmp_path, *options)
    assert first.returncode == 0, first.stderr
    settings = tmp_path / "etc/inspector/line.toml"
    assert settings.read_text() == EXAMPLE.read_text()
    settings.write_text("# edited\n")
    assert install(tmp_path, *options).returncode == 0
    assert settings.read_text() == "# edited\n"
    assert (tmp_path / "opt/line-inspector/bin/inspector").exists()
    assert (tmp_path / "etc/systemd/system/inspector.service").exists()
    assert (tmp_path / "var/lib/inspector-ejector").is_dir()


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    refused = install(tmp_path, "--forse")
    assert refused.returncode == 2
    assert "--forse" in refused.stderr


def test_the_example_config_loads() -> None:
    assert load_config(EXAMPLE).camera.kind == "basler"


@pytest.mark.parametrize(
    "section",
    [LineSection, EjectorSection, BaslerCameraConfig, OpenCvCameraConfig, ReplayCameraConfig, SyntheticCameraConfig],
    ids=lambda section: section.__name__,
)
def test_the_example_config_explains_every_key(section: type[LineSection]) -> None:
    text = EXAMPLE.read_text()
    for key in section.model_fields:
        assert f"{key} = " in text, f"{key} of {section.__name__} is not explained"
