"""The time budget, by a clock that the tests turn."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from geocobot.training.callbacks import TimeBudget
from geocobot.training.schedule import RunClock


class Run:
    """Steps and validations that take so many seconds, until the budget stops them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, budget_s: float, val_batches: int) -> None:
        self.now_s = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now_s)
        self.clock = RunClock(total_steps=10**6, budget_s=budget_s, _started=0.0)
        self.budget = TimeBudget(self.clock)
        module = SimpleNamespace(val_dataloader=lambda: range(val_batches))
        self.trainer: Any = SimpleNamespace(should_stop=False, datamodule=module)
        self.epochs: list[int] = []

    def go(self, steps: int, step_s: float, val_s: float) -> None:
        nothing: Any = None
        self.budget.on_train_start(self.trainer, nothing)
        while not self.trainer.should_stop:
            self.epochs.append(0)
            for k in range(steps):
                self.now_s += step_s
                self.epochs[-1] += 1
                self.budget.on_train_batch_end(self.trainer, nothing, nothing, nothing, k)
                if self.trainer.should_stop:
                    break
            self.budget.on_validation_start(self.trainer, nothing)
            self.now_s += val_s
            self.budget.on_validation_end(self.trainer, nothing)


def test_no_epoch_begins_when_a_validation_has_ended_out_of_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run(monkeypatch, budget_s=100.0, val_batches=0)
    run.go(steps=30, step_s=1.0, val_s=25.0)
    # 30 + 25 s, and again 20 s until 25 are left.
    assert run.epochs == [30, 20]
    assert run.now_s == 100.0
    run = Run(monkeypatch, budget_s=100.0, val_batches=0)
    run.go(steps=30, step_s=1.0, val_s=60.0)
    assert run.epochs == [30]


def test_the_first_validation_of_a_long_epoch_fits_into_the_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run(monkeypatch, budget_s=100.0, val_batches=20)
    run.go(steps=10**6, step_s=1.0, val_s=20.0)
    assert run.epochs == [80]
    assert run.now_s == 100.0


def test_half_of_the_budget_is_for_training_whatever_validation_may_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run(monkeypatch, budget_s=100.0, val_batches=10**6)
    run.go(steps=10**6, step_s=1.0, val_s=1.0)
    assert run.epochs == [50]
