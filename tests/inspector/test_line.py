"""The loop fails closed: whatever happens to a part, it gets a verdict, and only a finished judgement is GOOD."""

from __future__ import annotations

import dataclasses
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import msgspec
import numpy as np
import pytest

from calibration.frames import FrameFacts, FrameGauge, Frames
from calibration.recipe import Recipe
from engines.bundle import Bundle
from engines.detector import Anomaly, open_detector
from engines.errors import EngineError, ImageError, PartNotFound
from engines.image import Image, Locate
from engines.locate import MIN_SCORE, cut_template
from inspector.cameras.synthetic import draw_part
from inspector.inspection import CameraFault, Frame, Outcome, Part, Reason
from inspector.job import Detects, Job, make_job
from inspector.line import Line
from inspector.waiting import Waiting

if TYPE_CHECKING:
    from tests.inspector.conftest import FakeClock, FakeLink, Make


@dataclass
class FakeDetector:
    """Gives maps of one value, or raises; by the number of the picture."""

    value: float = 0.0
    raises: dict[int, BaseException] = field(default_factory=dict)
    shape: tuple[int, int] = (8, 8)
    seen: int = 0
    is_closed: bool = False
    on_detect: Callable[[], None] = lambda: None

    def detect(self, image: Image) -> Anomaly:
        self.seen += 1
        self.on_detect()
        if self.seen in self.raises:
            raise self.raises[self.seen]
        return Anomaly((np.full(self.shape, self.value, np.float32),), 1.5, 2.5)

    def close(self) -> None:
        self.is_closed = True


def run(parts: list[Part], detector: Detects, link: FakeLink, clock: FakeClock, recipe: Recipe) -> Callable[[], None]:
    line = Line(belt(parts, make_job(recipe, [detector])), 0, link, clock, lambda: None, lambda part: None)
    line.run()
    return line.stop


def belt(parts: list[Part], job: Job, ends: bool = True) -> Waiting:
    """These parts, numbered under this job, and then the end."""
    waiting = Waiting(len(parts))
    lane = waiting.add_lane()
    for part in parts:
        assert lane.offer(dataclasses.replace(part, job=job))
    if ends:
        lane.end()
    return waiting


def test_a_finished_judgement_below_the_limit_is_good(make: Make, link: FakeLink, clock: FakeClock) -> None:
    run([make.part(1)], FakeDetector(value=1.0), link, clock, make.recipe())
    assert [(verdict.sequence, verdict.outcome) for verdict in link.verdicts] == [(1, Outcome.GOOD)]


def test_a_score_above_the_limit_is_a_reject(make: Make, link: FakeLink, clock: FakeClock) -> None:
    run([make.part(1)], FakeDetector(value=9.0), link, clock, make.recipe())
    assert link.verdicts[0].outcome is Outcome.REJECT


@pytest.mark.parametrize(
    "error",
    [
        ValueError("odd"),
        EngineError("wrong maps"),
        MemoryError(),
        ZeroDivisionError("division by zero"),
        StopIteration(),
        queue.Empty(),
        AssertionError("never"),
        RecursionError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_the_detector_raises_is_an_error_of_that_part_and_the_line_goes_on(
    make: Make, link: FakeLink, clock: FakeClock, error: Exception
) -> None:
    parts = [make.part(1), make.part(2), make.part(3)]
    run(parts, FakeDetector(raises={2: error}), link, clock, make.recipe())
    assert [verdict.outcome for verdict in link.verdicts] == [Outcome.GOOD, Outcome.ERROR, Outcome.GOOD]
    assert link.verdicts[1].reason is Reason.ENGINE_FAULT
    assert type(error).__name__ in link.verdicts[1].detail


def test_a_frame_of_the_wrong_size_is_a_bad_frame_that_says_which(make: Make, link: FakeLink, clock: FakeClock) -> None:
    detector = FakeDetector(raises={1: ImageError("frame of (4, 4) px")})
    run([make.part(1)], detector, link, clock, make.recipe())
    verdict = link.verdicts[0]
    assert (verdict.outcome, verdict.reason, verdict.detail) == (Outcome.ERROR, Reason.BAD_FRAME, "frame of (4, 4) px")


def test_a_frame_without_the_part_is_an_error_that_says_so(make: Make, link: FakeLink, clock: FakeClock) -> None:
    detector = FakeDetector(raises={1: PartNotFound("likeness 0.10")})
    run([make.part(1), make.part(2)], detector, link, clock, make.recipe())
    verdict = link.verdicts[0]
    assert (verdict.outcome, verdict.reason, verdict.detail) == (
        Outcome.ERROR,
        Reason.PART_NOT_FOUND,
        "likeness 0.10",
    )
    assert link.verdicts[1].outcome is Outcome.GOOD


def test_an_empty_belt_is_an_error_of_a_product_that_is_located(
    make: Make, link: FakeLink, clock: FakeClock, tiny_bundle: Bundle, tiny_recipe: Recipe
) -> None:
    """The real detector: the model finds nothing odd about an empty belt, the line ejects it all the same."""
    template, box = cut_template(draw_part(3, 0, False, 240), None)
    spec = msgspec.structs.replace(
        tiny_bundle.manifest.input, frame_size=None, region=box, locate=Locate(box, MIN_SCORE)
    )
    manifest = msgspec.structs.replace(tiny_bundle.manifest, input=spec)
    detector = open_detector(dataclasses.replace(tiny_bundle, manifest=manifest, template=template), "onnxruntime", 1)
    frames = [draw_part(4, 0, False, 240, free_pose=True), np.full((240, 240, 3), 150, np.uint8)]
    parts = [make.part(number, Frame("camera", number, 1, 1, frame)) for number, frame in enumerate(frames, 1)]
    run(parts, detector, link, clock, tiny_recipe)
    assert link.verdicts[0].reason is not Reason.PART_NOT_FOUND
    assert (link.verdicts[1].outcome, link.verdicts[1].reason) == (Outcome.ERROR, Reason.PART_NOT_FOUND)


def test_maps_of_another_bundle_are_an_error(make: Make, link: FakeLink, clock: FakeClock) -> None:
    class TwoLevels(FakeDetector):
        def detect(self, image: Image) -> Anomaly:
            level = np.zeros((8, 8), np.float32)
            return Anomaly((level, level), 0.0, 0.0)

    run([make.part(1)], TwoLevels(), link, clock, make.recipe())
    assert (link.verdicts[0].outcome, link.verdicts[0].reason) == (Outcome.ERROR, Reason.ENGINE_FAULT)


@pytest.mark.parametrize("reason", [Reason.LOST_FRAME, Reason.GRAB_FAILED])
def test_a_camera_fault_passes_its_reason_on_without_a_look_at_the_engine(
    make: Make, link: FakeLink, clock: FakeClock, reason: Reason
) -> None:
    fault = CameraFault("camera", 1, 1_000_000_000, 1, reason, "no picture")
    detector = FakeDetector()
    run([make.part(1, fault)], detector, link, clock, make.recipe())
    verdict = link.verdicts[0]
    assert (verdict.outcome, verdict.reason, verdict.detail) == (Outcome.ERROR, reason, "no picture")
    assert detector.seen == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_maps_that_are_not_finite_are_an_error(make: Make, link: FakeLink, clock: FakeClock, value: float) -> None:
    run([make.part(1)], FakeDetector(value=value), link, clock, make.recipe())
    assert (link.verdicts[0].outcome, link.verdicts[0].reason) == (Outcome.ERROR, Reason.NOT_FINITE)


def test_one_nan_in_a_map_of_zeros_is_an_error(make: Make, link: FakeLink, clock: FakeClock) -> None:
    class OneNan(FakeDetector):
        def detect(self, image: Image) -> Anomaly:
            level = np.zeros((64, 64), np.float32)
            level[5, 7] = np.nan
            return Anomaly((level,), 0.0, 0.0)

    run([make.part(1)], OneNan(), link, clock, make.recipe())
    assert (link.verdicts[0].outcome, link.verdicts[0].reason) == (Outcome.ERROR, Reason.NOT_FINITE)


def test_the_inspection_says_where_the_time_went(make: Make, link: FakeLink, clock: FakeClock) -> None:
    clock.advance(7)
    detector = FakeDetector(on_detect=lambda: clock.advance(5))
    run([make.part(1)], detector, link, clock, make.recipe())
    inspection = link.sent[0][1]
    assert inspection is not None
    assert (inspection.timings.queue_ms, inspection.timings.prepare_ms, inspection.timings.infer_ms) == (7.0, 1.5, 2.5)
    assert inspection.finished_ns == clock.now_ns()


def test_every_part_gets_exactly_one_verdict_in_order(make: Make, link: FakeLink, clock: FakeClock) -> None:
    run([make.part(number) for number in range(1, 50)], FakeDetector(), link, clock, make.recipe())
    assert [verdict.sequence for verdict in link.verdicts] == list(range(1, 50))


def test_stop_ends_the_loop_after_the_part_in_hand(make: Make, link: FakeLink, clock: FakeClock) -> None:
    detector = FakeDetector()
    waiting = belt([make.part(1), make.part(2)], make_job(make.recipe(), [detector]))
    line = Line(waiting, 0, link, clock, lambda: None, lambda part: None)
    detector.on_detect = line.stop
    line.run()
    assert [verdict.sequence for verdict in link.verdicts] == [1]


def test_waiting_for_parts_that_do_not_come_counts_as_rounds(
    make: Make, link: FakeLink, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inspector.line.WAIT_S", 0.001)
    beats = threading.Semaphore(0)
    waiting = belt([], make_job(make.recipe(), []), ends=False)
    line = Line(waiting, 0, link, clock, beats.release, lambda part: None)
    thread = threading.Thread(target=line.run)
    thread.start()
    assert all(beats.acquire(timeout=20) for _ in range(3))
    line.stop()
    thread.join(20)
    assert not thread.is_alive()


def test_several_lines_look_at_parts_at_the_same_time_and_all_end_with_the_queue(
    make: Make, link: FakeLink, clock: FakeClock
) -> None:
    both = threading.Barrier(2, timeout=20)  # passed only while two parts are being looked at

    def meet() -> None:
        both.wait()

    detectors = [FakeDetector(value=1.0, on_detect=meet) for _ in range(2)]
    waiting = belt([make.part(number) for number in range(1, 7)], make_job(make.recipe(), detectors))
    lines = [Line(waiting, place, link, clock, lambda: None, lambda part: None) for place in range(2)]
    threads = [threading.Thread(target=line.run) for line in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert sorted((verdict.sequence, verdict.outcome) for verdict in link.verdicts) == [
        (number, Outcome.GOOD) for number in range(1, 7)
    ]


@dataclass
class FakeGauge:
    """Gives one answer, and counts what it was asked for."""

    fault: Exception | None = None
    asked: int = 0
    on_measure: Callable[[], None] = lambda: None

    def measure(self, image: Image) -> FrameFacts:
        self.asked += 1
        self.on_measure()
        if self.fault:
            raise self.fault
        return FrameFacts(float(image.mean()), 0.0, 0.0, 0.0)


def inspect(part: Part, detector: Detects, gauge: object, link: FakeLink, clock: FakeClock, recipe: Recipe) -> None:
    job = Job(recipe, (detector,), cast(FrameGauge, gauge))
    Line(belt([part], job), 0, link, clock, lambda: None, lambda part: None).run()


def measured(link: FakeLink) -> FrameFacts | None:
    """Of the last part that was sent; fails where it is not there at once."""
    _, inspection, _ = link.sent[-1]
    assert inspection is not None
    return inspection.measuring.result(0) if inspection.measuring else None


def test_the_frame_is_measured_when_the_verdict_is_out(make: Make, link: FakeLink, clock: FakeClock) -> None:
    sent_before: list[int] = []
    gauge = FakeGauge(on_measure=lambda: sent_before.append(len(link.sent)))
    inspect(make.part(1), FakeDetector(), gauge, link, clock, make.recipe())
    assert sent_before == [1]
    assert measured(link) == FrameFacts(0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("error", "is_measured"),
    [(PartNotFound("empty"), True), (ValueError("odd"), True), (ImageError("frame of (4, 4) px"), False)],
)
def test_the_frame_of_an_error_is_measured_where_it_is_one_of_the_products(
    make: Make, link: FakeLink, clock: FakeClock, error: Exception, is_measured: bool
) -> None:
    inspect(make.part(1), FakeDetector(raises={1: error}), FakeGauge(), link, clock, make.recipe())
    assert link.verdicts[0].outcome is Outcome.ERROR
    assert (measured(link) is not None) is is_measured


def test_a_frame_that_cannot_be_measured_changes_no_verdict_and_the_line_goes_on(
    make: Make, link: FakeLink, clock: FakeClock
) -> None:
    gauge = FakeGauge(ZeroDivisionError("division by zero"))
    job = Job(make.recipe(), (FakeDetector(),), cast(FrameGauge, gauge))
    Line(belt([make.part(1), make.part(2)], job), 0, link, clock, lambda: None, lambda part: None).run()
    assert [verdict.outcome for verdict in link.verdicts] == [Outcome.GOOD, Outcome.GOOD]
    assert (measured(link), gauge.asked) == (None, 2)


def test_the_frame_is_measured_beside_the_score_where_the_recipe_knows_frames(
    make: Make, link: FakeLink, clock: FakeClock
) -> None:
    frames = Frames(np.zeros((96, 96), np.float32), np.zeros((1, 4)))
    recipe = dataclasses.replace(make.recipe(), frames=frames)
    bright = dataclasses.replace(make.frame(1), image=np.full((8, 8, 3), 200, np.uint8))
    lost = CameraFault("camera", 2, bright.captured_ns, bright.captured_us, Reason.GRAB_FAILED, "nothing came")
    run([make.part(1, bright), make.part(2, lost)], FakeDetector(), link, clock, recipe)
    first, second = (inspection for _, inspection, _ in link.sent if inspection)
    assert first.measuring is not None
    facts = first.measuring.result(0)
    assert facts is not None
    assert facts.brightness == 200
    assert second.measuring is None
    run([make.part(3, bright)], FakeDetector(), link, clock, make.recipe())
    assert measured(link) is None
