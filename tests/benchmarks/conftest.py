"""Benchmarks are scripts that import each other by name; the last place on the path is theirs."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

from evidence.grid import Cell, Setting, Trial  # noqa: E402
from evidence.table import FOUND, Table  # noqa: E402


@pytest.fixture
def setting():
    return Setting(base="tiny", weights="0123", steps=140, precision="float32")


@pytest.fixture
def table(tmp_path):
    return Table(tmp_path / "runs" / "evidence.csv", tmp_path / "locks")


@pytest.fixture
def trial(setting):
    return Trial(
        purpose="evidence",
        **vars(setting),
        **vars(Cell("lora", 4)),
        scene="vegas_roads",
        seed=0,
        patches=None,
        rate=2e-4,
    )


@pytest.fixture
def figures():
    """Made-up figures of a run; a function of what differs."""

    def make(**said):
        usual = dict.fromkeys(FOUND) | {
            "mean_iou": 0.5,
            "iou": '{"road, paved": 0.5}',
            "everywhere_iou": 0.2,
            "trained_parameters": 1000,
            "cobot_parameters": 0,
            "steps_made": 140,
            "loss_spikes": 0.0,
        }
        return usual | said

    return make
