"""A base so small that it trains in seconds, with weights in the official format."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from geocobot.data import module
from geocobot.models import bases, weights
from geocobot.models.base_file import write_base
from geocobot.models.bases import BaseSpec, WeightsSource
from geocobot.models.checkpoint import official_shapes
from geocobot.models.dense_head import DenseHead
from geocobot.models.encoder import SamEncoder
from geocobot.models.heads import head_config, make_head
from geocobot.models.provenance import Provenance


@pytest.fixture(autouse=True)
def _short_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs that only show the training area once, which is a handful of steps here."""
    monkeypatch.setattr(module, "MIN_STEPS_PER_EPOCH", 2)


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


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    """A base file of tiny, pretrained on nothing."""
    spec = bases.BASES["tiny"]
    torch.manual_seed(0)
    provenance = Provenance(
        base="tiny",
        recipe={"lr": 1e-3},
        commit="cef5996",
        seed=3,
        steps=12_000,
        data=("made-up places", "old maps"),
        hours=4.5,
        device="one H100",
    )
    path = tmp_path / "tiny.safetensors"
    dense = make_head(head_config(spec, 1, "dense", "pretrained"))
    assert isinstance(dense, DenseHead)
    write_base(
        path, spec, SamEncoder(spec), dense_head=dense, mask_head=None, provenance=provenance
    )
    return path


@pytest.fixture
def bundled_tiny(tiny_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same file, as one that comes with the package."""
    spec = replace(bases.BASES["tiny"], bundled=tiny_file.name)
    monkeypatch.setitem(bases.BASES, "tiny", spec)  # type: ignore[arg-type] # a dict underneath
    monkeypatch.setattr(weights, "PACKAGE_FOLDER", tiny_file.parent)
    return tiny_file
