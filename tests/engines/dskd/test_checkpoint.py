"""A run that was killed goes on, and ends as if nothing had happened."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from engines.bundle import MODEL, newest_bundle
from engines.dskd.checkpoint import FILE, read_checkpoint, remove_checkpoint
from engines.dskd.features import Pictures
from engines.dskd.teach import teach
from engines.dskd.train import Progress, Trained, TrainingConfig, train
from engines.errors import Collapsed

CONFIG = TrainingConfig(size=64, steps=10, minutes=None, batch=2, device="cpu")
LOOK = 5  # with two select parts, ten steps have looks after the fifth and the last


class Killed(Exception):
    """Stands for the end of the process in tests that stay in it."""


def textures(count: int, seed: int = 0) -> Pictures:
    noise = np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), np.uint8)
    return np.stack([cv2.GaussianBlur(picture, (0, 0), 2) for picture in noise])


@pytest.fixture(scope="module")
def uninterrupted() -> Trained:
    return train(textures(6), textures(2, 1), CONFIG)


def run_until(step: int, work: Path, config: TrainingConfig = CONFIG) -> None:
    def on_step(progress: Progress) -> None:
        if progress.step == step:
            raise Killed

    with pytest.raises(Killed):
        train(textures(6), textures(2, 1), config, on_step, work)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run left behind that was stopped after its first look."""
    folder = tmp_path_factory.mktemp("stopped")
    run_until(LOOK, folder)
    return folder


@pytest.fixture
def work(stopped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "work"))


def assert_same(first: Trained, second: Trained) -> None:
    assert (first.best_step, first.select_loss, first.steps) == (second.best_step, second.select_loss, second.steps)
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name


@pytest.mark.parametrize(("step", "saved"), [(LOOK, LOOK), (8, LOOK), (10, 10)])
def test_a_resumed_run_ends_bit_for_bit_like_an_uninterrupted_one(
    step: int, saved: int, uninterrupted: Trained, tmp_path: Path
) -> None:
    run_until(step, tmp_path)
    said: list[str] = []
    steps: list[Progress] = []
    resumed = train(textures(6), textures(2, 1), CONFIG, steps.append, tmp_path, say=said.append)
    assert_same(resumed, uninterrupted)
    assert [progress.step for progress in steps] == list(range(saved + 1, 11))
    assert said == [f"going on at step {saved} of 10, from {tmp_path / FILE}"]


def test_a_run_killed_before_its_first_look_starts_afresh(uninterrupted: Trained, tmp_path: Path) -> None:
    run_until(LOOK - 1, tmp_path)
    said: list[str] = []
    assert_same(train(textures(6), textures(2, 1), CONFIG, work=tmp_path, say=said.append), uninterrupted)
    assert said == []


def test_a_resumed_run_counts_the_time_already_spent(tmp_path: Path) -> None:
    run_until(10, tmp_path)
    first = read_checkpoint(tmp_path)["spent_s"]
    resumed = train(textures(6), textures(2, 1), CONFIG, work=tmp_path)
    assert resumed.seconds > first > 0


@pytest.mark.parametrize("config", [replace(CONFIG, seed=1), replace(CONFIG, learning_rate=1e-3)])
def test_a_checkpoint_of_other_settings_is_not_used(config: TrainingConfig, tmp_path: Path) -> None:
    run_until(LOOK, tmp_path, config)
    said: list[str] = []
    steps: list[Progress] = []
    train(textures(6), textures(2, 1), CONFIG, steps.append, tmp_path, say=said.append)
    assert steps[0].step == 1
    assert "of other pictures or settings" in said[0]


def test_a_checkpoint_of_other_pictures_is_not_used(work: Path) -> None:
    said: list[str] = []
    steps: list[Progress] = []
    other = textures(6)
    other[3, 10, 20, 1] ^= 1
    train(other, textures(2, 1), CONFIG, steps.append, work, say=said.append)
    assert steps[0].step == 1
    assert "of other pictures or settings" in said[0]


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_damaged_checkpoint_is_named_and_the_run_starts_afresh(
    damage: str, uninterrupted: Trained, work: Path
) -> None:
    data = bytearray((work / FILE).read_bytes())
    data[len(data) // 2] ^= 1
    (work / FILE).write_bytes({"flipped": data, "cut": data[: len(data) // 2], "empty": b""}[damage])
    said: list[str] = []
    assert_same(train(textures(6), textures(2, 1), CONFIG, work=work, say=said.append), uninterrupted)
    assert f"checkpoint {work / FILE} is damaged" in said[0]


def test_a_folder_that_cannot_be_written_costs_the_checkpoint_not_the_run(
    uninterrupted: Trained, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    said: list[str] = []
    work = tmp_path / "file" / "training"
    assert_same(train(textures(6), textures(2, 1), CONFIG, work=work, say=said.append), uninterrupted)
    assert "the run goes on" in said[0]


def test_removing_leaves_what_is_not_ours(tmp_path: Path) -> None:
    work = tmp_path / "training"
    work.mkdir()
    (work / FILE).write_bytes(b"")
    remove_checkpoint(work)
    assert not work.exists()
    work.mkdir()
    (work / "notes.txt").write_text("mine")
    remove_checkpoint(work)
    assert (work / "notes.txt").exists()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    folder = tmp_path / "good"
    folder.mkdir()
    for number, picture in enumerate(textures(10)):
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    return folder


def test_a_collapsed_run_leaves_no_checkpoint(good: Path, tmp_path: Path) -> None:
    paths = sorted(good.glob("*.png"))
    with pytest.raises(Collapsed):
        teach("cloth", paths[:6], paths[6:], tmp_path / "out", replace(CONFIG, learning_rate=1e3), work=tmp_path / "w")
    assert not (tmp_path / "w").exists()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_after_kill_9_the_exported_model_is_the_same_to_the_byte(good: Path, tmp_path: Path) -> None:
    def start(out: str) -> subprocess.Popen[str]:
        call = [sys.executable, "-m", "engines.dskd.train", "--good", str(good), "--out", str(tmp_path / out)]
        options = ["--steps", "20", "--size", "64", "--batch", "2", "--device", "cpu"]
        return subprocess.Popen(
            [*call, *options], stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )

    with start("killed") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("step 13/20"):
                process.kill()
    assert process.returncode == -9
    assert (tmp_path / "killed" / "training" / FILE).exists()
    for out in ("killed", "whole"):
        with start(out) as process:
            _, said = process.communicate()
        assert process.returncode == 0, said
        assert ("going on at step 10 of 20" in said) is (out == "killed"), said
    killed, whole = (newest_bundle(tmp_path / out) / MODEL for out in ("killed", "whole"))
    assert killed.read_bytes() == whole.read_bytes()
    assert not (tmp_path / "killed" / "training").exists()
