"""FP32 graph -> INT8 graph for CPUs, by post-training quantisation (NNCF): no training, only ranges seen on good parts.

INT8 are the convolutions and what only passes their results on, with QuantizeLinear and DequantizeLinear around them;
the picture's normalisation, the teacher's standardisation, distances and means, and the head's softplus stay in FP32,
the same division as in `half`; and with them the convolutions over the picture and the depthwise ones, whose few
inputs have no others to even out their rounding (DECISIONS 89).
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from engines.dskd.half import PASSING, WEIGHTED, attribute, compare, fold_constants
from engines.errors import TrainingError
from engines.training_report import GraphCheck

# Relative to the largest value of each map; see `half.LIMIT`. Eight bits differ by more than FP16, and whether a
# product is judged alike is for the certificate to say: this keeps out what is broken.
LIMIT = 0.5
COLOURS = 3
MIN_PICTURES = 8  # fewer show too little of the range that values have


def make_int8(model: bytes, ranges: NDArray[np.uint8], pictures: NDArray[np.uint8]) -> tuple[bytes | None, GraphCheck]:
    """The INT8 graph of an FP32 graph, if its maps of `pictures` are near the FP32 graph's.

    Args:
        ranges: (N, H, W, 3) BGR, good parts that show which values each tensor has.
        pictures: (M, H, W, 3) BGR, others, to compare on.

    Raises:
        TrainingError: NNCF is not installed, or there are too few pictures.
    """
    quantised = quantise(model, ranges)
    difference, _ = compare(model, quantised, pictures)
    refused = None
    if not difference <= LIMIT:
        refused = f"its maps differ from the FP32 graph's by {difference:.1e}, more than {LIMIT}"
    return None if refused else quantised, GraphCheck("fp32", difference, LIMIT, len(pictures), None, refused)


def quantise(model: bytes, ranges: NDArray[np.uint8]) -> bytes:
    """The same graph, its convolutions in INT8; inputs and outputs stay as they are. Arguments as for `make_int8`."""
    if importlib.util.find_spec("nncf") is None:
        raise TrainingError("an INT8 graph needs NNCF; pip install 'line-inspector[int8]'")
    if len(ranges) < MIN_PICTURES:
        raise TrainingError(f"{len(ranges)} pictures show too little of the values' ranges; {MIN_PICTURES} are needed")
    folded = fold_constants(model)
    with redirect_stdout(sys.stderr):  # its bars would stand before a command's --json
        made = _nncf(folded, ranges)
    onnx.checker.check_model(made, full_check=True)
    return bytes(made.SerializeToString())


def _nncf(folded: ModelProto, ranges: NDArray[np.uint8]) -> ModelProto:
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix

    nncf.set_log_level(logging.ERROR)
    given = folded.graph.input[0].name
    shapes = {tensor.name: tuple(tensor.dims) for tensor in folded.graph.initializer}
    precise = [node.name for node in folded.graph.node if _is_precise(node, shapes)]
    made: Any = nncf.quantize(
        folded,
        nncf.Dataset(ranges, lambda picture: {given: picture[None]}),
        preset=nncf.QuantizationPreset.MIXED,  # values before a ReLU are not symmetric
        subset_size=len(ranges),
        ignored_scope=nncf.IgnoredScope(names=precise),
        # Without VNNI two products of 8 bits are summed in 16 and overflow: weights of 7 bits judge alike on every CPU.
        advanced_parameters=AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
    )
    if not isinstance(made, ModelProto):
        raise TrainingError(f"NNCF gave {type(made).__name__}, not an ONNX model; report this")
    return made


def _is_precise(node: NodeProto, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether it stays in FP32."""
    if node.op_type not in WEIGHTED:
        return node.op_type not in PASSING
    is_depthwise = attribute(node, "group", 1) > 1
    over_picture = node.op_type == "Conv" and shapes.get(node.input[1], (0, 0))[1] == COLOURS
    return is_depthwise or over_picture
