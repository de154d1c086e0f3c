"""Scores and classes as cloud-optimized GeoTIFFs, written strip by strip."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio._err import CPLE_BaseError  # what `copy` raises
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.shutil import copy
from rasterio.windows import Window

from geocobot.classes import ClassSpec
from geocobot.config.values import ScoresDtype
from geocobot.errors import OutputError
from geocobot.grid import GeoGrid
from geocobot.io.remote import reason
from geocobot.io.styles import Origin
from geocobot.io.unfinished import reveal
from geocobot.steps import NODATA, SCORE_SCALE
from geocobot.tiling import Strip

BLOCK_PX = 512
"""Side of the file's blocks; so many rows wait in memory until their blocks are whole."""

CLASS_TAG, COLOR_TAG, THRESHOLD_TAG = "CLASS", "COLOR", "THRESHOLD"
"""Of a band of scores: number, color and threshold of its class."""

PLANE_TAG, INTERIOR_PLANE = "PLANE", "interior"
"""Of the last band, where it is of the insides of single objects and of no class."""

INTERIOR_NAME = "inside of an object"

_LAST_STEP = {"GDAL_CACHEMAX": 64 * 2**20, "GDAL_NUM_THREADS": "ALL_CPUS"}
"""While a finished file is copied and read again. GDAL would keep 5 % of all memory, and use one
core where all are free by then; the bytes are the same."""


class _RasterWriter(ABC):
    """Collects strips of any height into whole block rows, so that no block is written twice.

    The head of a cloud-optimized GeoTIFF says where everything after it lies, overviews included,
    and can be written at the end only: the rows wait in a plain GeoTIFF beside the file.

    Args:
        path: file to write.
        grid: the whole raster.
        n_bands: planes per pixel.
        unfinished: where to write, if the file gets its name later.
        dtype: of the values.
    """

    def __init__(
        self,
        path: str | Path,
        grid: GeoGrid,
        n_bands: int,
        unfinished: str | Path | None,
        dtype: ScoresDtype = "uint8",
    ) -> None:
        self._path = Path(path)
        self._file = self._path if unfinished is None else Path(unfinished)
        self._stage = self._file.with_name(f"{self._file.stem}.stage.tif")
        self._grid = grid
        self._written = 0
        self._held = 0
        self._block_row = np.empty((n_bands, BLOCK_PX, grid.width), dtype=dtype)
        self._checksums: list[int] = []
        self._dataset: Any = None

    def __enter__(self) -> Self:
        """Create the file."""
        try:
            self._dataset = rasterio.open(self._stage, "w", **self._profile())
        except RasterioIOError as error:
            raise self._cannot_write(error) from error
        self._describe(self._dataset)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file and check it, unless an error is on its way.

        Raises:
            ValueError: rows are missing.
            OutputError: the file on the disk is not what was written.
        """
        try:
            try:
                if kind is None:
                    self._finish()
            finally:
                self._dataset.close()
            if kind is None:
                self._optimize()
                self._check_whole()
        finally:
            self._stage.unlink(missing_ok=True)

    @abstractmethod
    def _describe(self, dataset: Any) -> None:
        """Write names and colors into the file's head."""

    def _append(self, row_off: int, planes: npt.NDArray[np.generic]) -> None:
        """Take the next rows (B, h, W); write every block row that they complete."""
        if row_off != self._written + self._held:
            raise ValueError(f"row {row_off} after row {self._written + self._held}")
        while planes.shape[1]:
            taken = min(BLOCK_PX - self._held, planes.shape[1])
            self._block_row[:, self._held : self._held + taken] = planes[:, :taken]
            self._held += taken
            planes = planes[:, taken:]
            if self._held == BLOCK_PX:
                self._flush()

    def _flush(self) -> None:
        """Write the rows held back."""
        planes = self._block_row[:, : self._held]
        try:
            self._dataset.write(planes, window=self._rows_at(self._written))
        except RasterioIOError as error:
            raise self._cannot_write(error) from error
        self._checksums.append(_checksum(planes))
        self._written += self._held
        self._held = 0

    def _finish(self) -> None:
        """Write the last, lower block row."""
        if self._held:
            self._flush()
        if self._written != self._grid.height:
            raise ValueError(f"{self._written} of {self._grid.height} rows were written")

    def _optimize(self) -> None:
        """Copy the finished rows into a cloud-optimized file, overviews and all."""
        try:
            with rasterio.Env(**_LAST_STEP):
                copy(
                    self._stage,
                    self._file,
                    driver="COG",
                    blocksize=BLOCK_PX,
                    compress="DEFLATE",
                    # Scores are noisy: the usual level takes twice the time for 2 % less
                    # (benchmarks/packing.py).
                    level="1",
                    overviews="AUTO",
                    # A compressed file's size is not known beforehand: past 4 GB only BigTIFF
                    # goes on.
                    bigtiff="IF_SAFER",
                    **self._optimization(),
                )
        except (RasterioError, CPLE_BaseError) as error:
            raise self._cannot_write(error) from error

    @abstractmethod
    def _optimization(self) -> dict[str, str]:
        """How values are compressed, and made coarser for overviews."""

    def _check_whole(self) -> None:
        """Read the closed file again.

        GDAL keeps blocks in memory and may write all of them only when the file is closed;
        rasterio does not say if that fails.
        """
        try:
            with (
                rasterio.Env(**_LAST_STEP),
                rasterio.open(self._file) as dataset,
            ):
                is_whole = all(
                    _checksum(dataset.read(window=self._rows_at(i * BLOCK_PX))) == checksum
                    for i, checksum in enumerate(self._checksums)
                )
        except RasterioError as error:
            raise self._cannot_write("parts of it did not reach the disk") from error
        if not is_whole:
            raise self._cannot_write("parts of it did not reach the disk")

    def _rows_at(self, row_off: int) -> Window:
        """The block row that begins there; the last one may be lower."""
        return Window(0, row_off, self._grid.width, min(BLOCK_PX, self._grid.height - row_off))

    def _profile(self) -> dict[str, Any]:
        """What rasterio needs to know of the file."""
        return {
            "driver": "GTiff",
            "dtype": self._block_row.dtype.name,
            "count": self._block_row.shape[0],
            "height": self._grid.height,
            "width": self._grid.width,
            "crs": self._grid.crs.to_wkt(),
            "transform": self._grid.transform,
            "nodata": NODATA,
            "tiled": True,
            "blockxsize": BLOCK_PX,
            "blockysize": BLOCK_PX,
            "interleave": "band",
            # GDAL takes the fourth of four bands for alpha unasked.
            "photometric": "MINISBLACK",
            # Read by nobody else: four times as fast as DEFLATE's lowest level, for a tenth more
            # (benchmarks/packing.py).
            "compress": "ZSTD",
            "zstd_level": 1,
            "BIGTIFF": "IF_SAFER",
        }

    def _cannot_write(self, error: Exception | str) -> OutputError:
        """The error for a full disk or a missing permission."""
        found = error if isinstance(error, str) else reason(error)
        return OutputError(
            self._path,
            f"cannot be written ({reveal(found, self._path)})",
            "The raster needs room and write permission there",
            "Free some space, or choose another folder with -o",
        )


class ScoreWriter(_RasterWriter):
    """Writes scores, one band per class: uint8, 0 to 254 for 0 to 1, 255 without data; or float32.

    Args:
        path: file to write; an existing one is replaced.
        grid: the whole raster.
        classes: K classes; their names become the bands' descriptions.
        unfinished: where to write, if the file gets its name later; messages name `path`.
        dtype: uint8, or float32 for 0 to 1 with NaN without data.
        origin: what they were made of; the file hands it on to polygons.
        separate: whether strips have a plane of the insides of single objects, for the last band.

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
    ) -> None:
        super().__init__(path, grid, len(classes) + separate, unfinished, dtype)
        self._classes = tuple(classes)
        self._origin = origin or Origin()
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
        if not self._is_exact:
            dataset.scales = (1 / SCORE_SCALE,) * len(names)


class ClassWriter(_RasterWriter):
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


def _checksum(planes: npt.NDArray[np.generic]) -> int:
    """A number that tells planes apart."""
    return zlib.crc32(np.ascontiguousarray(planes).data)
