"""Who is who among the processes that train together."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from geocobot.training.callbacks import StepSeeds
from geocobot.training.peers import ALONE, Seat


def drawn(seed: int, seat: Seat, step: int) -> float:
    with torch.random.fork_rng(devices=[]):
        StepSeeds(seed, seat).on_train_batch_start(SimpleNamespace(global_step=step), None, None, 0)  # type: ignore[arg-type]
        return float(torch.rand(()))


@pytest.mark.parametrize("of", [2, 3])
def test_no_two_processes_and_no_two_steps_draw_the_same(of: int) -> None:
    seats = [Seat(number=k, local=k, devices=of) for k in range(of)]
    found = {drawn(5, seat, step) for seat in seats for step in range(20)}
    assert len(found) == 20 * of
    assert found == {drawn(5, seat, step) for seat in seats for step in range(20)}


def test_one_process_draws_as_it_always_did() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5 * 1_000_003 + 7)
        expected = float(torch.rand(()))
    assert drawn(5, Seat(), 7) == expected


def test_one_process_hears_itself() -> None:
    value = torch.tensor(0.1)
    assert ALONE.mean(value) is value
    assert ALONE.total(value) is value
    assert ALONE.gathered("a") == ["a"]
    assert ALONE.as_first_says([0.1, 2.0]) == [0.1, 2.0]


def test_the_first_process_writes() -> None:
    seats = [Seat(number=n, local=n % 2, node=n // 2, devices=2, nodes=2) for n in range(4)]
    assert [seat.is_first for seat in seats] == [True, False, False, False]
    assert {seat.of for seat in seats} == {4}
