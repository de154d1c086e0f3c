"""Maps by a model that has learned nothing, and says something else of every place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from geocobot.adapters.config import AdapterConfig
from geocobot.bands import BandRange
from geocobot.classes import name_classes
from geocobot.config import PredictOptions
from geocobot.models.card import ModelCard
from geocobot.models.modelfile import save_model
from geocobot.models.segmenter import build_segmenter
from geocobot.settings import make_options

FILES = ("map.gpkg", "map_scores.tif", "map_classes.tif")
TILE_PX = 64


def make_model(path: Path, ground_pixel_m: float = 1.0, tile_px: int = TILE_PX) -> Path:
    """Two classes, three bands of bytes."""
    torch.manual_seed(0)
    segmenter = build_segmenter("tiny", 2, AdapterConfig()).eval()
    card = ModelCard(
        segmenter=segmenter.config,
        classes=name_classes(["one", "other"]),
        ranges=tuple(BandRange(i, f"band {i}", "uint8", 0.0, 255.0) for i in (1, 2, 3)),
        ground_pixel_m=(ground_pixel_m, ground_pixel_m),
        patch_px=tile_px,
    )
    save_model(path, segmenter, card)
    return path


def options_for(model: Path, rasters: Any, out: Path, **values: Any) -> PredictOptions:
    """All files, every pixel, in a way that is the same on every CPU."""
    given = {
        "raster": [str(r) for r in ([rasters] if isinstance(rasters, Path) else rasters)],
        "model": str(model),
        "out": str(out / "map.gpkg"),
        "save_scores": True,
        "save_classes": True,
        "threads": 1,
        "device": "cpu",
        "precision": "float32",
        "batch_size": 3,
        "simplify": 0.0,
    }
    return make_options(PredictOptions, given | values, "test")


def contents(out: Path) -> dict[str, bytes]:
    """What the files in a folder hold."""
    return {name: (out / name).read_bytes() for name in FILES}
