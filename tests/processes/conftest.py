"""A rig for tests with real processes: a line, an ejector, and an observer that stands before the line."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from calibration.recipe import Recipe, save_recipe
from engines.bundle import Bundle, save_bundle

PARTS = 2000
RATE_HZ = 1000
RIG = Path(__file__).parent / "rigged_line.py"


class Rig:
    """One line and one ejector on a data directory, and an observer that counts what the belt carried."""

    parts = PARTS

    def __init__(self, folder: Path, bundle: Bundle, recipe: Recipe) -> None:
        self.folder = folder
        self.belt_log = folder / "belt.log"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        home = folder / "products" / recipe.product
        save_bundle(home / "bundles", bundle.manifest, bundle.model, bundle.scoring)
        (home / "recipes").mkdir()
        save_recipe(home / "recipes", recipe)
        self.config: dict[str, Any] = {
            "line": {"name": "rig", "product": recipe.product, "data_dir": str(folder), "threads": 1, "queue": 64},
            "camera": {"kind": "synthetic", "size": 64, "rate_hz": RATE_HZ, "defect_share": 0.2, "parts": PARTS},
            "ejector": {
                "endpoint": f"tcp://127.0.0.1:{free_port()}",
                "window_ms": 1000,
                "data_dir": str(folder / "ejector"),
            },
        }

    @property
    def passed(self) -> int:
        """Parts that the belt has carried past the camera so far."""
        return self.belt_log.stat().st_size if self.belt_log.exists() else 0

    def start(self, *names: str, **environment: str) -> None:
        path = self.folder / "line.toml"
        path.write_text(tomlkit.dumps(self.config))
        for name in names:
            call = [str(RIG), "run"] if name == "line" else ["-m", "inspector.cli", "ejector"]
            with open(self.folder / f"{name}.err", "ab") as log:
                self.processes[name] = subprocess.Popen(
                    [sys.executable, *call, "--config", str(path)],
                    stderr=log,
                    env={**os.environ, "BELT_LOG": str(self.belt_log), **environment},
                )

    def kill(self, *names: str) -> None:
        for name in names:
            self.processes[name].send_signal(signal.SIGKILL)
        for name in names:
            self.processes[name].wait()

    def wait_for_parts(self, count: int) -> None:
        self.wait(lambda: self.passed >= count or self.processes["line"].poll() is not None)

    def wait_for_line(self) -> int:
        return self.processes["line"].wait(timeout=60)

    def wait(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not happened():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.002)

    def log(self) -> str:
        return "\n".join(f"{path.name}: {path.read_text()[-3000:]}" for path in self.folder.glob("*.err"))

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def rig(tmp_path: Path, tiny_bundle: Bundle, tiny_recipe: Recipe) -> Iterator[Rig]:
    folder = tmp_path / "rig"
    folder.mkdir()
    made = Rig(folder, tiny_bundle, tiny_recipe)
    yield made
    made.close()
    shutil.rmtree(folder)
