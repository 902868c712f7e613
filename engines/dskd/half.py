"""FP32 graph -> strongly typed FP16 graph: every tensor has one stated type, and Casts stand where it changes.

FP16 are the convolutions and what only passes their results on; FP32 are the picture's normalisation, the teacher's
standardisation, differences, means and the head's softplus, where small numbers come of large ones, and the depthwise
convolutions (DECISIONS 51).

    picture uint8 -> FP32 -> | Cast FP16 -> teacher, students -> Cast FP32 | -> distances, head -> maps FP32
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from engines.errors import TrainingError
from engines.training_report import GraphCheck

WEIGHTED = frozenset({"Conv", "ConvTranspose"})  # where the arithmetic is
# FP16 where their input is: they round nothing that was not rounded, or add a few such values.
PASSING = frozenset({"Add", "Clip", "Concat", "Gather", "Identity", "MaxPool", "Pad", "Relu", "Resize", "Squeeze"})
SINGLE, HALF = int(TensorProto.FLOAT), int(TensorProto.FLOAT16)

# Relative to the largest value of each map. Three trained networks differed by up to 1.3 % in the distances and 2.3 %
# in the head's map, which is near 0 on good parts; an overflow or a wrong operator differs by far more. Whether a
# product is judged alike is for the engine's certificate to say.
LIMIT = 0.1
LARGEST = float(np.finfo(np.float16).max)  # 65,504
HEADROOM = 8  # a part may differ so much from those that were tried


def make_half(model: bytes, pictures: NDArray[np.uint8]) -> tuple[bytes | None, GraphCheck]:
    """The FP16 graph of an FP32 graph, if it computes the same maps of `pictures` (N, H, W, 3) BGR.

    ONNX Runtime's CPU rounds to FP16 between the layers and computes within them in FP32: this shows what rounding
    does, not what a GPU does.
    """
    try:
        halved = halve(model)
    except TrainingError as error:
        return None, GraphCheck("fp32", float("inf"), LIMIT, 0, None, str(error))
    difference, peak = compare(model, halved, pictures)
    highest = LARGEST / HEADROOM
    refused = None
    if not peak <= highest:
        refused = f"values between its layers reach {peak:.0f}, more than {highest:.0f}"
    elif not difference <= LIMIT:
        refused = f"its maps differ from the FP32 graph's by {difference:.1e}, more than {LIMIT}"
    return None if refused else halved, GraphCheck("fp32", difference, LIMIT, len(pictures), peak, refused)


def compare(model: bytes, halved: bytes, pictures: NDArray[np.uint8]) -> tuple[float, float]:
    """Largest difference of the maps, relative to the largest value of each, and the largest FP16 value on the way."""
    watched = onnx.shape_inference.infer_shapes(onnx.load_from_string(halved))
    maps = len(watched.graph.output)
    halves = [value for value in watched.graph.value_info if value.type.tensor_type.elem_type == HALF]
    watched.graph.output.extend(halves)
    reference, candidate = _session(model), _session(watched.SerializeToString())
    differences, peaks = [], []
    for picture in pictures:
        given = {reference.get_inputs()[0].name: picture[None]}
        got = candidate.run(None, given)
        differences += [relative(*pair) for pair in zip(reference.run(None, given), got[:maps])]
        peaks += [np.abs(tensor).max() for tensor in got[maps:]]
    return float(np.max(differences)), float(np.max(peaks, initial=0.0))


def relative(want: NDArray[np.float32], got: NDArray[np.float32]) -> float:
    """Largest difference of two maps, relative to the largest value of the first; not finite where one is not."""
    return float(np.abs(want - got).max() / np.maximum(np.abs(want).max(), 1e-6))


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def halve(model: bytes) -> bytes:
    """The same graph, its convolutions in FP16; inputs and outputs stay as they are.

    Raises:
        TrainingError: a weight lies outside FP16.
    """
    folded = fold_constants(model)
    halved = _Halving(folded.graph).run(folded)
    onnx.checker.check_model(halved, full_check=True)
    return bytes(halved.SerializeToString())


def fold_constants(model: bytes) -> ModelProto:
    """The graph with all that does not depend on the picture computed once, and batch norms in their convolutions.

    Raises:
        TrainingError: the result needs more than ONNX's own operators.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder, "folded.onnx"))
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        folded = onnx.load(options.optimized_model_filepath)
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in folded.graph.node if node.domain})
    if foreign:
        raise TrainingError(f"the folded graph has operators of ONNX Runtime's own: {', '.join(foreign)}; report this")
    own = [opset for opset in folded.opset_import if not opset.domain]
    del folded.opset_import[:]
    folded.opset_import.extend(own)
    return folded


class _Halving:
    """One pass over a graph in order of computation; `types` grows along."""

    def __init__(self, graph: GraphProto) -> None:
        self.graph = graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.types: dict[str, int] = {value.name: value.type.tensor_type.elem_type for value in graph.input}
        self.types |= {name: tensor.data_type for name, tensor in self.constants.items()}
        self.nodes: list[NodeProto] = []
        self.made: dict[str, TensorProto] = {}  # constants in FP16
        self.depthwise = {node.name for node in graph.node if attribute(node, "group", 1) > 1}

    def run(self, model: ModelProto) -> ModelProto:
        for node in self.graph.node:
            self._convert(node)
        kept = {name for node in self.nodes for name in node.input}
        constants = [tensor for name, tensor in {**self.constants, **self.made}.items() if name in kept]
        graph = helper.make_graph(self.nodes, self.graph.name, self.graph.input, self.graph.output, constants)
        return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)

    def _convert(self, node: NodeProto) -> None:
        wanted = self._type(node)
        copy = NodeProto()
        copy.CopyFrom(node)
        for place, name in enumerate(node.input):
            if self.types.get(name) in {SINGLE, HALF} - {wanted} and not (node.op_type == "Resize" and place > 0):
                copy.input[place] = self._as(name, wanted)
        self.nodes.append(copy)
        for name in node.output:
            self.types[name] = wanted

    def _type(self, node: NodeProto) -> int:
        """Type of what the node computes."""
        if node.op_type == "Cast":
            return attribute(node, "to", TensorProto.UNDEFINED)
        computed = [self.types[name] for name in node.input if name and name not in self.constants]
        if set(computed).isdisjoint({SINGLE, HALF}):
            return computed[0]
        if node.op_type in WEIGHTED:
            return SINGLE if node.name in self.depthwise else HALF
        halves = all(kind == HALF for kind in computed)
        return HALF if node.op_type in PASSING and halves else SINGLE

    def _as(self, name: str, wanted: int) -> str:
        """Name of the same tensor in the wanted type: a converted constant, or one Cast for all who ask."""
        renamed = f"{name}_{'half' if wanted == HALF else 'single'}"
        if renamed in self.types:
            return renamed
        if name in self.constants:
            self.made[renamed] = _half(self.constants[name], renamed)
        else:
            self.nodes.append(helper.make_node("Cast", [name], [renamed], f"{renamed}/Cast", to=wanted))
        self.types[renamed] = wanted
        return renamed


def attribute(node: NodeProto, name: str, default: int) -> int:
    """A whole-number attribute of a node."""
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), default)


def _half(tensor: TensorProto, name: str) -> TensorProto:
    values = numpy_helper.to_array(tensor)
    largest = float(np.abs(values).max(initial=0.0))
    if largest > LARGEST:
        raise TrainingError(f"weight {tensor.name} reaches {largest:.3g}, beyond FP16; report this")
    return numpy_helper.from_array(values.astype(np.float16), name)
