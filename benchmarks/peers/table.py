"""The peers, by name, with everything that decides their result. Layers are timm's names in EfficientNet-Lite."""

from __future__ import annotations

from typing import Final

Options = dict[str, "str | int | float | list[str]"]

STRIDES_8_16: Final = ["blocks.2", "blocks.4"]  # PatchCore's usual layer2 and layer3
STRIDES_4_8_16: Final = ["blocks.1", "blocks.2", "blocks.4"]  # layer1 to layer3 of PaDiM and STFPM
ANOMALIB_BATCH: Final = 32  # anomalib's default batch, in training and in prediction

# PatchCore: anomalib's defaults (9 neighbours, coreset of 10 %); with `vectors` that many instead of the share.
# PaDiM: 100 of 176 channels; anomalib knows a number for ResNets only and gives ResNet18 100.
# STFPM: anomalib's loss and optimiser (SGD 0.4, momentum 0.9, weight decay 1e-3; the paper's is 1e-4); `minutes` ends
# the training early: the budget that our own training has.
PEERS: Final[dict[str, Options]] = {
    "patchcore": {"method": "patchcore", "layers": STRIDES_8_16, "share": 0.1, "neighbours": 9},
    "patchcore_30000": {"method": "patchcore", "layers": STRIDES_8_16, "vectors": 30_000, "neighbours": 9},
    "padim": {"method": "padim", "layers": STRIDES_4_8_16, "channels": 100},
    "stfpm": {"method": "stfpm", "layers": STRIDES_4_8_16, "epochs": 100, "weight_decay": 1e-3},
    "stfpm_10min": {"method": "stfpm", "layers": STRIDES_4_8_16, "epochs": 100, "weight_decay": 1e-3, "minutes": 10.0},
    "stfpm_paper_10min": {
        "method": "stfpm",
        "layers": STRIDES_4_8_16,
        "epochs": 100,
        "weight_decay": 1e-4,
        "minutes": 10.0,
    },
}

# What a reader of the table should know of rows that are missing or stand in.
NOTES: Final[dict[str, str]] = {
    "peers": "anomalib's models, losses, optimisers, maps and scores, fed by a plain loop instead of its Engine",
    "patchcore": "the picks of anomalib's greedy search, found by an exact search that measures less",
    "stfpm_10min": "its 100 epochs take hours on two cores; it gets ten minutes, as our own training does",
    "reverse_distillation": "anomalib's takes ResNets only; our own switch T -> embedding (`rd4ad`) stands in",
    "efficientad": "blank: its teacher's weights can't be had here",
}
