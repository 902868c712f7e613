"""The words of this program: everything that crosses a stage or a thread is one of these values.

Frame | CameraFault --> Part --> Inspection --> Verdict --> Record
from the camera         numbered  looked at      judged     settled with the ejector, kept in the history
"""

from __future__ import annotations

from concurrent import futures
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from calibration.frames import FrameFacts
from engines.image import Image
from engines.scoring import Score
from inspector.job import Job

NO_PICTURE: Image = np.empty((0, 0, 3), np.uint8)


class Outcome(str, Enum):
    """What happens to a part. Only GOOD may pass; everything else is ejected."""

    GOOD = "GOOD"
    REJECT = "REJECT"
    ERROR = "ERROR"


class Band(str, Enum):
    """How sure a judgement is: `review` lies between the two limits."""

    CLEAR = "clear"
    REVIEW = "review"


class Reason(str, Enum):
    """Why a part was ejected."""

    ABOVE_LIMIT = "above_limit"  # REJECT: the score is above the review limit
    # ERROR, by the camera
    LOST_FRAME = "lost_frame"  # a gap in the camera's block ids
    GRAB_FAILED = "grab_failed"  # the camera gave an incomplete picture, or none for a trigger
    # ERROR, by the line
    BAD_FRAME = "bad_frame"  # wrong size or pixel format
    PART_NOT_FOUND = "part_not_found"  # the taught part is not in the frame, or not whole
    ENGINE_FAULT = "engine_fault"  # anything unexpected while looking at the part
    NOT_FINITE = "not_finite"  # a NaN or infinite score
    OVERLOAD = "overload"  # the queue before inference was full
    NOT_RELEASED = "not_released"  # judged, but a challenge is due, open or failed
    # ERROR, by the reject link
    LATE = "late"  # no judgement in the part's window
    LINK_DOWN = "link_down"  # judged, but the ejector could not be told in the part's window
    UNACKNOWLEDGED = "unacknowledged"  # sent, but not acknowledged in the part's window
    UNRECORDED = "unrecorded"  # numbered before a crash that left no other trace of it


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of one part.

    Attributes:
        block_id: the camera's own count of pictures; None where it has none.
        captured_ns: monotonic clock at arrival in this process.
        captured_us: the same moment as microseconds since 1970, UTC.
        image: (H, W, 3) BGR uint8.
    """

    camera: str
    block_id: int | None
    captured_ns: int
    captured_us: int
    image: Image


@dataclass(frozen=True, slots=True)
class CameraFault:
    """A trigger that gave no usable picture. It is a part all the same, and is ejected."""

    camera: str
    block_id: int | None
    captured_ns: int
    captured_us: int
    reason: Reason
    detail: str


Capture = Frame | CameraFault


@dataclass(frozen=True, slots=True)
class Part:
    """A numbered part with its window.

    Attributes:
        sequence: counts parts of this line for ever, across restarts.
        deadline_ns: monotonic; a GOOD not acknowledged by then is an ERROR.
        part_ref: serial number or DMC code, where the line is given one.
        job: what was in force when the part was numbered; it and nothing else judges the part. None: not by a line.
    """

    sequence: int
    capture: Capture
    deadline_ns: int
    part_ref: str | None = None
    job: Job | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a part's time went, ms; 0 where a stage was not reached."""

    queue_ms: float = 0.0
    prepare_ms: float = 0.0
    infer_ms: float = 0.0
    score_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was seen of a part: a score, or the fault that prevented one.

    Attributes:
        frame: None: no frame, or the recipe knows none to compare with, or `measuring`.
        measuring: the frame is measured once the verdict is out; None in the frame's place: it could not be.
    """

    part: Part
    score: Score | None
    fault: Reason | None
    detail: str
    timings: Timings
    finished_ns: int
    frame: FrameFacts | None = None
    measuring: futures.Future[FrameFacts | None] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the line decided about a part."""

    sequence: int
    outcome: Outcome
    band: Band
    reason: Reason | None  # None: GOOD
    detail: str = ""
    judged: Outcome | None = None  # what was judged, where the line is held; None: the outcome


@dataclass(frozen=True, slots=True)
class Record:
    """A settled part, as the history keeps it.

    Attributes:
        boot: id of the line's run that numbered the part.
        outcome, reason: final; they are those of the ejector's journal once it has acknowledged.
        part: None when only the journal knew of it.
        inspection, verdict: what the line itself saw and decided; None when it did not come to that.
        score: kept by the journal too, so that a crash does not lose it.
        acknowledged_ns: monotonic; None: not yet acknowledged.
        acknowledged: the ejector has it in its journal.
    """

    sequence: int
    boot: str
    outcome: Outcome
    reason: Reason | None
    captured_us: int | None
    part_ref: str | None
    part: Part | None
    inspection: Inspection | None
    verdict: Verdict | None
    score: float | None
    acknowledged: bool
    acknowledged_ns: int | None

    def measured(self, wait_s: float) -> Record:
        """The same with the frame's facts; without them where the line's thread died before it had them."""
        inspection = self.inspection
        if inspection is None or inspection.measuring is None:
            return self
        done, _ = futures.wait([inspection.measuring], wait_s)
        frame = inspection.measuring.result() if done else None
        return replace(self, inspection=replace(inspection, frame=frame, measuring=None))

    def without_picture(self) -> Record:
        """The same without pixels: thousands may wait while a disk is full, and no database wants them."""
        if self.part is None or not isinstance(self.part.capture, Frame):
            return self
        part = replace(self.part, capture=replace(self.part.capture, image=NO_PICTURE))
        inspection = self.inspection and replace(self.inspection, part=part)
        return replace(self, part=part, inspection=inspection)
