"""The site config: what is wrong is named, all of it at once, with what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.config import (
    BaslerCameraConfig,
    OpenCvCameraConfig,
    ReplayCameraConfig,
    SyntheticCameraConfig,
    load_config,
    parse_config,
)
from inspector.errors import ConfigError

LEAST = '[line]\nproduct = "ring"\n[camera]\nkind = "synthetic"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "line.toml"
    path.write_text(text, encoding="utf-8")
    return path


def complaint(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, text))
    return str(caught.value)


def test_the_least_config_is_a_product_and_a_camera(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, LEAST))
    assert (config.line.name, config.line.product, config.camera.kind) == ("line1", "ring", "synthetic")
    assert config.ejector.endpoint == "tcp://127.0.0.1:5570"


@pytest.mark.parametrize(
    ("camera", "kind"),
    [
        ('kind = "basler"\nserial = "0815"\nexposure_us = 100', BaslerCameraConfig),
        ('kind = "opencv"\nsource = 0', OpenCvCameraConfig),
        ('kind = "opencv"\nsource = "rtsp://camera/1"', OpenCvCameraConfig),
        ('kind = "replay"\nfolder = "parts"', ReplayCameraConfig),
        ('kind = "synthetic"\nseed = 3', SyntheticCameraConfig),
    ],
)
def test_every_kind_of_camera_has_its_own_keys(tmp_path: Path, camera: str, kind: type[object]) -> None:
    config = load_config(write(tmp_path, f'[line]\nproduct = "ring"\n[camera]\n{camera}\n'))
    assert isinstance(config.camera, kind)


def test_more_cameras_join_the_one(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, LEAST + '[[cameras]]\nkind = "synthetic"\nname = "left"\n'))
    assert [camera.name for camera in config.every_camera] == ["camera", "left"]
    assert len(load_config(write(tmp_path, LEAST)).every_camera) == 1


@pytest.mark.parametrize(
    ("second", "why"),
    [('name = "camera"', "two cameras have one name"), ('name = "left"\nframe_size = "any"', "the same frame_size")],
)
def test_cameras_that_could_not_be_told_apart_or_share_a_detector_are_refused(
    tmp_path: Path, second: str, why: str
) -> None:
    assert why in complaint(tmp_path, LEAST + f'[[cameras]]\nkind = "synthetic"\n{second}\n')


def test_a_warm_product_needs_a_name_that_can_be_one(tmp_path: Path) -> None:
    assert "../ring" in complaint(tmp_path, LEAST.replace("[camera]", 'warm = ["../ring"]\n[camera]'))


@pytest.mark.parametrize(
    ("text", "where", "nearest"),
    [
        (LEAST.replace("[camera]", "prodcut = 1\n[camera]"), "line.prodcut", "product"),
        (LEAST + "sede = 1\n", "camera.synthetic.sede", "seed"),
        (LEAST + "[ejector]\nwindow = 100\n", "ejector.window", "window_ms"),
        (LEAST + "[ejektor]\nwindow_ms = 100\n", "ejektor", "ejector"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(tmp_path: Path, text: str, where: str, nearest: str) -> None:
    assert f"{where}: unknown key; did you mean {nearest!r}?" in complaint(tmp_path, text)


def test_an_unknown_key_that_resembles_nothing_is_to_be_removed(tmp_path: Path) -> None:
    assert "camera.synthetic.zzzzqqq: unknown key; remove it" in complaint(tmp_path, LEAST + "zzzzqqq = 1\n")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[line]\n[camera]\nkind = "synthetic"\n', "line.product"),
        ('[line]\nproduct = "ring"\n', "camera"),
        ('[line]\nproduct = "ring"\n[camera]\nkind = "replay"\n', "camera.replay.folder"),
        ("", "line"),
    ],
)
def test_a_missing_key_is_named(tmp_path: Path, text: str, where: str) -> None:
    assert f"{where}: missing; add it" in complaint(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "where", "value"),
    [
        (LEAST + 'size = "large"\n', "camera.synthetic.size", "'large'"),
        (LEAST + "defect_share = 1.5\n", "camera.synthetic.defect_share", "1.5"),
        (LEAST + "[ejector]\nwindow_ms = 0\n", "ejector.window_ms", "0"),
        (LEAST + '[ejector]\nendpoint = "udp://somewhere"\n', "ejector.endpoint", "'udp://somewhere'"),
        (LEAST.replace("[camera]", 'name = "line 1"\n[camera]'), "line.name", "'line 1'"),
        (LEAST.replace("[camera]", "queue = 0\n[camera]"), "line.queue", "0"),
        (LEAST.replace("synthetic", "webcam"), "camera", "webcam"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_is(tmp_path: Path, text: str, where: str, value: str) -> None:
    lines = [line for line in complaint(tmp_path, text).splitlines() if line.strip().startswith(f"{where}:")]
    assert len(lines) == 1
    assert value in lines[0]


def test_all_complaints_come_at_once(tmp_path: Path) -> None:
    text = '[line]\nqueue = 0\nprodcut = "ring"\n[camera]\nkind = "synthetic"\nsize = "large"\n'
    message = complaint(tmp_path, text)
    for where in ("line.queue", "line.prodcut", "line.product", "camera.synthetic.size"):
        assert f"{where}:" in message
    assert "line.toml" in message


@pytest.mark.parametrize("name", ["Ring", "../ring", "", "ring/1", "-ring", "r" * 65])
def test_a_product_that_cannot_name_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    message = complaint(tmp_path, LEAST.replace('"ring"', f'"{name}"'))
    assert "line.product" in message
    assert repr(name) in message


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    assert "is not TOML" in complaint(tmp_path, "line: product\n")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "line.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(path)


def test_a_missing_file_is_named_with_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml.*example"):
        load_config(tmp_path / "nowhere.toml")


def test_a_config_cannot_be_changed_after_it_was_read() -> None:
    config = parse_config({"line": {"product": "ring"}, "camera": {"kind": "synthetic"}}, "test")
    with pytest.raises(ValueError, match="frozen"):
        config.line.product = "disc"


def test_engines_are_named_as_the_program_names_them_each_once(tmp_path: Path) -> None:
    text = LEAST.replace("[camera]", 'engines = ["openvino", "openvino:fp32", "onnxruntime"]\n[camera]')
    assert load_config(write(tmp_path, text)).line.engines == ("openvino:fp32", "onnxruntime")
    assert "choose one of onnxruntime, openvino:fp32" in complaint(tmp_path, text.replace("openvino", "abacus"))


@pytest.mark.parametrize("moment", ["24:00", "6:00", "06:60", "shift", "06:00 "])
def test_a_challenge_is_due_at_a_moment_that_there_is(tmp_path: Path, moment: str) -> None:
    camera = '[camera]\nkind = "synthetic"\n'
    good = write(tmp_path, f'[line]\nproduct = "ring"\nchallenge = ["start", "changeover", "06:00"]\n{camera}')
    assert load_config(good).line.challenge == ("start", "changeover", "06:00")
    text = f'[line]\nproduct = "ring"\nchallenge = ["{moment}"]\n{camera}'
    assert f"{moment!r} is no moment" in complaint(tmp_path, text)


def test_a_gate_that_opens_before_the_window_ends_is_refused(tmp_path: Path) -> None:
    gate = "[ejector]\nwindow_ms = 150\ngate_ms = {}\n"
    assert load_config(write(tmp_path, LEAST + gate.format(158))).ejector.gate_ms == 158
    assert "opens 149 ms after the picture" in complaint(tmp_path, LEAST + gate.format(157))


def test_a_gate_that_counts_from_several_cameras_is_refused(tmp_path: Path) -> None:
    cameras = '[[cameras]]\nkind = "synthetic"\nname = "left"\n[ejector]\ngate_ms = 200\n'
    assert "ejector.gate_ms" in complaint(tmp_path, LEAST + cameras)


@pytest.mark.parametrize(
    ("page", "why"),
    [
        ('address = "0.0.0.0"', "passwords don't go over a network in the clear"),
        ('certificate = "page.pem"', "page.certificate and page.key belong together"),
        ("port = 0", "page.port"),
    ],
)
def test_a_page_that_would_give_passwords_away_is_refused(tmp_path: Path, page: str, why: str) -> None:
    assert why in complaint(tmp_path, f"{LEAST}[page]\n{page}\n")


def test_a_page_for_a_network_has_its_certificate(tmp_path: Path) -> None:
    page = '[page]\naddress = "0.0.0.0"\ncertificate = "page.pem"\nkey = "page.key"\n'
    assert load_config(write(tmp_path, LEAST + page)).page.certificate == Path("page.pem")
