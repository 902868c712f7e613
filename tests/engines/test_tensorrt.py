"""The TensorRT runtime's own lines: caching, checks, memory and errors, on a fake that is held against the real API.

That TensorRT computes right maps, and how fast, only a GPU can show: tests/gpu.
"""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from engines.bundle import Bundle, load_bundle, save_bundle
from engines.detector import open_detector
from engines.errors import BundleError, InferenceFailed, RuntimeUnavailable
from engines.image import Image
from engines.runtimes import tensorrt_build
from engines.runtimes.base import check_engine
from engines.runtimes.box import box
from engines.runtimes.tensorrt import TensorRtRuntime
from engines.runtimes.tensorrt_build import check_half
from engines.runtimes.tensorrt_cache import EngineCache, cache_folder
from engines.runtimes.tensorrt_cuda import Cuda
from engines.scoring import Map
from inspector.cli import app

MODEL = b"graph"


def picture(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)


def reference(image: Image) -> list[Map]:
    distance = np.abs(image.astype(np.float32).mean(2) - 150)
    return [distance.reshape(64 // s, s, 64 // s, s).mean((1, 3)) for s in (4, 8, 16)]


def agrees(maps: tuple[Map, ...], image: Image) -> bool:
    return all(np.array_equal(got, want) for got, want in zip(maps, reference(image)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "engines"


# -- inference ---------------------------------------------------------------------------------------------------------


def test_maps_are_those_of_the_picture_and_stay_the_callers(tensorrt: Any, folder: Path) -> None:
    runtime = TensorRtRuntime(MODEL, folder)
    first = runtime.infer(picture(1))
    assert agrees(runtime.infer(picture(2)[::-1]), np.ascontiguousarray(picture(2)[::-1]))
    assert agrees(first, picture(1))
    assert all(level.dtype == np.float32 for level in first)
    runtime.close()
    runtime.close()
    with pytest.raises(InferenceFailed, match="is closed"):
        runtime.infer(picture(1))


def test_an_inference_is_one_launch_and_one_wait(tensorrt: Any, cuda: Any, folder: Path) -> None:
    runtime = TensorRtRuntime(MODEL, folder)
    assert runtime.is_captured
    before = len(cuda.calls)
    runtime.infer(picture(1))
    assert cuda.calls[before:] == ["cudaGraphLaunch", "cudaStreamSynchronize"]
    runtime.close()


@pytest.mark.parametrize("call", ["cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiate"])
def test_without_a_graph_the_maps_are_the_same(tensorrt: Any, cuda: Any, folder: Path, call: str) -> None:
    cuda.fails[call] = cuda.cudaError_t.cudaErrorStreamCaptureUnsupported
    runtime = TensorRtRuntime(MODEL, folder)
    assert not runtime.is_captured
    assert agrees(runtime.infer(picture(3)), picture(3))
    runtime.close()


@pytest.mark.parametrize(
    "wrong", [np.zeros((32, 64, 3), np.uint8), np.zeros((64, 64, 3), np.float32), picture(0)[None]]
)
def test_a_picture_of_another_kind_is_refused(tensorrt: Any, folder: Path, wrong: Any) -> None:
    runtime = TensorRtRuntime(MODEL, folder)
    with pytest.raises(InferenceFailed, match="the model eats"):
        runtime.infer(wrong)
    runtime.close()


@pytest.mark.parametrize("call", ["cudaGraphLaunch", "cudaStreamSynchronize"])
def test_a_gpu_that_fails_gives_no_maps(tensorrt: Any, cuda: Any, folder: Path, call: str) -> None:
    runtime = TensorRtRuntime(MODEL, folder)
    cuda.fails[call] = cuda.cudaError_t.cudaErrorMemoryAllocation
    with pytest.raises(InferenceFailed, match=f"{call}: cudaErrorMemoryAllocation"):
        runtime.infer(picture(1))
    runtime.close()


def test_whichever_call_fails_while_opening_nothing_is_left_behind(tensorrt: Any, cuda: Any, folder: Path) -> None:
    TensorRtRuntime(MODEL, folder).close()
    needed = len(cuda.calls)
    refused = 0
    for number in range(needed):
        cuda.calls.clear()
        cuda.fail_at = number
        try:
            runtime = TensorRtRuntime(MODEL, folder)
        except RuntimeUnavailable:
            refused += 1
        else:  # only the capture may fail
            assert not runtime.is_captured
            cuda.fail_at = None
            assert agrees(runtime.infer(picture(number)), picture(number))
            runtime.close()
        assert not cuda.owned
    assert refused > needed / 2


# -- what is refused by name -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("parse", "refuses the model: In node 3: no importer for Frobnicate"),
        ("build", "can't build the model: no tactic for /encoder/Conv"),
        ("deserialize", "does not take its own engine: engine of another version"),
        ("context", "can't run the engine"),
        ("address", "refuses the address of picture"),
        ("execute", "execute_async_v3 refused"),
        ("timing", "takes no timing cache"),
    ],
)
def test_what_tensorrt_refuses_is_told(tensorrt: Any, folder: Path, what: str, why: str) -> None:
    tensorrt.refuses.add(what)
    with pytest.raises(RuntimeUnavailable, match=re.escape(why)):
        TensorRtRuntime(MODEL, folder)


def test_no_gpu_is_told(tensorrt: Any, cuda: Any, folder: Path) -> None:
    cuda.name = None
    with pytest.raises(RuntimeUnavailable, match="no usable GPU: cudaGetDeviceCount: cudaErrorInsufficientDriver"):
        TensorRtRuntime(MODEL, folder)


@pytest.mark.parametrize("module", ["tensorrt", "cuda.bindings.runtime"])
def test_a_library_that_lacks_is_told(
    tensorrt: Any, folder: Path, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RuntimeUnavailable, match=r"docs/TENSORRT\.md"):
        TensorRtRuntime(MODEL, folder)


def test_the_real_cuda_bindings_say_whether_there_is_a_gpu() -> None:
    from cuda.bindings import runtime

    error, _ = runtime.cudaGetDeviceCount()
    if error == runtime.cudaError_t.cudaSuccess:
        assert Cuda().gpu()
    else:
        with pytest.raises(RuntimeUnavailable, match="no usable GPU"):
            Cuda()


@pytest.mark.parametrize(
    "change",
    [{"picture": (2, 64, 64, 3)}, {"picture": (1, 3, 64, 64)}, {"map0": (1, 16, -1)}, {"map1": (1, 1, 8, 8)}],
)
def test_a_graph_that_is_no_bundles_is_refused(tensorrt: Any, folder: Path, change: dict[str, tuple[int, ...]]) -> None:
    tensorrt.shapes |= change
    with pytest.raises(RuntimeUnavailable, match="not a uint8 picture"):
        TensorRtRuntime(MODEL, folder)


# -- precision ---------------------------------------------------------------------------------------------------------


def test_an_engine_in_fp32_is_refused_and_not_kept(tensorrt: Any, folder: Path) -> None:
    tensorrt.layer = "Row major linear FP32 format"
    with pytest.raises(RuntimeUnavailable, match="not FP16: 0 layers with FP16, 3 with FP32 only, of 3"):
        TensorRtRuntime(MODEL, folder)
    assert not list(folder.glob("*.engine"))


def layers(*types: tuple[str, str]) -> str:
    return json.dumps({"Layers": [{"Inputs": [{"Format": a}], "Outputs": [{"DataType": b}]} for a, b in types]})


def test_layers_are_counted_by_their_types() -> None:
    told = check_half(
        layers(("Half", "Half"), ("Float", "Half"), ("Row major linear FP32 format", "Float"), ("Int8", "UInt8"))
    )
    assert told == {"fp16": 1, "fp16 and fp32": 1, "fp32": 1}


@pytest.mark.parametrize("told", ["", "[]", "3", '{"Layers": null}', '{"Layers": ["only a name"]}', '{"Layers": [{}]}'])
def test_an_inspector_that_tells_no_types_is_refused(told: str) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"not FP16|nothing readable"):
        check_half(told)


# -- the cache ---------------------------------------------------------------------------------------------------------


def open_and_close(folder: Path, model: bytes = MODEL) -> bool:
    """Whether the engine came from the cache."""
    runtime = TensorRtRuntime(model, folder)
    assert agrees(runtime.infer(picture(4)), picture(4))
    runtime.close()
    return runtime.facts.was_cached


def test_an_engine_is_built_once(tensorrt: Any, folder: Path) -> None:
    assert [open_and_close(folder) for _ in range(3)] == [False, True, True]
    assert len(tensorrt.builds) == 1


def test_another_graph_version_gpu_or_option_has_another_engine(
    tensorrt: Any, cuda: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_and_close(folder)
    assert not open_and_close(folder, b"other graph")
    cuda.name = "Other GPU"
    assert not open_and_close(folder)
    tensorrt.__version__ = "11.4.0"
    assert not open_and_close(folder)
    monkeypatch.setitem(tensorrt_build.OPTIONS, "level", 5)
    assert not open_and_close(folder)
    assert len(list(folder.glob("*.engine"))) == 5


def test_what_one_build_measured_serves_the_next_on_this_gpu_only(tensorrt: Any, cuda: Any, folder: Path) -> None:
    open_and_close(folder)
    open_and_close(folder, b"other graph")
    cuda.name = "Other GPU"
    open_and_close(folder)
    assert tensorrt.builds == [b"", b"measured", b""]


def test_measurements_that_tensorrt_does_not_take_are_left_out(tensorrt: Any, folder: Path) -> None:
    open_and_close(folder)
    cache = EngineCache(folder)
    runtime = TensorRtRuntime(MODEL, folder)
    cache.keep_timing(runtime.facts.target, b"of another world")
    runtime.close()
    open_and_close(folder, b"other graph")
    assert tensorrt.builds == [b"", b""]


@pytest.mark.parametrize("place", [0, 31, 32, -1])
def test_a_flipped_byte_in_a_kept_engine_builds_it_again(tensorrt: Any, folder: Path, place: int) -> None:
    open_and_close(folder)
    (path,) = folder.glob("*.engine")
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert [open_and_close(folder) for _ in range(2)] == [False, True]


def test_a_kept_engine_that_tensorrt_does_not_take_is_built_again(tensorrt: Any, folder: Path) -> None:
    open_and_close(folder)
    (path,) = folder.glob("*.engine")
    EngineCache(folder).keep_engine(path.stem, b"from before the driver was changed")
    assert [open_and_close(folder) for _ in range(2)] == [False, True]


@pytest.mark.parametrize("mode", [0o722, 0o702])
def test_a_folder_that_others_may_write_to_is_not_trusted(tensorrt: Any, folder: Path, mode: int) -> None:
    open_and_close(folder)
    folder.chmod(mode)
    with pytest.raises(RuntimeUnavailable, match="engines are executable code"):
        TensorRtRuntime(MODEL, folder)


def test_a_full_disk_costs_a_build_and_not_the_line(
    tensorrt: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert [open_and_close(folder) for _ in range(2)] == [False, False]
    assert not list(folder.iterdir())


def test_engines_lie_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "line-inspector" / "engines"


def test_a_build_tells_how_far_it_is(tensorrt: Any, folder: Path) -> None:
    told: list[tuple[str, int, int]] = []
    TensorRtRuntime(MODEL, folder, lambda *progress: told.append(progress)).close()
    assert told == [("Tactics", 1, 2)]


# -- among the engines ------------------------------------------------------------------------------------------------


def test_it_runs_the_fp16_graph_of_a_bundle(
    tensorrt: Any, tmp_path: Path, tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(BundleError, match=r"no model\.fp16\.onnx"):
        open_detector(tiny_bundle, "tensorrt:fp16")
    files = (tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring)
    bundle = load_bundle(save_bundle(tmp_path / "bundles", *files, fp16=b"half"))
    detector = open_detector(bundle, "tensorrt:fp16")
    assert agrees(detector.detect(picture(5)).maps, picture(5))
    detector.close()


def test_its_figures_hold_for_one_gpu_and_version(tensorrt: Any) -> None:
    facts = box("tensorrt:fp16")
    assert (facts["tensorrt"], facts["gpu"]) == ("10.3.0", "Fake GPU 8.7 16 SM")


def test_a_box_without_a_gpu_can_not_run_it(tensorrt: Any, cuda: Any) -> None:
    check_engine("tensorrt:fp16")
    cuda.fails["cudaGetDeviceProperties"] = cuda.cudaError_t.cudaErrorInsufficientDriver
    with pytest.raises(RuntimeUnavailable, match="the GPU does not answer"):
        check_engine("tensorrt:fp16")
    cuda.name = None
    with pytest.raises(RuntimeUnavailable, match="no usable GPU"):
        check_engine("tensorrt:fp16")


# -- on the command line -----------------------------------------------------------------------------------------------


def test_build_prepares_the_engine_of_the_newest_bundle(
    tensorrt: Any, tmp_path: Path, tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    save = partial(save_bundle, tmp_path / "products" / "ring" / "bundles")
    save(tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring, fp16=b"half")
    told = [
        json.loads(CliRunner().invoke(app, ["build", "ring", "--data-dir", str(tmp_path), "--json"]).stdout)
        for _ in range(2)
    ]
    assert [facts["was_cached"] for facts in told] == [False, True]
    assert told[0]["gpu"] == "Fake GPU 8.7 16 SM"
    assert told[0]["layers"] == {"fp16": 3}
    assert told[0]["cuda_graph"] is True


def test_build_says_when_the_bundle_has_no_fp16_graph(tmp_path: Path, tiny_bundle: Bundle) -> None:
    bundles = tmp_path / "products" / "ring" / "bundles"
    save_bundle(bundles, tiny_bundle.manifest, tiny_bundle.model, tiny_bundle.scoring)
    with pytest.raises(BundleError, match=r"no model\.fp16\.onnx"):
        CliRunner().invoke(app, ["build", "ring", "--data-dir", str(tmp_path)], catch_exceptions=False)
