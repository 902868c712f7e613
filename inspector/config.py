"""The site config: one TOML file written by people. An unknown key is an error that names the nearest known one."""

from __future__ import annotations

import difflib
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from calibration.errors import RecipeError
from calibration.recipe import check_product_name
from engines.errors import RuntimeUnavailable
from engines.runtimes.base import engine_name
from inspector.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Section(BaseModel):
    """A table of the config: no unknown keys, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CameraSection(Section):
    """What all cameras share. `rate_hz` paces software triggers and simulated belts; 0 is as fast as it goes.

    `mm_per_px` is the camera's scale on the part, for limits on an area in mm2.
    """

    name: str = "camera"
    frame_size: Literal["taught", "any"] = "taught"
    rate_hz: float = Field(0.0, ge=0)
    mm_per_px: float | None = Field(None, gt=0, le=1000)


class BaslerCameraConfig(CameraSection):
    """A Basler camera through pylon."""

    kind: Literal["basler"]
    serial: str = ""  # "": the only one there is
    trigger: Literal["hardware", "software", "free"] = "hardware"
    trigger_source: str = "Line1"
    pixel_format: str = ""  # "": as the camera is set
    exposure_us: float | None = Field(None, gt=0)
    gain_db: float | None = None
    emulated: bool = False
    images: Path | None = None  # folder that the emulator serves, in the order of its file names


class OpenCvCameraConfig(CameraSection):
    """A USB camera (its number), a video file, or a stream (rtsp://...)."""

    kind: Literal["opencv"]
    source: Union[int, str]


class ReplayCameraConfig(CameraSection):
    """The pictures of a folder, in the order of their names."""

    kind: Literal["replay"]
    folder: Path
    repeat: bool = False


class SyntheticCameraConfig(CameraSection):
    """Parts drawn by the program itself."""

    kind: Literal["synthetic"]
    seed: int = 0
    size: int = Field(320, ge=32, le=4096)
    defect_share: float = Field(0.1, ge=0, le=1)
    pose: Literal["fixed", "free"] = "fixed"
    parts: int = Field(0, ge=0)  # 0: without end


CameraConfig = Annotated[
    Union[BaslerCameraConfig, OpenCvCameraConfig, ReplayCameraConfig, SyntheticCameraConfig],
    Field(discriminator="kind"),
]


class LineSection(Section):
    """The line itself."""

    name: str = Field("line1", pattern=r"^[A-Za-z0-9_-]{1,32}$")
    product: str
    data_dir: Path = Path("/var/lib/inspector")
    engines: tuple[str, ...] = ()  # the first that can be used judges; (): the one of the recipe
    threads: int = Field(0, ge=0)
    in_flight: int = Field(1, ge=1, le=16)  # parts that are looked at at the same time, sharing the threads
    queue: int = Field(8, ge=1, le=1000)  # frames waiting for inference
    stop_after: int = Field(0, ge=0)  # parts of each camera; 0: never
    warm: tuple[str, ...] = ()  # products opened beside the one in force, so that a change to them takes milliseconds
    challenge: tuple[str, ...] = ()  # when challenge parts are due: "start", "changeover", "HH:MM"; (): never
    warm_mb: float = Field(150.0, ge=0)  # memory that products other than the one in force may take together

    @pydantic.field_validator("engines")
    @classmethod
    def _known(cls, engines: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(dict.fromkeys(map(engine_name, engines)))
        except RuntimeUnavailable as error:
            raise ValueError(str(error)) from error

    @pydantic.field_validator("challenge")
    @classmethod
    def _moments(cls, moments: tuple[str, ...]) -> tuple[str, ...]:
        for moment in moments:
            if moment not in ("start", "changeover") and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", moment):
                raise ValueError(f"{moment!r} is no moment; write start, changeover, or a time such as 06:00")
        return moments


class EjectorSection(Section):
    """The reject link, read by both ends."""

    endpoint: str = Field("tcp://127.0.0.1:5570", pattern=r"^(tcp|ipc)://.+")
    window_ms: float = Field(150.0, gt=0, le=3_600_000)  # from the picture to the moment the gate must know
    data_dir: Path = Path("/var/lib/inspector-ejector")
    driver: Literal["simulated"] = "simulated"
    gate_ms: float | None = Field(None, gt=0, le=3_600_000)  # from the picture to the gate; None: the driver tracks
    gate_reach_ms: float = Field(8.0, gt=0)  # the gate is open from so long before the part to so long after it

    @pydantic.model_validator(mode="after")
    def _knows_in_time(self) -> EjectorSection:
        if self.gate_ms is not None and self.gate_ms - self.gate_reach_ms < self.window_ms:
            raise ValueError(
                f"the gate opens {self.gate_ms - self.gate_reach_ms:g} ms after the picture (gate_ms - gate_reach_ms), "
                f"before the part's window ends; set window_ms to at most that"
            )
        return self


class PageSection(Section):
    """The operator's page."""

    address: str = "127.0.0.1"
    port: int = Field(8080, ge=1, le=65535)
    certificate: Path | None = None  # PEM, with its chain
    key: Path | None = None  # PEM

    @pydantic.model_validator(mode="after")
    def _is_encrypted(self) -> PageSection:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("page.certificate and page.key belong together; give both or none")
        if self.certificate is None and self.address not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("passwords don't go over a network in the clear; give page.certificate and page.key")
        return self


class Config(Section):
    """line.toml."""

    line: LineSection
    camera: CameraConfig
    cameras: tuple[CameraConfig, ...] = ()  # more of them; all share product, engine and ejector
    ejector: EjectorSection = Field(default_factory=lambda: EjectorSection.model_validate({}))
    page: PageSection = Field(default_factory=lambda: PageSection.model_validate({}))

    @property
    def every_camera(self) -> tuple[CameraConfig, ...]:
        """`camera` and `cameras`."""
        return (self.camera, *self.cameras)

    @pydantic.model_validator(mode="after")
    def _one_place(self) -> Config:
        if self.cameras and self.ejector.gate_ms is not None:
            raise ValueError("ejector.gate_ms is from one camera to the gate, and there are several; leave it out")
        return self

    @pydantic.field_validator("cameras")
    @classmethod
    def _told_apart(cls, cameras: tuple[CameraConfig, ...], info: pydantic.ValidationInfo) -> tuple[CameraConfig, ...]:
        first = info.data.get("camera")
        every = cameras if first is None else (first, *cameras)
        if len({camera.name for camera in every}) < len(every):
            raise ValueError("two cameras have one name; give each its own, the history tells them apart by it")
        if len({camera.frame_size for camera in every}) > 1:
            raise ValueError("cameras share one detector; give all the same frame_size")
        return cameras


def load_config(path: Path) -> Config:
    """Read and check a site config.

    Raises:
        ConfigError: unreadable, no TOML, or a key that is missing, unknown or wrong; all of them are named.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read config {path}: {error}; deploy/line.example.toml explains every key") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    return parse_config(document, str(path))


def parse_config(document: dict[str, Any], origin: str) -> Config:
    """Check a config that was already read.

    Raises:
        ConfigError: a key is missing, unknown or wrong.
    """
    try:
        config = Config.model_validate(document)
        for name in (config.line.product, *config.line.warm):
            check_product_name(name)
    except pydantic.ValidationError as error:
        complaints = "\n".join(f"  {_complaint(dict(item))}" for item in error.errors())
        raise ConfigError(f"{origin} can't be used:\n{complaints}") from error
    except RecipeError as error:
        raise ConfigError(f"{origin}: line.product: {error}") from error
    return config


def _complaint(error: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(error["loc"][-1]), _known_keys(), n=1)
        return f"{where}: unknown key" + (f"; did you mean {near[0]!r}?" if near else "; remove it")
    if error["type"] == "missing":
        return f"{where}: missing; add it"
    return f"{where}: {error['msg']}, got {error['input']!r}"


def _known_keys() -> list[str]:
    sections: tuple[type[Section], ...] = (
        Config, LineSection, EjectorSection, PageSection, BaslerCameraConfig, OpenCvCameraConfig, ReplayCameraConfig,
        SyntheticCameraConfig,
    )  # fmt: skip
    return sorted({key for section in sections for key in section.model_fields})
