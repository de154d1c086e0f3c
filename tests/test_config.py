"""Options as they are declared; tests/test_settings.py has what they are set to."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from geocobot.config import (
    DemoOptions,
    PredictOptions,
    PretrainOptions,
    ShowOptions,
    TrainOptions,
)

LEAST: dict[type[Any], dict[str, Any]] = {
    TrainOptions: {"raster": ("a.tif",), "labels": ("b.shp",)},
    PredictOptions: {"raster": ("a.tif",), "model": "m.safetensors"},
    DemoOptions: {},
    ShowOptions: {"base": "vit_b"},
    PretrainOptions: {},
}


@pytest.mark.parametrize("kind", LEAST)
class TestEveryKind:
    def test_every_option_has_help(self, kind: type[Any]) -> None:
        for field in fields(kind):
            assert field.metadata["help"].endswith("."), field.name

    def test_is_frozen(self, kind: type[Any]) -> None:
        with pytest.raises(FrozenInstanceError, match="cannot assign"):
            setattr(kind(**LEAST[kind]), fields(kind)[0].name, "x")


@pytest.mark.parametrize("module", ["config", "settings"])
def test_nothing_heavy_is_imported(module: str) -> None:
    code = (
        f"import sys, geocobot.{module}\n"
        "print([m for m in ('torch', 'pydantic', 'yaml', 'numpy') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout == "[]\n"


def test_what_commands_share_is_declared_once() -> None:
    train = {f.name: f for f in fields(TrainOptions)}
    for name in ("adapter", "cobot", "rank", "targets", "mixing", "head"):
        shown = next(f for f in fields(ShowOptions) if f.name == name)
        assert (shown.default, shown.metadata) == (train[name].default, train[name].metadata)
