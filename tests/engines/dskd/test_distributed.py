"""Two processes train one product; gloo, on this machine."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from engines.bundle import load_bundle, newest_bundle
from engines.dskd.batch import show
from engines.dskd.distributed import ALONE, Group, average_statistics, joined
from engines.dskd.train import step_loss

SCRIPT = Path(__file__).parent / "two_processes.py"


def torchrun(*call: str) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, *call],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    out = tmp_path_factory.mktemp("two")
    torchrun(str(SCRIPT), str(out))
    return [torch.load(out / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.slow
def test_averaged_gradients_are_those_of_one_process_over_the_same_two_halves(results: list[dict[str, Any]]) -> None:
    rig = runpy.run_path(str(SCRIPT))
    state, targets = rig["first_step"]()
    losses = []
    for rank in range(2):
        group = Group(rank, 2)
        half = group.share(rig["draw_batch"](rig["CONFIG"], len(rig["FIT"]), 1, group))
        loss = step_loss(state.network, show(state.network, rig["FIT"], targets, half, (0, 1)))
        (loss / 2).backward()  # type: ignore[no-untyped-call]
        losses.append(float(loss.detach()))
    expected = {name: p.grad for name, p in state.network.named_parameters() if p.grad is not None}
    assert len(expected) > 50
    for result in results:
        assert float(result["loss"]) == pytest.approx(np.mean(losses), abs=1e-5)
        assert result["gradients"].keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(result["gradients"][name], gradient, atol=1e-5, rtol=0, msg=name)


@pytest.mark.slow
def test_all_processes_end_with_the_same_network_and_running_statistics(results: list[dict[str, Any]]) -> None:
    first, second = (result["trained"] for result in results)
    assert any("running_mean" in name and value.abs().max() > 0 for name, value in first.items())
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.slow
def test_torchrun_trains_one_product_and_the_first_process_writes_it(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (10, 64, 64, 3), np.uint8)
    for number, picture in enumerate(noise):
        cv2.imwrite(str(tmp_path / "good" / f"{number}.png"), cv2.GaussianBlur(picture, (0, 0), 2))
    options = ["--steps", "3", "--size", "64", "--batch", "4", "--device", "cpu"]
    torchrun("-m", "engines.dskd.train", "--good", str(tmp_path / "good"), "--out", str(tmp_path / "out"), *options)
    bundle = load_bundle(newest_bundle(tmp_path / "out"))
    assert len(bundle.manifest.fit) == 8
    assert len(bundle.manifest.select) == 2
    assert bundle.manifest.training["steps"] == 3
    assert [path.is_dir() for path in (tmp_path / "out").iterdir()] == [True]


def test_without_torchrun_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined(torch.device("cpu")) as group:
        assert group is ALONE
    tensor = torch.tensor([1.0, 2.0])
    group.average([tensor])
    assert tensor.tolist() == [1.0, 2.0]
    assert group.from_first(lambda: 7) == 7
    average_statistics(torch.nn.BatchNorm2d(3), group)
