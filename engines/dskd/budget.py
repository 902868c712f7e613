"""Time of a run: how many steps and looks it gets, and how long it has still to go. Pure; durations in seconds."""

from __future__ import annotations

from dataclasses import dataclass

LOOKS = 10  # at the select parts, at most; each is also a point to go on from after a kill
LOOK_SHARE = 0.1  # of the training time that the looks may take
LOOK_PICTURES = 128  # of the select parts, by lot: more would not move the mean
SAVE_COST = 0.4  # steps that writing a checkpoint takes: 70 MB
SEE_COST = 0.05  # steps that one picture of a look takes: a forward pass, 28 % of 1/8 step, and reserve
FEWEST_STEPS = 20  # before that the batch norms' running statistics (momentum 0.1) are still a tenth their start values
RESERVE = 0.95  # of the budget is planned: steps are not all alike
MOST_STEPS = 2000  # of a run by time: more has not helped any product so far
EXPORT_S = 6.0  # tracing and checking the graph, Lite0 at 256 px on two cores
SCORE_COST = 4.0  # seconds of scoring per second of looking at the same pictures: clean and painted, and the teacher


def look_cost(pictures: int) -> float:
    """What a look at so many pictures takes, in steps."""
    return SAVE_COST + SEE_COST * pictures


def count_looks(steps: int, pictures: int) -> int:
    """How often `pictures` select parts are looked at in `steps` steps: for 10 % of the time, but at least once."""
    return max(1, min(LOOKS, int(LOOK_SHARE * steps / look_cost(pictures))))


def is_look(step: int, steps: int, looks: int) -> bool:
    """Whether one of `looks` evenly spread looks follows `step` (1..steps); the last step always has one."""
    return step * looks // steps > (step - 1) * looks // steps


def steps_within(seconds: float, step_s: float, select: int, most: int) -> int:
    """Steps that fit into a budget together with their looks, export and scoring.

    Args:
        seconds: what is left of the budget.
        step_s: measured time of one step.
        select: number of select parts.
        most: steps that are never exceeded; `FEWEST_STEPS` are never fallen short of, budget or not.
    """
    looked = min(select, LOOK_PICTURES)
    after_s = EXPORT_S + SCORE_COST * SEE_COST * step_s * select
    steps = int((seconds * RESERVE - after_s) / step_s)
    looks_s = count_looks(max(steps, 1), looked) * look_cost(looked) * step_s
    steps = int((seconds * RESERVE - after_s - looks_s) / step_s)
    return min(most, max(FEWEST_STEPS, steps // 10 * 10))  # tens: two runs on one machine plan alike


@dataclass(slots=True)
class Pace:
    """What steps and looks took in this process so far.

    Attributes:
        select: number of select parts, all of which are scored in the end.
        looked: how many of them each look sees.
    """

    steps: int
    looks: int
    select: int
    looked: int
    steps_done: int = 0
    steps_s: float = 0.0
    looks_done: int = 0
    looks_s: float = 0.0

    def step_took(self, seconds: float) -> None:
        """Note one step."""
        self.steps_done += 1
        self.steps_s += seconds

    def look_took(self, seconds: float) -> None:
        """Note one look and what is saved with it."""
        self.looks_done += 1
        self.looks_s += seconds

    def remaining_s(self, step: int) -> float:
        """Time left after `step`: steps, looks, export and scoring."""
        step_s = self.steps_s / max(1, self.steps_done)
        look_s = self.looks_s / self.looks_done if self.looks_done else look_cost(self.looked) * step_s
        looks_left = sum(is_look(later, self.steps, self.looks) for later in range(step + 1, self.steps + 1))
        after_s = EXPORT_S + SCORE_COST * look_s * self.select / self.looked
        return (self.steps - step) * step_s + looks_left * look_s + after_s
