"""Tail: the largest good scores as a generalised Pareto distribution, to say more than the parts do. Extrapolation.

Peaks over a threshold u (Coles, An Introduction to Statistical Modeling of Extreme Values, 2001, ch. 4): the excesses
over u follow (1 + shape y / scale)^(-1/shape) if u is large enough, which nobody knows. Shape and scale are fitted by
probability-weighted moments (Hosking & Wallis 1987), which have a closed form, so that goodness of fit and confidence
come from refitting many samples of the fitted tail (parametric bootstrap).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.errors import SampleError

Values = NDArray[np.float64]

FEWEST = 20  # excesses; with fewer no test of fit tells anything
SHARE = 0.1  # of the scores; the usual compromise between a tail that is one and having enough of it
RESAMPLES = 999
SOUND_P = 0.1  # Choulakian & Stephens 2001: below it the tail is no generalised Pareto


@dataclass(frozen=True, slots=True)
class TailFit:
    """A fitted tail.

    Attributes:
        start: the score above which it was fitted.
        exceedances: scores above it.
        shape, scale: of the excesses; shape > 0: heavy.
        p_value: of the Anderson-Darling distance, by refitting samples of the fit.
        limit: upper confidence limit, within this model, of the score that the asked share of parts exceeds.
    """

    start: float
    exceedances: int
    shape: float
    scale: float
    p_value: float
    limit: float

    @property
    def is_sound(self) -> bool:
        """Whether the fit may be used at all."""
        return self.p_value >= SOUND_P


def fit_tail(scores: Values, asked: float, confidence: float, seed: int = 0) -> TailFit:
    """Fit the tail of sorted independent finite scores, and extrapolate it to the share `asked`.

    Raises:
        SampleError: too few scores, or too many alike.
    """
    count = max(FEWEST, round(SHARE * scores.size))
    if scores.size < 2 * FEWEST:
        raise SampleError(f"{scores.size} parts are too few to fit a tail; collect {2 * FEWEST}")
    if np.unique(scores[-count:]).size < count // 2:
        raise SampleError("too many scores are alike to fit a tail; use --method order or provisional")
    start, share = float(scores[-count - 1]), count / scores.size
    excesses = scores[-count:] - start
    shape, scale = _fit(excesses[None, :])
    rng = np.random.default_rng(seed)
    again = np.sort(_excess(rng.random((RESAMPLES, count)), shape[:, None], scale[:, None]), 1)
    shapes, scales = _fit(again)
    distances = _anderson_darling(again, shapes, scales)
    distance = _anderson_darling(excesses[None, :], shape, scale)[0]
    limits = start + _excess(np.full(RESAMPLES, min(asked / share, 1.0)), shapes, scales)
    return TailFit(
        start, count, float(shape[0]), float(scale[0]),
        float((1 + (distances >= distance).sum()) / (1 + RESAMPLES)),
        float(np.quantile(limits, confidence)),
    )  # fmt: skip


def _fit(excesses: Values) -> tuple[Values, Values]:
    """Shape and scale (R,) of sorted excesses (R, m)."""
    size = excesses.shape[1]
    mean = excesses.mean(1)
    weighted = (excesses * (size - np.arange(1, size + 1) + 0.35) / size).mean(1)  # Landwehr's plotting positions
    shape = 2 - mean / (mean - 2 * weighted)
    return shape, 2 * mean * weighted / (mean - 2 * weighted)


def _excess(above: Values, shape: Values, scale: Values) -> Values:
    """The excess that the share `above` of the excesses exceeds."""
    near_zero = np.abs(shape) < 1e-9
    safe = np.where(near_zero, 1.0, shape)
    return np.asarray(scale * np.where(near_zero, -np.log(above), (above**-safe - 1) / safe), np.float64)


def _anderson_darling(excesses: Values, shape: Values, scale: Values) -> Values:
    """A^2 (R,) of sorted excesses (R, m)."""
    size = excesses.shape[1]
    inside = np.maximum(1 + shape[:, None] * excesses / scale[:, None], 1e-300)
    near_zero = np.abs(shape)[:, None] < 1e-9
    safe = np.where(near_zero, 1.0, shape[:, None])
    above = np.exp(np.where(near_zero, -excesses / scale[:, None], -np.log(inside) / safe))
    above = np.clip(above, 1e-12, 1 - 1e-12)
    weights = 2 * np.arange(1, size + 1) - 1
    return np.asarray(-size - (weights * (np.log1p(-above) + np.log(above[:, ::-1]))).mean(1), np.float64)
