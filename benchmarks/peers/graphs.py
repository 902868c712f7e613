"""anomalib's models as OpenVINO IR with random weights, at 256 px: `python -m peers.graphs NAME OUT.xml`.

Weights don't change the time. Normalisation is left out, which is in the peers' favour.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import openvino
import torch
from anomalib.models.image.efficient_ad.torch_model import EfficientAdModel
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from anomalib.models.image.reverse_distillation.anomaly_map import AnomalyMapGenerationMode
from anomalib.models.image.reverse_distillation.torch_model import ReverseDistillationModel
from anomalib.models.image.stfpm.torch_model import STFPMModel
from torch import Tensor, nn
from torch.nn import functional

from peers.models import no_download

SIDE = 256  # px
LAYERS = ["layer1", "layer2", "layer3"]
VECTORS, CHANNELS = 10_000, 128 + 256  # of PatchCore's memory bank: layer2 and layer3 of a ResNet18


def cosine_similarity(first: Tensor, second: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """torch's own, in operations that OpenVINO can convert."""
    lengths = first.norm(dim=dim).clamp_min(eps) * second.norm(dim=dim).clamp_min(eps)
    return (first * second).sum(dim) / lengths


class Graph(nn.Module):
    """The model without the unset fields of its answer, which can't be traced."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        said = self.model(pictures)
        return said.pred_score, said.anomaly_map


def patchcore() -> nn.Module:
    """With a full memory bank, of noise."""
    model = PatchcoreModel(LAYERS[1:], "resnet18")
    model.memory_bank = torch.randn(VECTORS, CHANNELS)
    return model


def reverse_distillation() -> nn.Module:
    """As anomalib configures it."""
    return ReverseDistillationModel("resnet18", (SIDE, SIDE), LAYERS, AnomalyMapGenerationMode.ADD)


PEERS: dict[str, Callable[[], nn.Module]] = {
    "stfpm_resnet18": lambda: STFPMModel(LAYERS, "resnet18"),
    "patchcore_resnet18": patchcore,
    "reverse_distillation_resnet18": reverse_distillation,
    "efficientad_s": EfficientAdModel,
}


def main() -> None:
    """Convert and save, FP32."""
    name, out = sys.argv[1:]
    torch.manual_seed(0)
    functional.cosine_similarity = cosine_similarity
    with no_download(), torch.no_grad():
        model = Graph(PEERS[name]()).eval()
        example = torch.zeros(1, 3, SIDE, SIDE)
        converted = openvino.convert_model(model, example_input=example, input=[1, 3, SIDE, SIDE])
    openvino.save_model(converted, out, compress_to_fp16=False)


if __name__ == "__main__":
    main()
