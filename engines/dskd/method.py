"""What of DSKD is switched on. Every ablation, and the two relatives it generalises, is one `Method`.

    plain   x --> encoder --> embedding --> decoder     D(teacher, decoder)     Yao & Gao, arXiv 2402.00448
    rd4ad         teacher --> embedding --> decoder     D(teacher, decoder)     as Deng & Li, arXiv 2201.10703
    stfpm   x --> encoder                               D(teacher, encoder)     as Wang et al., arXiv 2103.04257

The presets but the first are structure only: they share students, loss and loader, so that a comparison is about
structure. `dskd` is the method as it is released: students that learn past painted defects, and a segmentation head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from engines.errors import TrainingError

Metric = Literal["l2", "cosine"]
Source = Literal["encoder", "teacher"]
Scored = Literal["decoder", "encoder", "both"]
Extent = Literal["map", "position"]

GAUSSIAN_WEIGHT = 3.0  # about the deviation of one discrepancy: it counts as much as three do together
HEAD_WEIGHT = 1.5  # about the deviation of three discrepancies' sum: the head counts as much as they do together
STRIDES = (4, 8, 16, 32)  # of the levels that can be matched, fine to coarse


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Terms of the matching loss, each >= 0.

    Attributes:
        cosine_over: "map": one direction per picture and level; "position": one per position, as RD4AD and STFPM.
    """

    cosine: float = 1.0
    l2: float = 1.0
    cosine_over: Extent = "map"


@dataclass(frozen=True, slots=True)
class Method:
    """Switches of the network and its loss; the defaults are DSKD as we release it.

    Attributes:
        embedding_input: whose features the embedding fuses.
        scored: which student is held against the teacher at inference; "both": the mean of the two maps.
        mining: 0..1, how much the gradient of easy positions is damped; 0 leaves it, 1 cuts it.
        levels: strides that the students match, ascending, of `STRIDES`.
        scored_levels: those of them that give a map; empty: all.
        detach: the encoder gets no gradient from the decoder's loss.
        width: student channels at stride 4, doubled at each level; None: the teacher's default.
        metric: of the scored discrepancy; None: the one that carries on the teacher's features.
        painted: 0..1, share of a batch that is shown with a painted defect, while the target stays the good part.
        gaussian: one more map, of distances from what good parts show at the same place; `select` parts may refuse it.
        segmentation: one more map, from a head that learns to find the painted defects.
        practice: >= 0, pictures per step painted for the head alone, as a share of the batch; none without a head.

    Raises:
        TrainingError: the switches contradict each other.
    """

    embedding_input: Source = "encoder"
    scored: Scored = "decoder"
    loss: LossWeights = LossWeights()
    mining: float = 0.0
    levels: tuple[int, ...] = (4, 8, 16)
    scored_levels: tuple[int, ...] = ()
    detach: bool = False
    width: int | None = None
    metric: Metric | None = None
    painted: float = 0.5
    gaussian: bool = True
    segmentation: bool = True
    practice: float = 1.0

    def __post_init__(self) -> None:
        _check_word("embedding_input", self.embedding_input, get_args(Source))
        _check_word("scored", self.scored, get_args(Scored))
        _check_word("loss.cosine_over", self.loss.cosine_over, get_args(Extent))
        if self.metric is not None:
            _check_word("metric", self.metric, get_args(Metric))
        self._check_levels()
        self._check_values()
        self._check_structure()

    @property
    def has_encoder(self) -> bool:
        """Whether an encoder student is built: it feeds the embedding, or it is scored."""
        return self.embedding_input == "encoder" or self.scored != "decoder"

    @property
    def has_decoder(self) -> bool:
        """Whether embedding and decoder student are built."""
        return self.scored != "encoder"

    @property
    def maps(self) -> tuple[int, ...]:
        """Strides of the maps that come out."""
        return self.scored_levels or self.levels

    @property
    def weights(self) -> tuple[float, ...]:
        """How much each standardised map counts in the score."""
        discrepancies = (1.0,) * len(self.maps)
        return (*discrepancies, *[GAUSSIAN_WEIGHT] * self.gaussian, *[HEAD_WEIGHT] * self.segmentation)

    @property
    def good_maps(self) -> int:
        """How many maps, from the first, were learnt from good parts alone: all but the segmentation head's."""
        return len(self.maps) + self.gaussian

    @property
    def size_multiple(self) -> int:
        """The input's sides must be a multiple of this, px: the embedding halves the coarsest level once more."""
        return self.levels[-1] * (2 if self.has_decoder else 1)

    def _check_levels(self) -> None:
        for name, given in (("levels", self.levels), ("scored_levels", self.scored_levels)):
            if list(given) != sorted(set(given) & set(STRIDES)):
                raise TrainingError(f"{name} {given} must be ascending strides of {STRIDES}")
        if not self.levels:
            raise TrainingError(f"levels are empty; name at least one stride of {STRIDES}")
        if not set(self.scored_levels) <= set(self.levels):
            raise TrainingError(f"scored_levels {self.scored_levels} are not all among the matched {self.levels}")

    def _check_values(self) -> None:
        if min(self.loss.cosine, self.loss.l2) < 0 or self.loss.cosine + self.loss.l2 == 0:
            raise TrainingError(
                f"loss weights cosine {self.loss.cosine} and l2 {self.loss.l2} must be >= 0, and one of them > 0"
            )
        if not 0 <= self.mining <= 1:
            raise TrainingError(f"mining {self.mining} must lie in 0..1: the share of easy gradients that is cut")
        if not 0 <= self.painted <= 1:
            raise TrainingError(f"painted {self.painted} must lie in 0..1: the share of a batch with painted defects")
        if not 0 <= self.practice < float("inf"):
            raise TrainingError(f"practice {self.practice} must be >= 0: painted pictures for the head, per picture")
        if self.width is not None and self.width < 1:
            raise TrainingError(f"width {self.width} must be at least 1 channel")

    def _check_structure(self) -> None:
        if self.segmentation and not 0 < self.painted < 1:
            raise TrainingError(f"the segmentation head learns from painted and clean parts, painted is {self.painted}")
        if self.scored == "encoder" and self.embedding_input == "teacher":
            raise TrainingError("scored=encoder builds no embedding, so embedding_input=teacher says nothing; drop one")
        if self.detach and not self.has_decoder:
            raise TrainingError("detach cuts the decoder's gradient, and scored=encoder builds no decoder; drop one")
        if self.detach and self.embedding_input == "teacher":
            raise TrainingError(
                "detach cuts the gradient from decoder to encoder; with embedding_input=teacher none flows; drop one"
            )


def _check_word(name: str, word: str, allowed: tuple[str, ...]) -> None:
    if word not in allowed:
        raise TrainingError(f"{name} {word!r} is none of {', '.join(allowed)}")


METHODS = {
    "dskd": Method(),
    "plain": Method(painted=0.0, gaussian=False, segmentation=False),
    "rd4ad": Method(embedding_input="teacher", painted=0.0, gaussian=False, segmentation=False),
    "stfpm": Method(scored="encoder", painted=0.0, gaussian=False, segmentation=False),
}


def find_method(name: str) -> Method:
    """Look up a preset.

    Raises:
        TrainingError: there is no such preset.
    """
    if name not in METHODS:
        raise TrainingError(f"unknown method {name!r}; choose one of {', '.join(sorted(METHODS))}")
    return METHODS[name]
