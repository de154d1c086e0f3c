"""One scene to be mapped: what with, where to, and by what a change of any of it shows."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geocobot._version import __version__
from geocobot.config import PredictOptions
from geocobot.errors import ResumeError
from geocobot.io.centerlines import read_lengths
from geocobot.io.cut import CutScene
from geocobot.io.identity import scene_identity
from geocobot.io.polygons import read_areas
from geocobot.io.resampled import ResampledScene
from geocobot.io.scene import Scene
from geocobot.models.card import ModelCard
from geocobot.models.precision import Compute
from geocobot.models.weights import sha256_of
from geocobot.secrecy import values_without_secrets
from geocobot.settings import to_yaml
from geocobot.tracing.pixel_sizes import RowSizes
from geocobot.workflows.mapped import ClassTotal, SceneResult, Tally
from geocobot.workflows.quality import listed
from geocobot.workflows.targets import Targets

_DIGITS = 16
_MADE_OF = "# made of "

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
            bands=_bands_of(scene, options),
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
        """The scene's area on the ground, nodata included, by pixels in its middle column."""
        grid = self.native.grid
        column_m2 = RowSizes(grid).areas_m2(np.arange(grid.height)).sum()
        return float(column_m2) * grid.width / 1e6

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
        kept = replace(self.targets, project=None, report=None)
        return self._inputs(card) | {
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

    def _inputs(self, card: ModelCard) -> dict[str, Any]:
        """Scene and model, by what a change of them shows."""
        model = Path(self.options.model)
        return {
            "scene": scene_identity(self.native) | {"area": _area_of(self.native)},
            "model": {
                "SHA-256": sha256_of(model) if model.is_file() else None,
                "tile side": card.patch_px,
            },
        }

    def saved(self, identity: Mapping[str, Any]) -> str:
        """The options as YAML, with a remark that changes with the scene and the model.

        Args:
            identity: of the map when it was begun.
        """
        inputs = json.dumps([identity["scene"], identity["model"]], sort_keys=True)
        digest = hashlib.sha256(inputs.encode("utf-8")).hexdigest()[:_DIGITS]
        return f"{to_yaml(self.options)}{_MADE_OF}{digest}\n"

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
            raster=self.scene.path,
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

    def recall(self, card: ModelCard) -> SceneResult | None:
        """The map, if the same command has made it already; None where it has not.

        Args:
            card: of the model.

        Raises:
            ResumeError: it was made of something else, and may not be replaced.
        """
        made = self.targets.config
        if os.path.exists(self.targets.partial):
            return None
        if not all(os.path.isfile(path) for path in self.targets.paths()):
            return None
        left_open = {"batch_size"} if self.options.batch_size is None else set()
        before, now = (
            _what_matters(text, left_open)
            for text in (made.read_text("utf-8"), self.saved(self._inputs(card)))
        )
        if before != now:
            if self.options.overwrite:
                return None
            raise _made_otherwise(self.targets.polygons, before, now)
        tally = Tally(card.classes)
        tally.add(read_areas(self.targets.polygons))
        if self.options.centerlines:
            tally.add_lines(read_lengths(self.targets.polygons))
        return self.result(tally.totals(), tiles=0, seconds=0.0, is_recalled=True)


def _bands_of(scene: Scene, options: PredictOptions) -> tuple[int | str, ...] | None:
    """The bands that are read; as they were asked for where scenes have them in different order."""
    return scene.bands if len({part.bands for part in scene.parts}) == 1 else options.bands


def _what_matters(options: str, left_open: AbstractSet[str]) -> dict[str, str]:
    """Saved options without who computed it, what shows it, and what is left open; and of what."""
    besides = _WHO | _SHOWN | left_open
    found: dict[str, str] = {}
    name = ""
    for line in options.splitlines():
        if line.startswith(_MADE_OF):
            name = "scene or model"
        elif not line.startswith(("-", " ")):
            name = line.partition(":")[0]
        if name not in besides:
            found[name] = found.get(name, "") + line
    return found


def _made_otherwise(path: Path, before: Mapping[str, str], now: Mapping[str, str]) -> ResumeError:
    """The refusal to take a map for one that was made of something else."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return ResumeError(
        path,
        f"is finished, and was made with another {listed(names)}",
        "What is there already is left as it is where the same command made it",
        "Pass --overwrite (-f) to make it anew, or choose another --out",
    )


def _area_of(scene: Scene) -> str | None:
    """A checksum of what is to be mapped of a scene; None where that is all of it."""
    if not isinstance(scene, CutScene) or scene.area is None:
        return None
    return scene.area.digest()
