"""anomalib's STFPM-ResNet18 as OpenVINO IR with random weights: `python -m peers.stfpm_resnet18 OUT.xml`.

Weights don't change the time. Normalisation is left out, which is in the peer's favour.
"""

from __future__ import annotations

import sys

import openvino
import torch
from anomalib.models.image.stfpm.torch_model import STFPMModel
from torch import Tensor, nn

from peers.models import no_download


class Graph(nn.Module):
    """The model without the unset fields of its answer, which can't be traced."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        said = self.model(pictures)
        return said.pred_score, said.anomaly_map


def main() -> None:
    """Convert and save, FP32."""
    torch.manual_seed(0)
    with no_download():
        model = Graph(STFPMModel(["layer1", "layer2", "layer3"], "resnet18")).eval()
    example = torch.zeros(1, 3, 256, 256)
    converted = openvino.convert_model(model, example_input=example, input=[1, 3, 256, 256])
    openvino.save_model(converted, sys.argv[1], compress_to_fp16=False)


if __name__ == "__main__":
    main()
