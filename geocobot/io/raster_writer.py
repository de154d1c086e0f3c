"""Cloud-optimized GeoTIFFs, written strip by strip."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
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

from geocobot.config.values import ScoresDtype
from geocobot.errors import OutputError
from geocobot.grid import GeoGrid
from geocobot.io.remote import reason
from geocobot.io.unfinished import reveal
from geocobot.steps import NODATA

BLOCK_PX = 512
"""Side of the file's blocks; so many rows wait in memory until their blocks are whole."""

_LAST_STEP = {"GDAL_CACHEMAX": 64 * 2**20, "GDAL_NUM_THREADS": "ALL_CPUS"}
"""While a finished file is copied and read again. GDAL would keep 5 % of all memory, and use one
core where all are free by then; the bytes are the same."""


class RasterWriter(ABC):
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


def _checksum(planes: npt.NDArray[np.generic]) -> int:
    """A number that tells planes apart."""
    return zlib.crc32(np.ascontiguousarray(planes).data)
