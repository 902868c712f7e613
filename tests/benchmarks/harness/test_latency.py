"""Two inferences timed in turns."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from harness.latency import WARM_UPS, interleaved, measure
from harness.options import PEERS_VARIABLE, peers_environment

from engines.bundle import Bundle


def test_both_are_called_in_every_round_in_alternating_order() -> None:
    calls: list[str] = []
    interleaved([lambda: calls.append("a"), lambda: calls.append("b")], rounds=4)
    assert "".join(calls) == "ab" * WARM_UPS + "abba" * 2


def test_the_slower_takes_longer() -> None:
    def work() -> None:
        until = time.perf_counter_ns() + 2_000_000
        while time.perf_counter_ns() < until:
            pass

    quick, slow = interleaved([lambda: None, work], rounds=5)
    assert quick < 2 <= slow


def test_without_the_peers_environment_there_is_no_ratio(tiny_bundle: Bundle) -> None:
    infer_ms, ratio = measure(tiny_bundle, "onnxruntime", None)
    assert infer_ms > 0
    assert ratio is None


def test_peers_environment_is_none_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PEERS_VARIABLE, str(tmp_path))
    assert peers_environment() is None
