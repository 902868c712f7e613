"""Calibrate a product: good parts that had no other role -> recipe. What `inspector calibrate` does."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.changes import utc_now
from calibration.errors import SampleError
from calibration.evidence import Evidence, Method, Unit, parts_needed, percent
from calibration.frames import Glimpse, glimpse, learn_frames
from calibration.hygiene import Doubt, Look, doubts, look
from calibration.recipe import Recipe
from calibration.samples import Sample, unused
from calibration.thresholds import draw, false_reject_bound, find_thresholds, left_out
from engines.bundle import Bundle
from engines.detector import Detector
from engines.errors import ImageError, PartNotFound
from engines.image import Image, fingerprint, read_image
from engines.locate import cut_template
from engines.scoring import AREA, Score, Scoring, rule_values, score

STRANGE = 0.1  # of the region above the pixel limit, in the median picture; a thousandth is usual for good parts


@dataclass(frozen=True, slots=True)
class Contract:
    """What is asked of thresholds; see `find_thresholds`.

    Attributes:
        independent: what counts as one: a session, or each part, which is true only as long as parts look like those
            of the calibrated sessions.
        area: whether the area above the pixel limit has a limit of its own; each zone of the scoring always has.
        operator: who asks.
    """

    asked: float
    confidence: float = 0.95
    strict: bool = False
    method: Method = "order"
    independent: Unit = "session"
    operator: str = ""
    area: bool = False


@dataclass(frozen=True, slots=True)
class Calibration:
    """A recipe, and what was found on the way.

    Attributes:
        samples, scores: the pictures behind the recipe; infinite where the part was not found.
        refused: pictures that had another role, in themselves or by another picture of their group, or came twice.
        doubts: pictures that someone should look at; `index` counts in `samples`. They were used all the same.
    """

    recipe: Recipe
    samples: tuple[Sample, ...]
    scores: tuple[float, ...]
    refused: tuple[Sample, ...]
    doubts: tuple[Doubt, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    sample: Sample
    print: str
    look: Look
    glimpse: Glimpse
    score: Score | None  # None: the part was not found
    is_template: bool


def calibrate(
    product: str,
    samples: Sequence[Sample],
    detector: Detector,
    contract: Contract,
    on_sample: Callable[[int, int], None] = lambda done, total: None,
    scoring: Scoring | None = None,
) -> Calibration:
    """Score the good parts on the engine that will run, and set the thresholds.

    Args:
        scoring: the bundle's with masks of zones or of what to ignore; None: the bundle's as it is.

    Raises:
        ImageError: a picture can't be read or has another size than taught; the message names it.
        SampleError: fewer than two pictures are left, they are all alike, or show another product.
        UnreachableBound: under `strict`, the parts don't support the bound.
    """
    seen, scoring = [], scoring or detector.bundle.scoring
    for index, sample in enumerate(samples):
        seen.append(_see(sample, detector, scoring))
        on_sample(index + 1, len(samples))
    kept, refused = _free(seen, detector.bundle)
    _check(kept, refused, contract)
    kept.sort(key=lambda entry: (_value(entry), entry.print))
    scores, prints = tuple(map(_value, kept)), tuple(entry.print for entry in kept)
    groups = tuple(entry.sample.group if contract.independent == "session" else entry.sample.part for entry in kept)
    rules = _rules(kept, scoring, contract)
    thresholds, evidence = find_thresholds(
        scores, groups, contract.asked, contract.confidence, contract.strict, prints, contract.method, rules
    )
    recipe = Recipe(
        product=product,
        bundle=detector.bundle.id,
        engine=detector.engine,
        created=utc_now(),
        scoring=scoring,
        thresholds=thresholds,
        evidence=_by_session(kept, scores, groups, prints, rules, evidence, contract),
        calibrate=prints,
        scores=scores,
        groups=groups,
        frames=learn_frames([entry.glimpse for entry in kept]),
        rules=rules,
    )
    doubtful = doubts([entry.look for entry in kept], scores)
    used, set_aside = (tuple(entry.sample for entry in entries) for entries in (kept, refused))
    return Calibration(recipe, used, scores, set_aside, tuple(doubtful))


def _see(sample: Sample, detector: Detector, scoring: Scoring) -> _Seen:
    image = read_image(sample.path)
    try:
        seen: Score | None = score(detector.detect(image).maps, scoring)
    except PartNotFound:
        seen = None
    except ImageError as error:
        raise ImageError(f"{sample.path}: {error}") from error
    return _Seen(sample, fingerprint(image), look(image), glimpse(image), seen, _is_template(image, detector.bundle))


def _is_template(image: Image, bundle: Bundle) -> bool:
    """Whether this is the picture that parts are located by: what it shows is found in it too easily."""
    locate, template = bundle.manifest.input.locate, bundle.template
    if locate is None or template is None:
        return False
    x, y, width, height = locate.box
    if image.shape[0] < y + height or image.shape[1] < x + width:
        return False
    return np.array_equal(cut_template(image, locate.box)[0], template)


def _free(seen: Sequence[_Seen], bundle: Bundle) -> tuple[list[_Seen], list[_Seen]]:
    prints, taught = [entry.print for entry in seen], (*bundle.manifest.fit, *bundle.manifest.select)
    located_by = [entry.print for entry in seen if entry.is_template]
    untaught = unused(prints, [entry.sample.group for entry in seen], taught)
    other = unused(prints, [entry.sample.part for entry in seen], located_by)
    kept = [entry for entry, *is_free in zip(seen, untaught, other) if all(is_free)]
    return kept, [entry for entry, *is_free in zip(seen, untaught, other) if not all(is_free)]


def _check(kept: Sequence[_Seen], refused: Sequence[_Seen], contract: Contract) -> None:
    total = len(kept) + len(refused)
    if not kept:
        raise SampleError(
            f"all {total} pictures were refused: each was used for training or comes twice; "
            "give good parts that the network has not seen"
        )
    if len(kept) == 1:
        others = f"; {len(refused)} more were used for training or are copies of others" if refused else ""
        needed = parts_needed(contract.asked, contract.confidence)
        raise SampleError(
            f"{kept[0].sample.path} is the only good part{others}. One part sets no threshold; "
            f"{percent(contract.asked)} false rejects needs {needed}"
        )
    found = [entry.score for entry in kept if entry.score is not None]
    if len(found) > 1 and len({entry.value for entry in found}) == 1:
        raise SampleError(
            f"all {len(found)} pictures have the score {found[0].value:.6g}: they show the same, or the network tells "
            "nothing apart; give pictures of different parts, or teach the product again"
        )
    area = float(np.median([entry.area for entry in found])) if found else 0.0
    if area > STRANGE:
        raise SampleError(
            f"in the median picture {area:.0%} of the region looks unlike the taught parts (good ones: about 0.1%): "
            "another product, another light or another position; give this product's parts, or teach it again"
        )


def _by_session(
    kept: Sequence[_Seen],
    scores: Sequence[float],
    groups: Sequence[str],
    prints: Sequence[str],
    rules: Mapping[str, Sequence[float]],
    evidence: Evidence,
    contract: Contract,
) -> Evidence:
    """Evidence with what is known of sessions beside the bound."""
    evidence = replace(evidence, operator=contract.operator)
    sessions = [entry.sample.session for entry in kept]
    named = set(sessions) - {""}
    if not named:
        return evidence
    by_session = contract.independent == "session"
    evidence = replace(evidence, sessions=len(named), unit="session" if by_session else "part")
    if by_session and contract.asked < evidence.bound < 1:
        # Each limit is the largest value of all or above it: among parts taken as independent, none lies above.
        parts = draw([entry.sample.part for entry in kept], prints).size
        evidence = replace(evidence, within=false_reject_bound(parts, len(rules), contract.confidence))
    shares = left_out(scores, groups, sessions, contract.asked, contract.confidence, prints, rules)
    if not shares:
        return evidence
    return replace(
        evidence, left_out=sum(shares.values()) / len(shares), left_out_worst=max(shares.values())
    )  # fmt: skip


def _rules(kept: Sequence[_Seen], scoring: Scoring, contract: Contract) -> dict[str, tuple[float, ...]]:
    """By rule that gets a limit, its value for each picture; infinite where the part was not found."""
    names = [name for name in rule_values(0.0, dict.fromkeys(scoring.zones, 0.0)) if name != AREA or contract.area]
    rows = [{} if entry.score is None else rule_values(entry.score.area, entry.score.zones) for entry in kept]
    return {name: tuple(row.get(name, math.inf) for row in rows) for name in names}


def _value(entry: _Seen) -> float:
    return math.inf if entry.score is None else entry.score.value
