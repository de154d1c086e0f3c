"""Rasters of scores, read strip by strip: what `ScoreWriter` has written, and others' scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.windows import Window

from geocobot.classes import MAX_CLASSES, ClassSpec, name_classes
from geocobot.errors import BandError
from geocobot.grid import GeoGrid
from geocobot.io.opening import check_path, look_at
from geocobot.io.raster_writer import BLOCK_PX
from geocobot.io.scene import Scene
from geocobot.io.scores import (
    BIAS_TAG,
    CLASS_TAG,
    COLOR_TAG,
    INTERIOR_NAME,
    INTERIOR_PLANE,
    PLANE_TAG,
    TEMPERATURE_TAG,
    THRESHOLD_TAG,
)
from geocobot.io.source import alpha_band
from geocobot.io.styles import Origin
from geocobot.scaling import Scaling
from geocobot.steps import NODATA, SCORE_SCALE
from geocobot.tiling import Strip

_HAIR = 1e-3
"""How far beyond 0 and 1 rounding and resampling leave scores."""


@dataclass(frozen=True)
class ScoreFile:
    """A raster of scores.

    Attributes:
        scene: the raster, with a band for each class, and one of the insides of single objects
            where it has one.
        classes: with the thresholds that the file says, or 0.5.
        in_steps: whether values are steps, as geocobot writes them, and not scores from 0 to 1.
        origin: what they were made of, as far as the file says.
        scaling: what has been done to the scores of each class; none where the file does not say.
    """

    scene: Scene
    classes: tuple[ClassSpec, ...]
    in_steps: bool
    origin: Origin = field(default_factory=Origin)
    scaling: tuple[Scaling, ...] = ()

    @property
    def separates(self) -> bool:
        """Whether there is a band of the insides of single objects, the last one."""
        return len(self.scene.bands) > len(self.classes)

    def of_classes(self) -> ScoreFile:
        """The same without a band of the insides of single objects."""
        n = len(self.classes)
        scene = replace(
            self.scene,
            bands=self.scene.bands[:n],
            band_names=self.scene.band_names[:n],
            band_nodata=self.scene.band_nodata[:n],
        )
        return replace(self, scene=scene)

    @classmethod
    def open(cls, path: str | Path) -> ScoreFile:
        """Look at a raster and check that it can hold scores.

        Args:
            path: file name, URL or GDAL name.

        Raises:
            MissingFileError: there is no such file.
            UnreadableFileError: GDAL cannot open it.
            BandError: its values are no scores, or there are too many bands.
            CrsError: it has no CRS.
            GridError: it has no geotransform, or a rotated one.
        """
        check_path(path, "SCORES")
        said = look_at(str(path), lambda source: _said(source, path))
        # A model reads few bands, and so `Scene.open` allows few.
        first = Scene.open(path, bands=said.bands[:1])
        names = [spec.name for spec in said.classes]
        scene = replace(
            first,
            bands=said.bands,
            band_names=(*names, INTERIOR_NAME)[: len(said.bands)],
            band_nodata=said.nodata,
        )
        return cls(scene, said.classes, said.in_steps, said.origin, said.scaling)

    @property
    def path(self) -> str:
        """File name, URL or GDAL name."""
        return self.scene.path

    @property
    def grid(self) -> GeoGrid:
        """North-up grid of the pixels."""
        return self.scene.grid

    def strips(self) -> Iterator[Strip]:
        """All of it, top to bottom, in strips of at most `BLOCK_PX` rows.

        Raises:
            UnreadableFileError: the file is truncated or corrupt.
            BandError: a value is no score.
        """
        height, width = self.grid.shape
        try:
            for row in range(0, height, BLOCK_PX):
                yield self._strip(Window(0, row, width, min(BLOCK_PX, height - row)))
        finally:
            self.scene.close()

    def _strip(self, window: Window) -> Strip:
        """Full-width rows."""
        patch = self.scene.read(window)
        if self.in_steps:
            steps = np.where(patch.valid, patch.image, np.uint8(NODATA)).astype(np.uint8)
            return Strip(window.row_off, steps)
        known = patch.image[:, patch.valid].astype(np.float32)
        if known.size and (known.min() < -_HAIR or known.max() > 1 + _HAIR):
            worst = known.max() if known.max() > 1 else known.min()
            raise BandError(
                self.path,
                f"holds {worst:g} in rows {window.row_off} to {window.row_off + window.height}",
                "Scores are numbers from 0 to 1, as probabilities are",
                "Bring them there first, such as with the raster calculator of QGIS",
            )
        scores = np.where(patch.valid, patch.image, 0).clip(0, 1).astype(np.float32)
        return Strip.of(window.row_off, scores, patch.valid)

    def named_as(self, classes: tuple[ClassSpec, ...], model: str) -> ScoreFile:
        """The same with the classes of a model.

        Args:
            classes: one for each band.
            model: the file's name, for messages.

        Raises:
            BandError: there is not a band for each.
        """
        if len(classes) != len(self.classes):
            raise BandError(
                self.path,
                f"has {len(self.classes)} band{'s' if len(self.classes) > 1 else ''}, and {model} "
                f"{len(classes)} class{'es' if len(classes) > 1 else ''}",
                "A band holds the scores of a class",
                "Name the model that the scores come from, or leave --model out",
            )
        return replace(self, classes=classes)


@dataclass(frozen=True)
class _Said:
    """What a file says of its bands."""

    bands: tuple[int, ...]
    classes: tuple[ClassSpec, ...]
    nodata: tuple[float | None, ...]
    in_steps: bool
    origin: Origin
    scaling: tuple[Scaling, ...]


def _said(source: Any, path: str | Path) -> _Said:
    """What an open file says of the bands that hold scores."""
    bands = score_bands(source)
    in_steps = _check_kind(source, bands, path)
    nodata = tuple(source.nodatavals[b - 1] for b in bands)
    is_last_inside = source.tags(bands[-1]).get(PLANE_TAG) == INTERIOR_PLANE
    of_classes = bands[:-1] if is_last_inside and len(bands) > 1 else bands
    origin = Origin.of_tags(source.tags())
    classes, scaling = _classes_of(source, of_classes), _scaling_of(source, of_classes)
    return _Said(bands, classes, nodata, in_steps, origin, scaling)


def score_bands(source: Any) -> tuple[int, ...]:
    """The bands of an open file, without the one that says where there is data."""
    alpha = alpha_band(source)
    return tuple(b for b in range(1, source.count + 1) if b != alpha)


def are_steps(source: Any, bands: tuple[int, ...]) -> bool:
    """Whether bands of an open file hold scores as geocobot writes them."""
    kinds = {source.dtypes[b - 1] for b in bands}
    scales = {round(1 / s) if s else 0 for s in (source.scales[b - 1] for b in bands)}
    return kinds == {"uint8"} and scales == {SCORE_SCALE}


def _check_kind(source: Any, bands: tuple[int, ...], path: str | Path) -> bool:
    """Whether values are whole steps; refuse those that are neither steps nor scores."""
    if not 1 <= len(bands) <= MAX_CLASSES:
        raise BandError(
            path,
            f"has {len(bands)} bands of numbers",
            f"A raster of scores has one per class, 1 to {MAX_CLASSES}",
            "Choose another raster",
        )
    kinds = {source.dtypes[b - 1] for b in bands}
    if all(np.dtype(kind).kind == "f" for kind in kinds):
        return False
    if are_steps(source, bands):
        return True
    raise BandError(
        path,
        f"holds {' and '.join(sorted(kinds))} values",
        "Scores are numbers from 0 to 1 (float32), or what geocobot predict --save-scores writes",
        "Divide them by their largest, such as with: gdal_calc.py -A scores.tif "
        "--outfile=shares.tif --type=Float32 --calc='A/255.0'",
    )


def _classes_of(source: Any, bands: tuple[int, ...]) -> tuple[ClassSpec, ...]:
    """The classes that a file names, by the tags of its bands or their descriptions."""
    names = [source.descriptions[b - 1] or f"band {b}" for b in bands]
    if len(set(names)) < len(names):
        names = [f"band {b}" for b in bands]
    named = name_classes(names)
    try:
        tagged = tuple(_tagged(spec, source.tags(b)) for spec, b in zip(named, bands, strict=True))
    except (KeyError, ValueError):  # none, or others of these names
        return named
    return tagged if len({spec.number for spec in tagged}) == len(tagged) else named


def _tagged(spec: ClassSpec, tags: Mapping[str, str]) -> ClassSpec:
    """A class as a band's tags describe it."""
    return replace(
        spec,
        number=int(tags[CLASS_TAG]),
        color=tags[COLOR_TAG],
        threshold=float(tags[THRESHOLD_TAG]),
    )


def _scaling_of(source: Any, bands: tuple[int, ...]) -> tuple[Scaling, ...]:
    """What has been done to the scores of each band, by its tags."""
    try:
        said = [(tags[TEMPERATURE_TAG], tags[BIAS_TAG]) for tags in map(source.tags, bands)]
        return tuple(Scaling(float(temperature), float(bias)) for temperature, bias in said)
    except (KeyError, ValueError):  # none, or others of these names
        return ()
