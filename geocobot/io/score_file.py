"""Rasters of scores, read strip by strip: what `ScoreWriter` has written, and others' scores."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.errors import RasterioError
from rasterio.windows import Window

from geocobot.classes import MAX_CLASSES, ClassSpec, name_classes
from geocobot.errors import BandError
from geocobot.grid import GeoGrid
from geocobot.io.cache import bounded_cache
from geocobot.io.opening import check_path, open_dataset, unreadable_part
from geocobot.io.remote import patiently
from geocobot.io.scores import BLOCK_PX, CLASS_TAG, COLOR_TAG, THRESHOLD_TAG
from geocobot.io.source import alpha_band, grid_of
from geocobot.steps import NODATA, SCORE_SCALE
from geocobot.tiling import Strip

_LOG = logging.getLogger("geocobot.io")

_HAIR = 1e-3
"""How far beyond 0 and 1 rounding and resampling leave scores."""


@dataclass(frozen=True)
class ScoreFile:
    """A raster of scores.

    Attributes:
        path: file name, URL or GDAL name.
        grid: north-up grid of its pixels.
        classes: one per band that is read, with the thresholds that the file says, or 0.5.
        bands: their numbers.
        in_steps: whether values are steps, as geocobot writes them, and not scores from 0 to 1.
        nodata: value without data of the first band, or None.
        flipped: whether the file runs from south to north.
    """

    path: str
    grid: GeoGrid
    classes: tuple[ClassSpec, ...]
    bands: tuple[int, ...]
    in_steps: bool
    nodata: float | None
    flipped: bool

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
        source = open_dataset(str(path))
        try:
            alpha = alpha_band(source)
            bands = tuple(b for b in range(1, source.count + 1) if b != alpha)
            in_steps = _are_steps(source, bands, path)
            grid, flipped = grid_of(source, path)
            return cls(
                path=str(path),
                grid=grid,
                classes=_classes_of(source, bands),
                bands=bands,
                in_steps=in_steps,
                nodata=source.nodatavals[bands[0] - 1],
                flipped=flipped,
            )
        finally:
            source.close()

    def strips(self) -> Iterator[Strip]:
        """All of it, top to bottom, in strips of at most `BLOCK_PX` rows.

        Raises:
            UnreadableFileError: the file is truncated or corrupt.
            BandError: a value is no score.
        """
        source = open_dataset(self.path)
        try:
            for row in range(0, self.grid.height, BLOCK_PX):
                rows = min(BLOCK_PX, self.grid.height - row)
                yield self._strip(source, row, rows)
        finally:
            source.close()

    def _strip(self, source: Any, row: int, rows: int) -> Strip:
        """The rows from one on."""
        first = self.grid.height - row - rows if self.flipped else row
        window = Window(0, first, self.grid.width, rows)
        try:
            values, masked = patiently(self.path, partial(self._read, source, window))
        except RasterioError as error:
            raise unreadable_part(self.path, window, error) from error
        if self.flipped:
            values, masked = values[:, ::-1], masked[::-1]
        if self.in_steps:
            # All classes have data where one has.
            missing = masked | (values == NODATA).any(axis=0)
            return Strip(row, np.where(missing, np.uint8(NODATA), values))
        valid = np.isfinite(values).all(axis=0) & ~masked
        known = values[:, valid]
        if known.size and (known.min() < -_HAIR or known.max() > 1 + _HAIR):
            worst = known.max() if known.max() > 1 else known.min()
            raise self._no_scores(f"holds {worst:g} in rows {row} to {row + rows}")
        scores = np.where(valid, values, 0).clip(0, 1).astype(np.float32)
        return Strip.of(row, scores, valid)

    def _read(
        self,
        source: Any,
        window: Window,
        failed: int,  # noqa: ARG002 # GDAL asks again by itself
    ) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]:
        """Values (K, h, W), and where (h, W) the file's mask or nodata hides any of them."""
        with bounded_cache(source, window.height):
            values = source.read(list(self.bands), window=window)
            masks = source.read_masks(list(self.bands), window=window)
        return values, (masks == 0).any(axis=0)

    def _no_scores(self, found: str) -> BandError:
        """What to say of values that are none."""
        return BandError(
            self.path,
            found,
            "Scores are numbers from 0 to 1, as probabilities are",
            "Bring them there first, such as with the raster calculator of QGIS",
        )

    def named_as(self, classes: tuple[ClassSpec, ...], model: str) -> ScoreFile:
        """The same with the classes of a model.

        Raises:
            BandError: there is not a band for each.
        """
        if len(classes) != len(self.bands):
            raise BandError(
                self.path,
                f"has {len(self.bands)} band{'s' if len(self.bands) > 1 else ''}, and {model} "
                f"{len(classes)} class{'es' if len(classes) > 1 else ''}",
                "A band holds the scores of a class",
                "Name the model that the scores come from, or leave --model out",
            )
        return replace(self, classes=classes)


def _are_steps(source: Any, bands: tuple[int, ...], path: str | Path) -> bool:
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
    scales = {round(1 / s) if s else 0 for s in (source.scales[b - 1] for b in bands)}
    if kinds == {"uint8"} and scales == {SCORE_SCALE}:
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
