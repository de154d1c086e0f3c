"""How the learning rate rises and falls over a run that ends by steps or by the clock."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

# What is left at the end: enough to keep settling, too little to undo anything.
_FLOOR = 0.01


def learning_rate_factor(progress: float, warmup: float) -> float:
    """Share of the peak learning rate at a point of the run.

    It rises linearly from 0 to 1 over the warm-up and falls along half a cosine after it
    (Loshchilov and Hutter, "SGDR", 2017); it never passes 1.

    Args:
        progress: share of the run that is over, 0 to 1.
        warmup: share of the run that is warm-up, 0 to 1.
    """
    progress = min(max(progress, 0.0), 1.0)
    if progress < warmup:
        return progress / warmup
    fall = (progress - warmup) / (1.0 - warmup) if warmup < 1.0 else 0.0
    return _FLOOR + (1.0 - _FLOOR) * 0.5 * (1.0 + math.cos(math.pi * fall))


@dataclass
class RunClock:
    """How far a run is, by steps or by the clock, whichever is further.

    So a run that its budget ends early still goes through the whole schedule.

    Attributes:
        total_steps: optimizer steps of the whole run; infinite where only the clock ends it.
        budget_s: seconds the run may take, or None.
        elapsed_before_s: seconds that interrupted parts of the run took.
        prepared_s: seconds of the budget that were spent before the first step; the schedule
            begins after them, or they would be taken from its warm-up.
        reserved_s: seconds of the budget to keep for the last validation.
    """

    total_steps: float
    budget_s: float | None = None
    elapsed_before_s: float = 0.0
    prepared_s: float = 0.0
    reserved_s: float = 0.0
    _started: float = field(default_factory=time.monotonic)
    _agreed: tuple[float, ...] | None = None

    @property
    def elapsed_s(self) -> float:
        """Seconds the run has taken so far."""
        return self.elapsed_before_s + time.monotonic() - self._started

    @property
    def out_of_time(self) -> bool:
        """Whether training has to stop now for the budget to hold."""
        return self.budget_s is not None and self._time_share() >= 1.0

    def reading(self) -> tuple[float, ...]:
        """What decisions by the clock follow from, in seconds, for the clocks of other processes.

        Of several processes each has a clock of its own, and a run that some of them want to end
        and others do not would hang; so would weights drift apart by the learning rate.
        """
        return self.elapsed_s, self.prepared_s, self.reserved_s

    def agree(self, reading: Iterable[float]) -> None:
        """Decide by a reading, perhaps another clock's, until the next one."""
        self._agreed = tuple(reading)

    def progress(self, step: float) -> float:
        """Share of the run that is over, 0 to 1, when `step` steps are done."""
        return min(1.0, max(step / max(self.total_steps, 1), self._time_share()))

    def _time_share(self) -> float:
        """Share of the budget for steps that is spent; 0 without a budget."""
        if self.budget_s is None:
            return 0.0
        elapsed_s, prepared_s, reserved_s = self._agreed or self.reading()
        usable = max(self.budget_s - reserved_s - prepared_s, 1e-9)
        return (elapsed_s - prepared_s) / usable
