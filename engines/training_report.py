"""Training report: how a bundle's network was trained, and how its graphs were checked; for people, read by no program.

It lies in the bundle as `training.json`; what decides anything is in the manifest.
"""

from __future__ import annotations

import msgspec

from engines.errors import BundleError

POINTS = 200  # of the curve that are kept; enough for a page, few enough to read


class GraphCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One graph held against another way of computing the same maps.

    Attributes:
        against: what it was compared with.
        difference: the largest, relative to the largest value of its map.
        limit: above which the graph is not written.
        pictures: on how many.
        peak: the largest value between the layers that FP16 computes; FP16 ends at 65,504. None: not in question.
        refused: why the bundle does not have the graph; None: it has.
    """

    against: str
    difference: float
    limit: float
    pictures: int
    peak: float | None = None
    refused: str | None = None


class TrainingReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `training.json` holds.

    Attributes:
        curve: (step, loss, loss on `select` parts so far or None); of a resumed run only what came after the break.
        graphs: by precision.
        cores: of the machine that trained.
    """

    curve: list[tuple[int, float, float | None]]
    graphs: dict[str, GraphCheck]
    cores: int


def thin(curve: list[tuple[int, float, float | None]]) -> list[tuple[int, float, float | None]]:
    """At most `POINTS` of it, evenly spread, the last one always."""
    apart = -(-len(curve) // POINTS) or 1
    return curve[::-1][::apart][::-1]


def encode_report(report: TrainingReport) -> bytes:
    """The bytes of `training.json`."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1)


def decode_report(data: bytes) -> TrainingReport:
    """Read `training.json`.

    Raises:
        BundleError: it is none.
    """
    try:
        return msgspec.json.decode(data, type=TrainingReport)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"the training report can't be read: {error}; restore the bundle") from error
