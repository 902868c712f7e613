"""Trained network -> ONNX graphs, checked before anyone may use them: FP32 against torch, FP16 against FP32."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engines.dskd.half import make_half, relative
from engines.dskd.network import Dskd
from engines.errors import TrainingError
from engines.runtimes.base import open_runtime
from engines.training_report import GraphCheck

OPSET = 17
# Relative to the largest value of each map. FP32 sums in another order differ by about 1e-6; a wrong operator by 1e-1.
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Graphs:
    """ONNX bytes by precision, and how they were checked; `fp16` is None where its check refused it."""

    fp32: bytes
    fp16: bytes | None
    checks: dict[str, GraphCheck]


def export_graphs(network: Dskd, pictures: NDArray[np.uint8]) -> Graphs:
    """Both graphs of a network; arguments and errors as for `export`."""
    single = trace(network, pictures)
    difference = check_parity(network, single, pictures)
    half, checked = make_half(single, pictures)
    return Graphs(single, half, {"fp32": GraphCheck("torch", difference, TOLERANCE, len(pictures)), "fp16": checked})


def export(network: Dskd, pictures: NDArray[np.uint8]) -> bytes:
    """The FP32 graph as ONNX bytes: uint8 (1, H, W, 3) BGR -> per level raw map (1, h, w) FP32.

    Args:
        pictures: (N, H, W, 3) BGR, real ones, on which ONNX Runtime must agree with torch.

    Raises:
        TrainingError: the graph's maps differ from torch's by more than `TOLERANCE`.
    """
    model = trace(network, pictures)
    check_parity(network, model, pictures)
    return model


def trace(network: Dskd, pictures: NDArray[np.uint8]) -> bytes:
    """The FP32 graph, unchecked; of `pictures` (N, H, W, 3) only the size counts."""
    network.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    example = torch.from_numpy(pictures[:1])
    names = [f"map{level}" for level in range(len(network(example)))]
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # SAME padding becomes constants while tracing, which is right: the graph has one input size.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            buffer,  # type: ignore[arg-type]
            input_names=["picture"],
            output_names=names,
            opset_version=OPSET,
            dynamo=False,
        )
    return buffer.getvalue()


def check_parity(network: Dskd, model: bytes, pictures: NDArray[np.uint8]) -> float:
    """Largest relative difference between torch's maps and the graph's over `pictures` (N, H, W, 3).

    Raises:
        TrainingError: it is above `TOLERANCE`.
    """
    runtime = open_runtime("onnxruntime", model)
    differences = []
    for picture in pictures:
        with torch.no_grad():
            expected = [level[0].numpy() for level in network(torch.from_numpy(picture[None]))]
        differences += [relative(*pair) for pair in zip(expected, runtime.infer(picture))]
    runtime.close()
    worst = float(np.max(differences))  # unlike max(), not-a-number stays what it is
    if not worst <= TOLERANCE:
        raise TrainingError(f"the exported graph differs from torch by {worst:.1e}, more than {TOLERANCE}; report this")
    return worst
