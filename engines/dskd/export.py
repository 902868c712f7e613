"""Trained network -> one ONNX graph, checked against torch before anyone may use it."""

from __future__ import annotations

import io
import warnings

import numpy as np
import torch
from numpy.typing import NDArray

from engines.dskd.network import Dskd
from engines.errors import TrainingError
from engines.runtimes.base import open_runtime

OPSET = 17
# Relative to the largest value of each map. FP32 sums in another order differ by about 1e-6; a wrong operator by 1e-1.
TOLERANCE = 1e-4


def export(network: Dskd, pictures: NDArray[np.uint8]) -> bytes:
    """The graph as ONNX bytes: uint8 (1, H, W, 3) BGR -> per level raw map (1, h, w) FP32.

    Args:
        pictures: (N, H, W, 3) BGR, real ones, on which ONNX Runtime must agree with torch.

    Raises:
        TrainingError: the graph's maps differ from torch's by more than `TOLERANCE`.
    """
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
    model = buffer.getvalue()
    check_parity(network, model, pictures)
    return model


def check_parity(network: Dskd, model: bytes, pictures: NDArray[np.uint8]) -> float:
    """Largest relative difference between torch's maps and the graph's over `pictures` (N, H, W, 3).

    Raises:
        TrainingError: it is above `TOLERANCE`.
    """
    runtime = open_runtime("onnxruntime", model)
    worst = 0.0
    for picture in pictures:
        with torch.no_grad():
            expected = [level[0].numpy() for level in network(torch.from_numpy(picture[None]))]
        for want, got in zip(expected, runtime.infer(picture)):
            worst = max(worst, float(np.abs(want - got).max() / max(float(np.abs(want).max()), 1e-6)))
    runtime.close()
    if not worst <= TOLERANCE:
        raise TrainingError(f"the exported graph differs from torch by {worst:.1e}, more than {TOLERANCE}; report this")
    return worst
