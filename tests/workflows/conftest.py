"""A base so small that it trains in seconds, with weights in the official format."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from geocobot.models import bases
from geocobot.models.bases import BaseSpec, WeightsSource
from geocobot.models.checkpoint import official_shapes


@pytest.fixture
def miniature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Let a small base have a name among the bases; hands out the file with its weights."""

    def make(name: str) -> Path:
        spec = BaseSpec(
            name=name,
            width=24,
            depth=2,
            heads=2,
            global_blocks=(1,),
            window_tokens=4,
            image_px=64,
            out_channels=32,
        )
        rng = torch.Generator().manual_seed(0)
        path = tmp_path / f"sam_{name}.pth"
        shapes = official_shapes(spec).items()
        torch.save({n: 0.1 * torch.randn(shape, generator=rng) for n, shape in shapes}, path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        source = WeightsSource("", path.name, sha256, path.stat().st_size)
        monkeypatch.setitem(bases.BASES, name, replace(spec, weights=source))  # type: ignore[arg-type] # a dict underneath
        return path

    return make
