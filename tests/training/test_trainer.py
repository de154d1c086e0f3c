"""What all trainings share; the trainings' own tests resume and interrupt."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocobot.config.values import MAX_SEED
from geocobot.errors import ResumeError
from geocobot.training.trainer import (
    checkpoint_path,
    has_checkpoint,
    read_checkpoint,
    remove_checkpoints,
    step_seed,
)

seeds, steps = st.integers(0, MAX_SEED), st.integers(0, 1_000_000)


@given(seeds, steps, seeds, steps)
def test_no_two_steps_share_a_seed(seed: int, step: int, other: int, later: int) -> None:
    assert (step_seed(seed, step) == step_seed(other, later)) == ((seed, step) == (other, later))


@given(seeds, steps)
def test_torch_takes_every_seed(seed: int, step: int) -> None:
    torch.Generator().manual_seed(step_seed(seed, step))


def test_there_is_nothing_to_resume_at_first(tmp_path: Path) -> None:
    assert not has_checkpoint(tmp_path)
    with pytest.raises(ResumeError, match=r"holds no interrupted training.*without --resume"):
        read_checkpoint(tmp_path)


def test_a_checkpoint_is_found_and_removed(tmp_path: Path) -> None:
    checkpoint_path(tmp_path).parent.mkdir()
    torch.save({"epoch": 1, "global_step": 8}, checkpoint_path(tmp_path))
    assert has_checkpoint(tmp_path)
    assert read_checkpoint(tmp_path) == {"epoch": 1, "global_step": 8}
    remove_checkpoints(tmp_path)
    assert not has_checkpoint(tmp_path)
