"""DSKD: frozen teacher, encoder student, deep feature embedding, decoder student.

Yao & Gao, "Dual-Student Knowledge Distillation Networks for Unsupervised Anomaly Detection", arXiv 2402.00448.

    x --> teacher (frozen) ---------------------> t1 t2 t3
    x --> encoder --> e1 e2 e3 --> embedding --> decoder --> d1 d2 d3
    training: L(t, e) + L(t, d)            inference: D(t, d), the Gaussian's G(t), and the segmentation head's S(t)

`Method` switches parts of it off or over; what a method does not need is not built.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.dskd.anomaly_map import discrepancy
from engines.dskd.backbones import TeacherSpec
from engines.dskd.gaussian import Gaussian
from engines.dskd.method import Method, Metric
from engines.dskd.segmentation import Segmentation
from engines.dskd.students import Decoder, Embedding, Encoder, Heads, Levels, widths_at
from engines.errors import TrainingError


class Students(NamedTuple):
    """What the students say of one batch; None where the method has no such student."""

    encoder: Levels | None
    decoder: Levels | None


class FeatureScale(nn.Module):
    """Teacher features standardised per channel by the statistics of the `fit` parts."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        for level, channel in enumerate(channels):
            self.register_buffer(f"mean{level}", torch.zeros(channel))
            self.register_buffer(f"std{level}", torch.ones(channel))

    def forward(self, levels: Levels) -> Levels:
        return tuple(
            (features - self.get_buffer(f"mean{level}")[:, None, None]) / self.get_buffer(f"std{level}")[:, None, None]
            for level, features in enumerate(levels)
        )

    def set_level(self, level: int, mean: Tensor, std: Tensor) -> None:
        """Take over the per-channel statistics (C,) of one level."""
        self.get_buffer(f"mean{level}").copy_(mean)
        self.get_buffer(f"std{level}").copy_(std)


class Dskd(nn.Module):
    """The whole network: uint8 pictures in, raw anomaly maps out.

    Args:
        teacher: as `load_teacher` gives it, for the method's levels.
    """

    def __init__(self, teacher: nn.Module, spec: TeacherSpec, method: Method = Method()) -> None:
        super().__init__()
        self.method = method
        self.metric: Metric = method.metric or spec.metric
        self.teacher = teacher
        channels = spec.channels_at(method.levels)
        self.scale = FeatureScale(channels)
        self.encoder: Encoder | None = None
        self.encoder_heads: Heads | None = None
        self.embedding: Embedding | None = None
        self.decoder: Decoder | None = None
        self.decoder_heads: Heads | None = None
        self._build_students(spec, channels)
        self.gaussian = Gaussian(channels) if method.gaussian else None
        self.segmentation = Segmentation(channels) if method.segmentation else None
        self.register_buffer("pixel_mean", torch.tensor(spec.normalisation.mean)[:, None, None])
        self.register_buffer("pixel_std", torch.tensor(spec.normalisation.std)[:, None, None])

    def _build_students(self, spec: TeacherSpec, channels: tuple[int, ...]) -> None:
        method, shape = self.method, spec.student
        width = method.width or shape.width
        widths = widths_at(width, method.levels)
        keeps_relu = spec.is_rectified and self.metric == "cosine"  # for L2 the teacher is standardised
        if method.has_encoder:
            self.encoder = Encoder(width, shape, method.levels)
            self.encoder_heads = Heads(widths, channels, keeps_relu)
        if method.has_decoder:
            inputs = widths if method.embedding_input == "encoder" else channels
            self.embedding = Embedding(inputs, width, shape, method.levels)
            self.decoder = Decoder(width, shape, method.levels)
            self.decoder_heads = Heads(widths, channels, keeps_relu)

    def train(self, mode: bool = True) -> Dskd:
        """Switch the students; the teacher's batch norms stay frozen."""
        super().train(mode)
        self.teacher.eval()
        return self

    def normalise(self, pictures: Tensor) -> Tensor:
        """(B, H, W, 3) BGR uint8 -> (B, 3, H, W) RGB as the teacher was trained."""
        rgb = pictures.float().permute(0, 3, 1, 2).flip(1)  # FP32 first: TensorRT moves no uint8
        return (rgb - self.get_buffer("pixel_mean")) / self.get_buffer("pixel_std")

    def teach(self, x: Tensor) -> Levels:
        """The teacher's standardised features of normalised pictures (B, 3, H, W)."""
        levels: Levels = self.scale(self.teacher(x))
        return levels

    def study(self, x: Tensor, teacher: Levels) -> Students:
        """The students' features of normalised pictures (B, 3, H, W).

        Args:
            teacher: of the same pictures, as `teach` gives them; input of the embedding where the method says so.
        """
        encoded = None if self.encoder is None else self.encoder(x)
        return Students(self._encoder_says(encoded), self._decoder_says(encoded, teacher))

    def compare(self, teacher: Levels, students: Students) -> Levels:
        """Raw maps (B, h, w) FP32 >= 0: one per scored level, then the Gaussian's and the segmentation head's, if any.

        The head's is -log(1 - p) at the finest matched level, p its probability of a defect: positions that are surely
        good are all alike 0, so that what varies among them is no noise in the sum.
        """
        maps = self.discrepancies(teacher, students)
        if self.gaussian is not None:
            maps = (*maps, self.gaussian(teacher))
        return maps if self.segmentation is None else (*maps, functional.softplus(self.segment(teacher)))

    def discrepancies(self, teacher: Levels, students: Students) -> Levels:
        """One raw map (B, h, w) FP32 >= 0 per scored level: the scored students against the teacher."""
        scored = {"encoder": students[:1], "decoder": students[1:], "both": students[:]}[self.method.scored]
        keep = [self.method.levels.index(level) for level in self.method.maps]
        maps = [
            discrepancy(tuple(teacher[i] for i in keep), tuple(student[i].float() for i in keep), self.metric)
            for student in scored
            if student is not None
        ]
        return tuple(sum(level[1:], level[0]) / len(level) for level in zip(*maps)) if len(maps) > 1 else maps[0]

    def segment(self, teacher: Levels) -> Tensor:
        """Logits (B, h, w) FP32 of the segmentation head.

        Raises:
            TrainingError: the method has no segmentation head.
        """
        if self.segmentation is None:
            raise TrainingError("the method has no segmentation head; switch it on with segmentation=True")
        logits: Tensor = self.segmentation(teacher)
        return logits

    def forward(self, pictures: Tensor) -> Levels:
        """(B, H, W, 3) BGR uint8 -> the maps of `compare`; only what is scored is computed."""
        x = self.normalise(pictures)
        teacher = self.teach(x)
        encoded = None if self.encoder is None else self.encoder(x)
        says = self._encoder_says(encoded) if self.method.scored != "decoder" else None
        return self.compare(teacher, Students(says, self._decoder_says(encoded, teacher)))

    def _encoder_says(self, encoded: Levels | None) -> Levels | None:
        if encoded is None or self.encoder_heads is None:
            return None
        levels: Levels = self.encoder_heads(encoded)
        return levels

    def _decoder_says(self, encoded: Levels | None, teacher: Levels) -> Levels | None:
        if self.embedding is None or self.decoder is None or self.decoder_heads is None:
            return None
        source = teacher if encoded is None or self.method.embedding_input == "teacher" else encoded
        if self.method.detach:
            source = tuple(level.detach() for level in source)
        levels: Levels = self.decoder_heads(self.decoder(self.embedding(source)))
        return levels
