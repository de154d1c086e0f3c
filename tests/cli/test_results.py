from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geocobot.cli.results import as_json, as_text

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
TREES = st.recursive(
    LEAVES | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@dataclass(frozen=True)
class Inner:
    iou: float


@dataclass(frozen=True)
class Outer:
    model_file: Path
    classes: tuple[Inner, ...]
    extra: Any = None


class Spoken:
    def summary(self) -> str:
        return "All is well."


@given(TREES)
def test_json_values_come_back(value: Any) -> None:
    assert json.loads(as_json(value)) == value


def test_dataclasses_paths_and_numbers_become_json() -> None:
    result = Outer(Path("a/b.tif"), (Inner(float("nan")),), {"x": np.float32(0.5), 1: np.arange(2)})
    assert json.loads(as_json(result)) == {
        "model_file": str(Path("a/b.tif")),
        "classes": [{"iou": None}],
        "extra": {"x": 0.5, "1": [0, 1]},
    }


def test_letters_outside_ascii_stay_readable() -> None:
    assert as_json("Straße") == '"Straße"'


def test_text_is_the_results_own_summary() -> None:
    assert as_text(Spoken()) == "All is well."


def test_text_without_a_summary_lists_the_fields() -> None:
    assert as_text(Outer(Path("m"), (), 3)) == "model file: m\nclasses: ()\nextra: 3"
