"""deploy/line.example.toml: it loads as it stands, explains every key, and its alternatives load too."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic.fields import FieldInfo

from inspector.config import (
    CameraConfig,
    CameraSection,
    Config,
    EjectorSection,
    LineSection,
    PageSection,
    Section,
    load_config,
)

EXAMPLE = Path(__file__).parents[2] / "deploy" / "line.example.toml"
CAMERAS: tuple[type[CameraSection], ...] = get_args(get_args(CameraConfig)[0])
KINDS = [get_args(camera.model_fields["kind"].annotation)[0] for camera in CAMERAS]
NAMES: dict[type[Section], str] = {LineSection: "line", EjectorSection: "ejector", PageSection: "page"}
TABLE = re.compile(r"^#?\[(\w+)\]$")
KEY = re.compile(r"^#? ?([a-z_]+) = (.+)$")


def tables() -> list[tuple[str, dict[str, tuple[list[str], str]]]]:
    """Every table, commented-out ones too: its name, and for each key the comment above it and its value."""
    found: list[tuple[str, dict[str, tuple[list[str], str]]]] = []
    comment: list[str] = []
    for line in EXAMPLE.read_text().splitlines():
        table, key = TABLE.match(line), KEY.match(line)
        if table:
            found.append((table[1], {}))
        elif key and found and comment:
            found[-1][1][key[1]] = (comment, key[2])
        elif line.startswith("# "):
            comment.append(line[2:])
            continue
        elif key and found:
            found[-1][1][key[1]] = ([], key[2])
        comment = []
    return found


def table_of(section: type[Section]) -> dict[str, tuple[list[str], str]]:
    """The table that explains a section."""
    if section in NAMES:
        return next(keys for name, keys in tables() if name == NAMES[section])
    kind = json.dumps(KINDS[CAMERAS.index(section)])  # type: ignore[arg-type]
    return next(keys for name, keys in tables() if name == "camera" and keys["kind"][1] == kind)


def toml(value: object) -> str:
    return json.dumps(str(value) if isinstance(value, Path) else value)


def expected_words(field: FieldInfo) -> str:
    if field.is_required():
        return "Required."
    return "Default: left out" if field.default is None else f"Default: {toml(field.default)}"


KEYS = [
    (section, key)
    for section in (*NAMES, *CAMERAS)
    for key in section.model_fields
    # What every kind has is explained once, with the active one.
    if section not in CAMERAS[1:] or key not in (*CameraSection.model_fields, "kind")
]


def test_the_example_loads_and_has_a_hardware_triggered_basler_camera() -> None:
    camera = load_config(EXAMPLE).camera
    assert camera.kind == "basler"
    assert camera.trigger == "hardware"


def test_every_section_of_the_config_has_its_table() -> None:
    names = [name for name, _ in tables()]
    assert set(names) == set(Config.model_fields) - {"cameras"}  # more of the same; explained in words
    assert names.count("camera") == len(KINDS)


@pytest.mark.parametrize(("section", "key"), KEYS, ids=lambda value: getattr(value, "__name__", value))
def test_a_key_is_explained_with_its_default(section: type[Section], key: str) -> None:
    known = table_of(section)
    assert key in known, f"{key} of {section.__name__} is not in the example"
    comment, _ = known[key]
    assert len(comment) >= 2, f"{key} of {section.__name__} has no comment of its own that says what it is"
    assert comment[-1] == expected_words(section.model_fields[key])


def test_no_key_is_explained_that_the_program_does_not_know() -> None:
    known = {(section, key) for section in (*NAMES, *CAMERAS) for key in section.model_fields}
    shown = {(section, key) for section in (*NAMES, *CAMERAS) for key in table_of(section)}
    assert shown <= known


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_camera_loads_when_its_table_takes_the_place_of_the_active_one(kind: str, tmp_path: Path) -> None:
    lines: list[str] = []
    for name, keys in tables():
        if name != "camera" or keys["kind"][1] == json.dumps(kind):
            lines += [f"[{name}]", *(f"{key} = {value}" for key, (_, value) in keys.items())]
    path = tmp_path / "line.toml"
    path.write_text("\n".join(lines))
    assert load_config(path).camera.kind == kind


def test_values_that_are_not_required_are_the_defaults() -> None:
    config = load_config(EXAMPLE)
    for section in (config.line, config.camera, config.ejector, config.page):
        for key, field in type(section).model_fields.items():
            if not field.is_required():
                assert getattr(section, key) == field.default, key
