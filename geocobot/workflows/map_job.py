"""One scene to be mapped: what with, where to, and by what a change of any of it shows."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from geocobot._version import __version__
from geocobot.classes import ClassSpec
from geocobot.config import PredictOptions
from geocobot.io.centerlines import read_lengths
from geocobot.io.cut import CutScene
from geocobot.io.identity import last_change_ns, scene_identity
from geocobot.io.polygons import read_areas
from geocobot.io.resampled import ResampledScene
from geocobot.io.scene import Scene
from geocobot.models.card import ModelCard
from geocobot.models.precision import Compute
from geocobot.models.weights import sha256_of
from geocobot.secrecy import values_without_secrets
from geocobot.settings import to_yaml
from geocobot.workflows.mapped import ClassTotal, SceneResult, Tally
from geocobot.workflows.targets import Targets

# Options that decide who computes a map and where it goes, and not what it is.
_WHO = {"workers", "devices", "threads", "engine", "address", "max_memory"}
# Which files show a map: whether all that are asked for are there is asked besides.
_SHOWN = {"report", "qgis_project"}
_NO_MATTER = {"raster", "model", "checkpoint", "out", "overwrite", "resume", "license"}
_OF_A_MAP = frozenset(f.name for f in fields(PredictOptions)) - _NO_MATTER - _WHO - _SHOWN


@dataclass(frozen=True, eq=False)
class MapJob:
    """One scene to be mapped.

    Attributes:
        scene: opened with the bands of the model, in pixels of the model's size.
        targets: the files to come.
        options: with everything that was found out, for this scene alone.
    """

    scene: Scene
    targets: Targets
    options: PredictOptions

    @classmethod
    def of(
        cls, scene: Scene, targets: Targets, options: PredictOptions, compute: Compute
    ) -> MapJob:
        """Add everything to the options that was found out, for this scene alone."""
        found = replace(
            options,
            raster=tuple(part.path for part in scene.parts),
            out=str(targets.polygons),
            bands=scene.bands,
            device="cuda" if compute.device.type == "cuda" else "cpu",
            precision=compute.precision,
        )
        return cls(scene, targets, found)

    def in_batches(self, fitting: Callable[[], int]) -> MapJob:
        """The same job with so many tiles at a time, unless the options say how many."""
        if self.options.batch_size is not None:
            return self
        return replace(self, options=replace(self.options, batch_size=fitting()))

    @property
    def batch_size(self) -> int:
        """Tiles per forward pass, which decide about the last digits of what a GPU computes."""
        assert self.options.batch_size is not None
        return self.options.batch_size

    @property
    def area_km2(self) -> float:
        """The scene's area on the ground, nodata included, by the pixel in its middle."""
        grid = self.native.grid
        return math.prod(grid.ground_pixel_m) * math.prod(grid.shape) / 1e6

    @property
    def native(self) -> Scene:
        """The scene in the pixels of its file, which are those of the results."""
        return self.scene.native if isinstance(self.scene, ResampledScene) else self.scene

    def identity(self, card: ModelCard, compute: Compute, threads: int) -> dict[str, Any]:
        """All that the bytes of the map follow from, by group and name.

        Args:
            card: of the model.
            compute: where each part of the engine computes, and how exactly.
            threads: of each; their number decides in which order a CPU adds up.
        """
        model = Path(self.options.model)
        kept = replace(self.targets, project=None, report=None)
        return {
            "scene": scene_identity(self.native) | {"area": _area_of(self.native)},
            "model": {
                "SHA-256": sha256_of(model) if model.is_file() else None,
                "tile side": card.patch_px,
            },
            "option": {
                name: values_without_secrets(getattr(self.options, name))
                for name in sorted(_OF_A_MAP)
            },
            "target": {"files": [path.name for path in kept.paths()]},
            "machine": {
                "device": compute.device.type,
                "precision": compute.precision,
                "number of threads": threads if compute.device.type == "cpu" else None,
                "torch": torch.__version__,
                "geocobot": __version__,
            },
        }

    def result(
        self,
        totals: tuple[ClassTotal, ...],
        *,
        tiles: int,
        seconds: float,
        is_recalled: bool = False,
    ) -> SceneResult:
        """What was made, and where it lies."""
        return SceneResult(
            raster=Path(self.scene.path),
            polygons=self.targets.polygons,
            scores=self.targets.scores,
            classes=self.targets.classes,
            centerlines=self.targets.with_centerlines,
            config=self.targets.config,
            totals=totals,
            tiles=tiles,
            seconds=seconds,
            area_km2=self.area_km2,
            n_rasters=len(self.scene.parts),
            is_recalled=is_recalled,
            project=self.targets.project,
            report=self.targets.report,
        )

    def recall(self, classes: tuple[ClassSpec, ...]) -> SceneResult | None:
        """The map, if the same command has made it already; None where it has not.

        Args:
            classes: of the model.
        """
        made = self.targets.config
        if os.path.exists(self.targets.partial):
            return None
        if not all(os.path.isfile(path) for path in self.targets.paths()):
            return None
        left_open = {"batch_size"} if self.options.batch_size is None else set()
        before, now = (
            _what_matters(text, left_open)
            for text in (made.read_text("utf-8"), to_yaml(self.options))
        )
        if before != now:
            return None
        inputs = [*self.options.raster, self.options.model, *(self.options.area or ())]
        changed_ns = last_change_ns(inputs)
        if changed_ns is not None and changed_ns > made.stat().st_mtime_ns:
            return None
        tally = Tally(classes)
        tally.add(read_areas(self.targets.polygons))
        if self.options.centerlines:
            tally.add_lines(read_lengths(self.targets.polygons))
        return self.result(tally.totals(), tiles=0, seconds=0.0, is_recalled=True)


def _what_matters(options: str, left_open: AbstractSet[str]) -> list[str]:
    """The lines of saved options without who computed it, what shows it, and what is left open."""
    besides = _WHO | _SHOWN | left_open
    return [line for line in options.splitlines() if line.partition(":")[0] not in besides]


def _area_of(scene: Scene) -> str | None:
    """A checksum of what is to be mapped of a scene; None where that is all of it."""
    if not isinstance(scene, CutScene) or scene.area is None:
        return None
    return scene.area.digest()
