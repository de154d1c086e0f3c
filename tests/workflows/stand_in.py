"""A map made by a stand-in for the model, for tests that stop it and go on.

As a program it says when it is ready, makes the map when it reads a line, and says when it is
done.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch

from geocobot.adapters.config import AdapterConfig
from geocobot.bands import BandRange
from geocobot.classes import name_classes
from geocobot.config import PredictOptions
from geocobot.inference.engines import LocalEngine
from geocobot.io.fitting import open_scene_for
from geocobot.models.architecture import HeadConfig, SegmenterConfig
from geocobot.models.card import ModelCard
from geocobot.models.precision import Compute
from geocobot.workflows.map_job import MapJob
from geocobot.workflows.map_scene import map_scene
from geocobot.workflows.mapped import SceneResult
from geocobot.workflows.mapping_run import MappingRun
from geocobot.workflows.project import wants_project
from geocobot.workflows.targets import choose_targets

TILE_PX = 64


def make_card() -> ModelCard:
    """Two classes, tiles of 64 px."""
    return ModelCard(
        segmenter=SegmenterConfig(
            base="tiny",
            base_sha256=None,
            adapter=AdapterConfig(method="none"),
            head=HeadConfig(2),
            encoder_trained=True,
        ),
        classes=name_classes(["bright", "dark"]),
        ranges=tuple(BandRange(i, f"band {i}", "uint8", 0.0, 255.0) for i in (1, 2, 3)),
        ground_pixel_m=(1.0, 1.0),
        patch_px=TILE_PX,
    )


class StandIn:
    """Says of every pixel how bright it is, softly, and otherwise at another place in the batch.

    Args:
        stop_after: raises `KeyboardInterrupt` after so many batches.
        pause_s: how long a batch takes.
    """

    def __init__(self, stop_after: int | None = None, pause_s: float = 0.0) -> None:
        self.stop_after = stop_after
        self.pause_s = pause_s
        self.tiles = 0
        self.batches = 0

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of a batch."""
        if self.stop_after is not None and self.batches >= self.stop_after:
            raise KeyboardInterrupt
        self.batches += 1
        self.tiles += len(image)
        time.sleep(self.pause_s)
        # As a tile's logits on a GPU depend on the batch that it comes in.
        place = torch.arange(len(image))[:, None, None, None] * 1e-3
        corner = image[:, :1, :1, :1]
        bright = 6 * (image[:, :1] - 0.5) + torch.sin(9 * corner) + place
        return torch.cat([bright, -bright - 1], dim=1)


def make_map(
    raster: Path | str,
    out: Path,
    predictor: StandIn | None = None,
    threads: int = 1,
    card: ModelCard | None = None,
    **options: Any,
) -> SceneResult:
    """Map a scene as `geocobot predict` does; one batch after the other with one thread."""
    compute = Compute(torch.device("cpu"))
    chosen = PredictOptions(
        raster=(str(raster),),
        model="none",
        out=str(out),
        **{"save_scores": True, "save_classes": True, "batch_size": 3} | options,
    )
    card = card or make_card()
    scene = open_scene_for(
        raster, card.ranges, card.ground_pixel_m, resampling=chosen.resolution is not None
    )
    (targets,) = choose_targets(
        chosen.raster,
        chosen.out,
        save_scores=True,
        save_classes=True,
        centerlines=chosen.centerlines,
    )
    if wants_project(chosen):
        targets = targets.with_project()
    job = MapJob.of(scene, targets, chosen, compute)
    run = MappingRun.claim(targets, resume=chosen.resume, overwrite=chosen.overwrite)
    engine = LocalEngine(predictor or StandIn(), compute, threads)
    return map_scene(job, engine, card, run, compute=compute)


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    torch.set_num_threads(1)
    _say("ready")
    sys.stdin.readline()
    make_map(Path(sys.argv[1]), Path(sys.argv[2]), StandIn(pause_s=0.02))
    _say("done")
