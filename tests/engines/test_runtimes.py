"""One contract for every runtime."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from engines.bundle import Bundle
from engines.errors import RuntimeUnavailable
from engines.image import Image
from engines.runtimes import base
from engines.runtimes.base import RUNTIMES, Runtime, open_runtime
from engines.scoring import Map


@pytest.fixture(params=sorted(RUNTIMES))
def runtime(request: pytest.FixtureRequest, tiny_bundle: Bundle) -> Iterator[Runtime]:
    opened = open_runtime(request.param, tiny_bundle.model, 1)
    yield opened
    opened.close()


def picture(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)


def reference(image: Image) -> list[Map]:
    """What the tiny graph computes, in numpy."""
    distance = np.abs(image.astype(np.float32).mean(2) - 150)
    return [distance.reshape(64 // s, s, 64 // s, s).mean((1, 3)) for s in (4, 8, 16)]


def test_maps_are_those_of_the_graph(runtime: Runtime) -> None:
    for seed in range(5):
        for got, want in zip(runtime.infer(picture(seed)), reference(picture(seed))):
            assert got.dtype == np.float32
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-3)


def test_earlier_maps_are_not_overwritten_by_later_ones(runtime: Runtime) -> None:
    first = runtime.infer(picture(1))
    kept = [level.copy() for level in first]
    runtime.infer(picture(2))
    for level, copy in zip(first, kept):
        np.testing.assert_array_equal(level, copy)


def test_a_picture_with_strides_is_read_rightly(runtime: Runtime) -> None:
    turned = picture(3)[::-1]
    np.testing.assert_allclose(runtime.infer(turned)[0], reference(np.ascontiguousarray(turned))[0], atol=1e-3)


def test_closing_twice_is_harmless(runtime: Runtime) -> None:
    assert runtime.infer(picture(0))
    runtime.close()
    runtime.close()


@pytest.mark.parametrize("name", sorted(RUNTIMES))
@pytest.mark.parametrize("model", [b"", b"no model at all"])
def test_garbage_is_refused_by_name(name: str, model: bytes) -> None:
    with pytest.raises(RuntimeUnavailable, match=name):
        open_runtime(name, model)


def test_an_unknown_runtime_names_those_there_are() -> None:
    with pytest.raises(RuntimeUnavailable, match="onnxruntime"):
        open_runtime("abacus", b"")


def test_a_runtime_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "is_installed", lambda name: False)
    with pytest.raises(RuntimeUnavailable, match=r"line-inspector\[openvino\]"):
        open_runtime("openvino", b"")
    assert base.preferred_runtime() == "onnxruntime"
