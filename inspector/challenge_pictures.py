"""Challenge parts from stored pictures: through the line's own loop, engine and recipe, but no camera and no ejector.

Evidence of what the network and the limits do today, and nothing more: it never releases a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.image import fingerprint, list_images, read_image
from inspector.clock import Clock
from inspector.errors import SiteError
from inspector.inspection import Frame, Inspection, Part, Verdict
from inspector.job import Job
from inspector.line import Line
from inspector.site.challenge import EXPECTED
from inspector.waiting import Waiting

Row = dict[str, Any]
WINDOW_NS = 60_000_000_000  # nobody waits for these verdicts


@dataclass(slots=True)
class _Link:
    """Keeps what the line would tell the ejector."""

    told: list[tuple[Inspection | None, Verdict]] = field(default_factory=list)

    def open_part(self, part: Part) -> None:
        pass

    def send(self, part: Part, inspection: Inspection | None, verdict: Verdict) -> None:
        self.told.append((inspection, verdict))


def find_pictures(folder: Path, parts: Sequence[Sequence[str]]) -> list[Path]:
    """One picture for each challenge part, in their order: the file that has its name.

    Raises:
        ImageError: there is no folder, or no picture in it.
        SiteError: a part has no picture, or several.
    """
    pictures = list_images(folder)
    found = []
    for name, _ in parts:
        its = [path for path in pictures if path.stem == name]
        if len(its) != 1:
            raise SiteError(
                f"{folder} holds {len(its)} pictures of challenge part {name!r}; put exactly one there, such as "
                f"{name}.png"
            )
        found += its
    return found


def judge_pictures(job: Job, parts: Sequence[Sequence[str]], pictures: Sequence[Path], clock: Clock) -> list[Row]:
    """What the line says of each challenge part's picture; `fault` "": as it must.

    Raises:
        ImageError: a picture can't be read.
    """
    waiting, link = Waiting(len(pictures)), _Link()
    lane, prints = waiting.add_lane(), []
    for number, path in enumerate(pictures, 1):
        image, now_ns = read_image(path), clock.now_ns()
        prints.append(fingerprint(image))
        frame = Frame("pictures", number, now_ns, clock.utc_us(), image)
        lane.offer(Part(number, frame, now_ns + WINDOW_NS, job=job))
    lane.end()
    Line(waiting, 0, link, clock, lambda: None, lambda part: None).run()
    return [
        _finding(name, kind, path, print_, *told)
        for (name, kind), path, print_, told in zip(parts, pictures, prints, link.told)
    ]


def _finding(name: str, kind: str, path: Path, print_: str, inspection: Inspection | None, verdict: Verdict) -> Row:
    score = inspection.score if inspection else None
    why = ": ".join(text for text in (verdict.reason.value if verdict.reason else "", verdict.detail) if text)
    wrong = f"{verdict.outcome.value} {why}".strip() + f" instead of {EXPECTED[kind].value}"
    return {
        "name": name, "expected": kind, "outcome": verdict.outcome.value,
        "reason": verdict.reason.value if verdict.reason else None, "score": score.value if score else None,
        "picture": str(path), "fingerprint": print_, "fault": "" if verdict.outcome is EXPECTED[kind] else wrong,
    }  # fmt: skip
