"""Certificate: that an engine judges as the reference does, for one recipe on one box.

Both look at the same good parts, none of which set the threshold, and at the same parts with painted defects. Where the
largest difference of their scores is D, a part whose score lies further than D from the threshold is judged alike by
both; the margin band threshold +- D is where they may not. So that "no flip outside the band" is more than arithmetic,
the band of one half of the pictures is the largest difference of the other half. Each further rule (zones, area) has a
band of its own, and the verdict that counts is that by all rules.
"""

from __future__ import annotations

import datetime
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from engines.defects import paint_defect
from engines.detector import Detector
from engines.errors import CertificateError, PartNotFound
from engines.image import Image, read_image
from engines.runtimes.box import box
from engines.scoring import Map, Score, Scoring, fuse, rule_values, score_fused

FORMAT = 2  # 2: with its own sum; 1 would pass with figures that somebody wrote
MIN_GOOD = 8  # fewer say nothing of the share of parts in the band

MIN_CORRELATION = 0.999  # FP32 against FP32 has 1 - 1e-9; BF16 rounds to three digits; a wrong layer has less than 0.9
MAX_IN_BAND = 0.05  # of good parts: as many as an operator would accept to see ejected


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Largest and 99th percentile of a difference."""

    largest: float
    p99: float


class Certificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was found; `refusals` says whether it suffices.

    Attributes:
        engine, reference: that were compared.
        bundle, recipe: id and checksum it holds for.
        box: versions and processor it holds for.
        good, painted: pictures compared.
        map_difference: of raw maps, in standard deviations of good parts.
        map_correlation: of fused maps; the lowest of all pictures.
        score_difference: in the score's own unit.
        band: threshold -+ the largest score difference.
        rule_bands: the same of each further rule, by name.
        flips: verdicts by all rules that differ though the candidate's value lies outside the band of the other half,
            for any rule about which they differ; `flips_in_band`: inside.
        in_band: share of the good parts in the band of any rule, 0..1.
        refusals: the limits that are broken, for people; empty: the engine may judge.
        checksum: sha256 of all the rest; "" until saved.
    """

    format: int
    engine: str
    reference: str
    bundle: str
    recipe: str
    box: dict[str, str]
    created: str
    good: int
    painted: int
    map_difference: Spread
    map_correlation: float
    score_difference: Spread
    threshold: float
    band: tuple[float, float]
    flips: int
    flips_in_band: int
    in_band: float
    refusals: list[str]
    rule_bands: dict[str, tuple[float, float]] = {}
    checksum: str = ""


class Seen(NamedTuple):
    """One picture through both engines.

    Attributes:
        differences: of all positions of all raw maps, in standard deviations of good parts, (N,) float32.
        correlation: of the fused maps.
        reference, candidate: the score, then values of the further rules, (R,).
    """

    is_painted: bool
    differences: NDArray[np.float32]
    correlation: float
    reference: tuple[float, ...]
    candidate: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a recipe brings to a certificate: how maps become a score, and the limits; `recipe` is its checksum.

    Attributes:
        threshold: of the score.
        rules: limits of further rules, by the names of `rule_values`.
    """

    recipe: str
    scoring: Scoring
    threshold: float
    rules: Mapping[str, float] = field(default_factory=dict)


def certify(reference: Detector, candidate: Detector, judgement: Judgement, good: Sequence[Path]) -> Certificate:
    """Compare two engines of one bundle on pictures of good parts that did not set the threshold.

    Raises:
        CertificateError: too few pictures, or a value that is not finite.
        ImageError, InferenceFailed: see `read_image` and `Detector.detect`.
    """
    seen = []
    for image, is_painted in _with_defects(good):
        try:
            pair = reference.detect(image).maps, candidate.detect(image).maps
        except PartNotFound:
            continue  # both use the same locator
        seen.append(look(*pair, judgement, is_painted))
    usable = sum(not entry.is_painted for entry in seen)
    if usable < MIN_GOOD:
        raise CertificateError(
            f"a certificate of {candidate.engine} needs {MIN_GOOD} good parts that did not set the threshold, "
            f"there are {usable}; give more of them with --good"
        )
    return summarise(seen, reference, candidate, judgement)


def look(reference: Sequence[Map], candidate: Sequence[Map], judgement: Judgement, is_painted: bool) -> Seen:
    """Hold the raw maps of two engines against each other, per level (h, w) float32."""
    scoring = judgement.scoring
    levels = zip(reference, candidate, scoring.stds)
    differences = np.concatenate([(np.abs(first - second) / std).ravel() for first, second, std in levels])
    fused = fuse(reference, scoring), fuse(candidate, scoring)
    first, second = (_values(score_fused(whole, scoring), judgement) for whole in fused)
    return Seen(is_painted, differences, correlation(*fused), first, second)


def _values(score: Score, judgement: Judgement) -> tuple[float, ...]:
    known = rule_values(score.area, score.zones)
    return score.value, *(known[name] for name in judgement.rules)


def correlation(first: Map, second: Map) -> float:
    """Of two maps, -1..1; two flat ones are alike if they are equal. Not finite is 0."""
    if float(first.std()) == 0 or float(second.std()) == 0:
        return float(np.array_equal(first, second))
    found = float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
    return found if math.isfinite(found) else 0.0


def summarise(seen: Sequence[Seen], reference: Detector, candidate: Detector, judgement: Judgement) -> Certificate:
    """The certificate that the pictures give.

    Raises:
        CertificateError: a value is not finite, which no limit could weigh.
    """
    good = np.array([not entry.is_painted for entry in seen])
    first, second = (np.array(rows).T for rows in zip(*((entry.reference, entry.candidate) for entry in seen)))
    differences = np.concatenate([entry.differences for entry in seen])
    gaps, limits = np.abs(first - second), np.array([judgement.threshold, *judgement.rules.values()])[:, None]
    if not (np.isfinite(differences).all() and np.isfinite(gaps).all()):
        raise CertificateError(f"{reference.engine} or {candidate.engine} gave a map that is not finite; run doctor")
    widest = gaps.max(1, keepdims=True)
    flipped = (first <= limits).all(0) != (second <= limits).all(0)
    others = np.stack([_widest_of_other_half(row, good) for row in gaps])
    outside = (((first <= limits) != (second <= limits)) & (np.abs(second - limits) > others)).any(0)
    flips, lowest = int((flipped & outside).sum()), min(entry.correlation for entry in seen)
    # Where engines agree to the bit there is no band: most good parts may have no area above the limit at all.
    in_band = float(((np.abs(second[:, good] - limits) <= widest) & (widest > 0)).any(0).mean())
    bands = [(low, high) for low, high in np.hstack([limits - widest, limits + widest]).tolist()]
    return Certificate(
        format=FORMAT,
        engine=candidate.engine,
        reference=reference.engine,
        bundle=candidate.bundle.id,
        recipe=judgement.recipe,
        box=box(candidate.engine),
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        good=int(good.sum()),
        painted=int((~good).sum()),
        map_difference=_spread(differences),
        map_correlation=lowest,
        score_difference=_spread(gaps[0]),
        threshold=judgement.threshold,
        band=bands[0],
        rule_bands=dict(zip(judgement.rules, bands[1:])),
        flips=flips,
        flips_in_band=int(flipped.sum()) - flips,
        in_band=in_band,
        refusals=refusals(lowest, in_band, flips),
    )


def refusals(lowest: float, in_band: float, flips: int) -> list[str]:
    """The limits that figures break, in words."""
    limits = (
        (lowest >= MIN_CORRELATION, f"maps correlate by {lowest:.5f}, at least {MIN_CORRELATION} is asked"),
        (flips == 0, f"{flips} verdicts differ outside the margin band, none may"),
        (in_band <= MAX_IN_BAND, f"{in_band:.1%} of good parts lie in the margin band, at most {MAX_IN_BAND:.0%} may"),
    )
    return [sentence for is_kept, sentence in limits if not is_kept]


def encode_certificate(certificate: Certificate) -> bytes:
    """As it is kept: JSON for people, with its checksum."""
    sealed = msgspec.structs.replace(certificate, checksum=_checksum(certificate))
    return msgspec.json.format(msgspec.json.encode(sealed), indent=1)


def decode_certificate(data: bytes) -> Certificate:
    """What `encode_certificate` wrote.

    Raises:
        CertificateError: it is something else, or was changed since.
    """
    try:
        certificate = msgspec.json.decode(data, type=Certificate)
    except msgspec.DecodeError as error:
        raise CertificateError(f"is no certificate: {error}") from error
    if certificate.format == FORMAT and certificate.checksum != _checksum(certificate):
        raise CertificateError("was changed since it was made")
    return certificate


def _checksum(certificate: Certificate) -> str:
    rest = msgspec.structs.replace(certificate, checksum="")
    return hashlib.sha256(msgspec.json.encode(rest, order="sorted")).hexdigest()


def check(certificate: Certificate, engine: str, bundle: str, recipe: str) -> None:
    """Refuse a certificate that does not hold for this engine, bundle and recipe on this box.

    Raises:
        CertificateError: it is of something else, or over the limits of this program.
    """
    now = {"format": FORMAT, "engine": engine, "bundle": bundle, "recipe": recipe, **box(engine)}
    then = {
        "format": certificate.format, "engine": certificate.engine, "bundle": certificate.bundle,
        "recipe": certificate.recipe, **certificate.box,
    }  # fmt: skip
    changed = [key for key in {**now, **then} if now.get(key) != then.get(key)]
    if changed:
        now_and_then = "; ".join(f"{key} is {now.get(key)!r}, was {then.get(key)!r}" for key in changed)
        raise CertificateError(f"the certificate of {engine} is stale: {now_and_then}")
    broken = certificate.refusals or refusals(certificate.map_correlation, certificate.in_band, certificate.flips)
    if broken:
        raise CertificateError(f"{engine} does not judge as {certificate.reference}: {'; '.join(broken)}")


def _with_defects(good: Sequence[Path]) -> Iterator[tuple[Image, bool]]:
    """Each part as it is, then with a defect painted on it: seeded, so that a box gives the same figures again."""
    rng = np.random.default_rng(0)
    other = read_image(good[-1]) if good else None
    for path in good:
        image = read_image(path)
        yield image, False
        painted = paint_defect(image, image if other is None or other.shape != image.shape else other, rng)
        if painted.mask.any():
            yield painted.image, True
        other = image


def _widest_of_other_half(gaps: NDArray[np.float64], good: NDArray[np.bool_]) -> NDArray[np.float64]:
    """For each picture the largest difference in the half that it is not in; good and painted are halved alike."""
    half = np.zeros(gaps.size, np.bool_)
    for kind in (good, ~good):
        half[np.flatnonzero(kind)[::2]] = True
    return np.asarray(np.where(half, gaps[~half].max(), gaps[half].max()), np.float64)


def _spread(values: NDArray[np.floating]) -> Spread:
    return Spread(float(values.max()), float(np.quantile(values, 0.99)))
