"""The command line as a user meets it: exit codes, and messages that name what to do."""

from __future__ import annotations

import errno
import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import pytest
import tomlkit

from calibration.recipe import Recipe, save_recipe
from engines.bundle import MODEL, Bundle, newest_bundle, save_bundle
from engines.dskd.checkpoint import FILE
from engines.image import Image, list_images
from inspector.bench import Bench, Quantiles
from inspector.cameras.synthetic import draw_part
from inspector.certify import keep_pictures
from inspector.demo import free_port
from inspector.products import product

if TYPE_CHECKING:
    from tests.inspector.conftest import Call


@pytest.fixture
def data_dir(tmp_path: Path, tiny_bundle: Bundle, tiny_recipe: Recipe) -> Path:
    """A data directory with one product that is ready to run."""
    home = tmp_path / "data" / "products" / "ring"
    save_bundle(home / "bundles", tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring)
    (home / "recipes").mkdir()
    save_recipe(home / "recipes", tiny_recipe)
    keep_pictures(product(tmp_path / "data", "ring"), list_images(folder_of_parts(tmp_path / "select", 10, seed=14)))
    return tmp_path / "data"


@pytest.fixture
def config(tmp_path: Path, data_dir: Path) -> Callable[..., Path]:
    """Write a line.toml; sections given by name are merged over a working one."""

    def write(**sections: dict[str, Any]) -> Path:
        document: dict[str, dict[str, Any]] = {
            "line": {"name": "test", "product": "ring", "data_dir": str(data_dir)},
            "camera": {"kind": "synthetic", "size": 64, "parts": 3},
            "ejector": {
                "endpoint": f"tcp://127.0.0.1:{free_port()}",
                "data_dir": str(tmp_path / "ejector"),
            },
        }
        for name, changes in sections.items():
            document[name] |= changes
        path = tmp_path / "line.toml"
        path.write_text(tomlkit.dumps(document))
        return path

    return write


def test_an_unknown_key_in_the_config_names_the_nearest_one(call: Call, config: Callable[..., Path]) -> None:
    code, _, err = call("run", "--config", config(line={"produkt": "ring"}))
    assert code == 1
    assert "line.produkt" in err
    assert "did you mean 'product'" in err


def test_a_missing_config_says_where_every_key_is_explained(call: Call, tmp_path: Path) -> None:
    code, _, err = call("run", "--config", tmp_path / "none.toml")
    assert code == 1
    assert "line.example.toml" in err


def test_a_product_that_does_not_exist_says_how_to_make_it(call: Call, config: Callable[..., Path]) -> None:
    code, _, err = call("run", "--config", config(line={"product": "bolt"}))
    assert code == 1
    assert "inspector calibrate" in err


def test_a_tampered_bundle_does_not_start_the_line(call: Call, config: Callable[..., Path], data_dir: Path) -> None:
    model = newest_bundle(data_dir / "products" / "ring" / "bundles") / MODEL
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    code, _, err = call("run", "--config", config())
    assert code == 1
    assert "was changed since export" in err


def test_a_recipe_whose_bundle_is_gone_does_not_start_the_line(
    call: Call, config: Callable[..., Path], data_dir: Path
) -> None:
    shutil.rmtree(newest_bundle(data_dir / "products" / "ring" / "bundles"))
    code, _, err = call("run", "--config", config())
    assert code == 1
    assert "calibrate the product with a bundle that is there" in err


def test_an_engine_other_than_the_calibrated_one_is_refused(call: Call, config: Callable[..., Path]) -> None:
    code, _, err = call("run", "--config", config(line={"engines": ["openvino"]}))
    assert code == 1
    assert "openvino:fp32: ring has no threshold" in err
    assert "calibrated on onnxruntime" in err


def test_certify_shows_the_figures_and_a_product_without_is_not_ready(
    call: Call, data_dir: Path, tmp_path: Path
) -> None:
    good = folder_of_parts(tmp_path / "good", 20)
    code, out, _ = call("calibrate", "ring", "--good", good, "--engine", "openvino", "--data-dir", data_dir, "--json")
    assert code == 0
    assert json.loads(out)["engine"] == "openvino:fp32"
    (path,) = (data_dir / "products" / "ring" / "certificates").glob("*.json")
    path.unlink()
    _, out, _ = call("products", "--data-dir", data_dir, "--json")
    assert "inspector certify ring --engine openvino:fp32" in json.loads(out)[0]["state"]
    code, out, _ = call("certify", "ring", "--engine", "openvino:fp32", "--data-dir", data_dir, "--json")
    assert code == 0
    facts = json.loads(out)
    assert (facts["engine"], facts["flips"], facts["refusals"]) == ("openvino:fp32", 0, [])
    _, out, _ = call("products", "--data-dir", data_dir, "--json")
    assert json.loads(out)[0]["state"] == "ready"


def test_certify_of_the_reference_or_of_an_unknown_engine_is_explained(call: Call, data_dir: Path) -> None:
    code, _, err = call("certify", "ring", "--data-dir", data_dir)
    assert code == 1
    assert "onnxruntime is the reference itself" in err
    code, _, err = call("certify", "ring", "--engine", "abacus", "--data-dir", data_dir)
    assert code == 1
    assert "choose one of onnxruntime, openvino:fp32" in err


def test_bench_prints_every_stage_and_the_ratio(call: Call, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def measured(bundle: Bundle, recipe: Recipe, images: list[Image], *rest: Any) -> Bench:
        asked.append((recipe.engine, recipe.product, len(images), *rest[:3]))
        times = Quantiles(1.0, 2.0, 3.0, 4.0)
        stages = {"infer": times, "ack": times}
        return Bench(bundle.id, recipe.engine, 1, 2, 1, stages, 9.0, 10.0, 0.9, 0.8, 0.95, 3, 30, 200.0, 210.0, True)

    monkeypatch.setattr("inspector.bench.bench", measured)
    code, out, _ = call(
        "bench", "ring", "--engine", "openvino", "--threads", 1, "--in-flight", 2, "--seconds", 5, "--data-dir",
        data_dir, "--json",
    )  # fmt: skip
    assert code == 0
    facts = json.loads(out)
    assert facts["line_over_bare"] == 0.9
    assert facts["stages"]["ack"] == {"p50": 1.0, "p99": 2.0, "p99_9": 3.0, "max": 4.0}
    assert asked == [("openvino:fp32", "ring", 10, 1, 2, 5.0)]
    _, out, _ = call("bench", "ring", "--data-dir", data_dir)
    assert "line_over_bare" in out
    assert "p99_9" in out


def test_a_busy_port_names_the_endpoint(call: Call, config: Callable[..., Path]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        code, _, err = call("ejector", "--config", config(ejector={"endpoint": endpoint}))
    assert code == 1
    assert endpoint in err
    assert "another ejector" in err


def test_products_are_listed_with_their_evidence(call: Call, data_dir: Path) -> None:
    code, out, _ = call("products", "--data-dir", data_dir, "--json")
    assert code == 0
    (row,) = json.loads(out)
    assert row["state"] == "ready"
    assert "100 parts" in row["evidence"]


def test_an_unusable_product_is_listed_with_its_reason(call: Call, data_dir: Path) -> None:
    (data_dir / "products" / "ring" / "recipes" / "0001" / "recipe.npz").write_bytes(b"")
    _, out, _ = call("products", "--data-dir", data_dir, "--json")
    assert "was changed since calibration" in json.loads(out)[0]["state"]


def test_calibrate_says_what_the_parts_support(call: Call, data_dir: Path, tmp_path: Path) -> None:
    good = folder_of_parts(tmp_path / "good", 60)
    code, out, _ = call("calibrate", "ring", "--good", good, "--data-dir", data_dir, "--json")
    assert code == 0
    facts = json.loads(out)
    assert facts["sentence"].startswith("60 parts: at most 4.9% false rejects, 95% confidence")
    assert "needs at least 299 parts" in facts["sentence"]


def test_calibrate_strict_says_how_many_parts_are_needed(call: Call, data_dir: Path, tmp_path: Path) -> None:
    good = folder_of_parts(tmp_path / "good", 20)
    code, _, err = call("calibrate", "ring", "--good", good, "--data-dir", data_dir, "--strict")
    assert code == 1
    assert "collect 299 parts" in err


def test_calibrate_without_good_scores_the_kept_pictures_with_what_was_asked(
    call: Call, data_dir: Path, tmp_path: Path
) -> None:
    good = folder_of_parts(tmp_path / "good", 30)
    at = ("--data-dir", data_dir, "--json")
    _, out, _ = call("calibrate", "ring", "--good", good, "--max-false-reject", 0.2, *at, "--engine", "onnxruntime")
    first = json.loads(out)
    assert first["kept_bytes"] > 0
    shutil.rmtree(good)
    code, out, _ = call("calibrate", "ring", "--engine", "openvino", *at)
    second = json.loads(out)
    assert (code, second["engine"], second["kept_bytes"]) == (0, "openvino:fp32", None)
    assert (second["evidence"]["asked"], second["evidence"]["bound"]) == (0.2, first["evidence"]["bound"])
    code, _, err = call("calibrate", "ring", "--confidence", 0.5, *at)
    assert code == 1
    assert "--confidence needs --good" in err


def test_no_keep_leaves_no_picture(call: Call, data_dir: Path, tmp_path: Path) -> None:
    good = folder_of_parts(tmp_path / "good", 30)
    for keep in ("--keep", "--no-keep"):
        code, _, _ = call("calibrate", "ring", "--good", good, keep, "--data-dir", data_dir)
        assert code == 0
    code, _, err = call("calibrate", "ring", "--data-dir", data_dir)
    assert code == 1
    assert "no picture was kept; give the folder of good parts" in err


def test_a_full_disk_keeps_no_picture_and_the_recipe_is_active(
    call: Call, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    good = folder_of_parts(tmp_path / "good", 30)
    monkeypatch.setattr("inspector.kept.shutil.copyfile", full)
    at = ("--engine", "onnxruntime", "--data-dir", data_dir, "--json")
    code, out, err = call("calibrate", "ring", "--good", good, *at)
    facts = json.loads(out)
    assert (code, facts["kept_bytes"]) == (0, 0)
    assert "ring is calibrated, but its pictures can't be kept" in err
    assert product(data_dir, "ring").active()[0].checksum == facts["recipe"]


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--region", "1,2,3", "four whole numbers"),
        ("--region", "a,b,c,d", "four whole numbers"),
        ("--locate-box", "1;2;3;4", "four whole numbers"),
        ("--fit", "crop", "stretch, letterbox"),
        ("--tiles", "-1", "auto, or the number"),
        ("--tiles", "many", "auto, or the number"),
        ("--tiles", "0", "at least 1"),
        ("--region", "60,0,10,10", "outside the frame"),
        ("--locate", "none.png", "cannot read"),
    ],
)
def test_train_refuses_a_view_that_cannot_be(
    call: Call, tmp_path: Path, option: str, value: str, complaint: str
) -> None:
    good = folder_of_parts(tmp_path / "good", 12)
    code, _, err = call("train", "bolt", "--good", good, "--data-dir", tmp_path, option, value)
    assert code == 1
    assert complaint in err


def test_train_for_steps_and_minutes_at_once_is_refused(call: Call, tmp_path: Path) -> None:
    good = folder_of_parts(tmp_path / "good", 10)
    code, _, err = call("train", "ring", "--good", good, "--data-dir", tmp_path, "--steps", 3, "--minutes", 2)
    assert code == 1
    assert "exclude each other" in err


@pytest.mark.slow
def test_train_says_why_it_does_not_go_on_and_leaves_no_checkpoint(call: Call, tmp_path: Path) -> None:
    good = folder_of_parts(tmp_path / "good", 10)
    work = product(tmp_path, "ring").work
    work.mkdir(parents=True)
    (work / FILE).write_bytes(b"half a checkpoint")
    code, out, err = call("train", "ring", "--good", good, "--data-dir", tmp_path, "--steps", 2, "--json")
    assert code == 0
    assert "is damaged" in " ".join(err.split())
    assert json.loads(out)["training"]["steps"] == 2
    assert not work.exists()


def test_history_without_a_database_says_what_to_do(call: Call, tmp_path: Path) -> None:
    code, _, err = call("history", "list", "--data-dir", tmp_path)
    assert code == 1
    assert "run the line first" in err


def test_a_wrong_time_is_explained(call: Call, data_dir: Path) -> None:
    code, _, err = call("history", "list", "--since", "yesterday", "--data-dir", data_dir)
    assert code == 1
    assert "2026-01-31" in err


def test_doctor_finds_the_product_and_misses_the_ejector(call: Call, config: Callable[..., Path]) -> None:
    code, out, _ = call("doctor", "--config", config(), "--json")
    findings = {finding["what"]: finding for finding in json.loads(out)}
    assert findings["product ring"]["state"] == "ok"
    assert findings["product ring"]["found"].endswith("1 inference per part; engine onnxruntime, the reference")
    assert findings["engine openvino:fp32"]["state"] == "ok"
    assert findings["camera"]["state"] == "ok"
    assert findings["ejector"]["state"] == "bad"
    assert code == 1


def test_evaluate_prints_figures_with_intervals_and_writes_the_page(call: Call, data_dir: Path, tmp_path: Path) -> None:
    labelled = labelled_parts(tmp_path)
    page = tmp_path / "out.html"
    code, out, _ = call(
        "evaluate",
        "ring",
        "--dataset",
        "folder",
        "--data",
        labelled,
        "--data-dir",
        data_dir,
        "--report",
        page,
        "--json",
    )
    assert code == 0
    facts = json.loads(out)
    assert facts["image_auroc"]["low"] <= facts["image_auroc"]["value"] == 1.0
    assert facts["missed"].keys() == {"0.005", "0.01", "0.02"}
    assert facts["aupro"] is None
    assert facts["kinds"]["dent"]["n"] == 2
    assert (facts["dataset"], facts["split"], facts["n_good"]) == ("folder", "test", 4)
    assert facts["refused"] == facts["not_found"] == []
    assert page.read_text().startswith("<!doctype html>")


def test_evaluate_shows_a_table_to_people(call: Call, data_dir: Path, tmp_path: Path) -> None:
    code, out, _ = call(
        "evaluate", "ring", "--dataset", "folder", "--data", labelled_parts(tmp_path), "--data-dir", data_dir
    )
    assert code == 0
    assert "1.000  (1.000 to 1.000)" in out
    assert "missed at 1.0% false rejects" in out
    assert "no masks" in out


def test_evaluate_says_at_once_what_is_wrong_with_its_options(call: Call, data_dir: Path, tmp_path: Path) -> None:
    labelled = labelled_parts(tmp_path)
    code, _, err = call("evaluate", "ring", "--dataset", "folders", "--data", labelled, "--data-dir", data_dir)
    assert code == 1
    assert "choose one of folder, mvtec" in err
    code, _, err = call(
        "evaluate", "ring", "--dataset", "folder", "--data", labelled, "--report", tmp_path / "no" / "o.html"
    )
    assert code == 1
    assert "in a folder that exists" in err


def labelled_parts(tmp_path: Path) -> Path:
    labelled = tmp_path / "labelled"
    labelled.mkdir()
    folder_of_parts(labelled / "good", 4)
    for path in sorted(folder_of_parts(labelled / "dent", 2).iterdir()):
        part = cv2.imread(str(path))
        part[20:40, 20:40] = 0
        cv2.imwrite(str(path), part)
    return labelled


def folder_of_parts(folder: Path, count: int, seed: int = 13) -> Path:
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:04d}.png"), draw_part(seed, number, False, 64))
    return folder
