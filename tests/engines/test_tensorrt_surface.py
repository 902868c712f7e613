"""The fakes of conftest.py have only names and parameters that the real TensorRT 10.3, 10.16 and 11.4 and CUDA have.

So code that runs on them calls nothing that one of these versions lacks. `record_tensorrt_surface.py` says how the real
names came into `tensorrt_surface.json`; cuda-bindings are installed, and imported here.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

SURFACES = json.loads((Path(__file__).parent / "tensorrt_surface.json").read_text())
CLASSES = sorted(SURFACES["10.3.0"])


def parameters(signature: str) -> list[str]:
    """Names in a signature of pybind11, f(self: T, size: int = 0) -> R, or cuda-bindings, f(size_t size, kind: K)."""
    inside = re.sub(r"\[[^]]*]", "", signature[signature.index("(") + 1 : signature.rindex(")")])
    names = [part.split("=")[0].split(":")[0].split()[-1] for part in inside.split(",") if part.strip()]
    return [name for name in names if name != "self"]


def own(kind: type) -> dict[str, Any]:
    return {name: value for name, value in vars(kind).items() if not name.startswith("_")}


@pytest.mark.parametrize("version", sorted(SURFACES))
@pytest.mark.parametrize("name", CLASSES)
def test_the_fake_tensorrt_has_nothing_that_a_real_one_lacks(tensorrt: Any, name: str, version: str) -> None:
    kind, real = getattr(tensorrt, name, None), SURFACES[version][name]
    if kind is None:  # what IHostMemory is in the real one is bytes in the fake
        assert name == "IHostMemory"
        return
    bases = [base for base in kind.__mro__ if base.__module__ == kind.__module__]
    members = {member: value for base in bases for member, value in own(base).items() if member != "fake"}
    assert members
    for member, value in members.items():
        assert member in real, f"TensorRT {version} has no {name}.{member}"
        if isinstance(value, FunctionType):
            ours = [given for given in inspect.signature(value).parameters if given != "self"]
            assert ours in [parameters(signature)[: len(ours)] for signature in real[member]]


def test_the_fake_cuda_has_nothing_that_the_real_one_lacks(cuda: Any) -> None:
    real = real_cuda()
    calls = {name: call for name, call in own(type(cuda)).items() if isinstance(call, FunctionType)}
    assert len(calls) > 15
    for name, call in calls.items():
        ours = [given for given in inspect.signature(call).parameters if given != "self"]
        assert parameters(getattr(real, name).__doc__.splitlines()[0]) == ours
    for error in cuda.cudaError_t:
        assert int(getattr(real.cudaError_t, error.name)) == error
    assert real.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal == 1
    assert (real.cudaMemcpyKind.cudaMemcpyHostToDevice, real.cudaMemcpyKind.cudaMemcpyDeviceToHost) == (1, 2)
    assert (real.cudaStreamNonBlocking, real.cudaHostAllocDefault) == (1, 0)


def real_cuda() -> Any:
    """The module that the fake stands for."""
    fake = sys.modules.pop("cuda.bindings.runtime")
    try:
        return importlib.import_module("cuda.bindings.runtime")
    finally:
        sys.modules["cuda.bindings.runtime"] = fake
