"""Scores and classes as cloud-optimized GeoTIFFs, written strip by strip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from geocobot.classes import ClassSpec
from geocobot.config.values import ScoresDtype
from geocobot.grid import GeoGrid
from geocobot.io.raster_writer import RasterWriter
from geocobot.io.styles import Origin
from geocobot.scaling import Scaling
from geocobot.steps import SCORE_SCALE
from geocobot.tiling import Strip

CLASS_TAG, COLOR_TAG, THRESHOLD_TAG = "CLASS", "COLOR", "THRESHOLD"
"""Of a band of scores: number, color and threshold of its class."""

TEMPERATURE_TAG, BIAS_TAG = "TEMPERATURE", "BIAS"
"""Of a band of scores: what its logits were divided by before this was added."""

PLANE_TAG, INTERIOR_PLANE = "PLANE", "interior"
"""Of the last band, where it is of the insides of single objects and of no class."""

INTERIOR_NAME = "inside of an object"


class ScoreWriter(RasterWriter):
    """Writes scores, one band per class: uint8, 0 to 254 for 0 to 1, 255 without data; or float32.

    Args:
        path: file to write; an existing one is replaced.
        grid: the whole raster.
        classes: K classes; their names become the bands' descriptions.
        unfinished: where to write, if the file gets its name later; messages name `path`.
        dtype: uint8, or float32 for 0 to 1 with NaN without data.
        origin: what they were made of; the file hands it on to polygons.
        separate: whether strips have a plane of the insides of single objects, for the last band.
        scaling: what has been done to the scores of each class, or none.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        grid: GeoGrid,
        classes: Sequence[ClassSpec],
        *,
        unfinished: str | Path | None = None,
        dtype: ScoresDtype = "uint8",
        origin: Origin | None = None,
        separate: bool = False,
        scaling: Sequence[Scaling] = (),
    ) -> None:
        super().__init__(path, grid, len(classes) + separate, unfinished, dtype)
        self._classes = tuple(classes)
        self._origin = origin or Origin()
        self._scaling = tuple(scaling)
        self._separate = separate
        self._is_exact = dtype == "float32"

    def write(self, strip: Strip) -> None:
        """Append the next strip.

        Raises:
            ValueError: the strip does not follow the one before, or has not the digits.
            OutputError: the file cannot be written.
        """
        planes = strip.exact if self._is_exact else strip.steps
        if planes is None:
            raise ValueError("a strip without exact scores cannot be written as float32")
        self._append(strip.row_off, planes)

    def _profile(self) -> dict[str, Any]:
        """What has no data is NaN where that exists."""
        return super()._profile() | ({"nodata": float("nan")} if self._is_exact else {})

    def _optimization(self) -> dict[str, str]:
        """Neighbouring scores are alike: differences compress better, and means make sense."""
        return {"predictor": "YES", "overview_resampling": "AVERAGE"}

    def _describe(self, dataset: Any) -> None:
        """Name the bands and say how to get back to scores."""
        dataset.update_tags(**self._origin.tags())
        names = [c.name for c in self._classes]
        if self._separate:
            names.append(INTERIOR_NAME)
            dataset.update_tags(len(names), **{PLANE_TAG: INTERIOR_PLANE})
        dataset.descriptions = tuple(names)
        for band, spec in enumerate(self._classes, start=1):
            tags = {CLASS_TAG: spec.number, COLOR_TAG: spec.color, THRESHOLD_TAG: spec.threshold}
            dataset.update_tags(band, **tags)
        for band, scaled in enumerate(self._scaling, start=1):
            tags = {TEMPERATURE_TAG: scaled.temperature, BIAS_TAG: scaled.bias}
            dataset.update_tags(band, **tags)
        if not self._is_exact:
            dataset.scales = (1 / SCORE_SCALE,) * len(names)


class ClassWriter(RasterWriter):
    """Writes class numbers as uint8 with a color table; 0 is background, 255 without data.

    Args:
        path: file to write; an existing one is replaced.
        grid: the whole raster.
        classes: their colors make the color table, their names the file's tags.
        unfinished: where to write, if the file gets its name later; messages name `path`.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        grid: GeoGrid,
        classes: Sequence[ClassSpec],
        *,
        unfinished: str | Path | None = None,
    ) -> None:
        super().__init__(path, grid, 1, unfinished)
        self._classes = tuple(classes)

    def write(self, row_off: int, labels: npt.NDArray[np.uint8]) -> None:
        """Append the next rows.

        Args:
            row_off: first row, in pixels of the grid.
            labels: (h, W) uint8 class numbers.

        Raises:
            ValueError: the rows do not follow the ones before.
            OutputError: the file cannot be written.
        """
        self._append(row_off, labels[None])

    def _optimization(self) -> dict[str, str]:
        """Between class numbers there is nothing."""
        return {"overview_resampling": "MODE"}

    def _profile(self) -> dict[str, Any]:
        """Viewers take the colors from the table only if the file says so."""
        return super()._profile() | {"photometric": "PALETTE"}

    def _describe(self, dataset: Any) -> None:
        """Write the color table and the names of the classes."""
        # A TIFF's color table has no alpha: the background is transparent by `class_raster_qml`.
        dataset.write_colormap(1, {c.number: (*c.rgb, 255) for c in self._classes})
        dataset.set_band_description(1, "class")
        dataset.update_tags(1, **{f"CLASS_{c.number}": c.name for c in self._classes})
