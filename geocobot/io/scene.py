"""Scenes: raster files opened lazily and read by window, with what is valid in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import MaskFlags
from rasterio.windows import Window

from geocobot.grid import GeoGrid
from geocobot.io.cache import bounded_cache
from geocobot.io.handles import Handles
from geocobot.io.opening import check_path, file_stem, look_at
from geocobot.io.patient import read_patiently
from geocobot.io.source import alpha_band, choose_bands, grid_of


@dataclass(frozen=True)
class Patch:
    """A window of a scene.

    Attributes:
        image: (C, H, W) values as in the file; 0 outside the scene.
        valid: (H, W), True where there is data.
        window: integer pixels of the scene's grid; may overhang it.
    """

    image: npt.NDArray[np.generic]
    valid: npt.NDArray[np.bool_]
    window: Window


@dataclass(frozen=True)
class Scene:
    """A raster file, open in every process that reads it.

    Pickles and forks freely: each process and thread opens its own handle when it first reads.

    A pixel is valid where alpha is above 0, the dataset's mask is set, and no band is NaN,
    infinite or nodata. In unsigned rasters nodata has to fill all bands: 0 in one of them is a
    dark color there, as it is for gdalwarp.

    Attributes:
        path: file name, URL or GDAL name.
        grid: north-up grid of the pixels.
        bands: numbers of the bands that are read, from 1; a band may be read several times.
        band_names: one per entry of `bands`; the file's description, or "band 3".
        dtype: NumPy name of the data type that holds all of them.
        band_nodata: value without data of each entry of `bands`, or None.
        flipped: whether the file runs from south to north and is turned while reading.
        alpha: number of the alpha band, or None.
        masked: whether the file brings a mask of its own.
    """

    path: str
    grid: GeoGrid
    bands: tuple[int, ...]
    band_names: tuple[str, ...]
    dtype: str
    band_nodata: tuple[float | None, ...]
    flipped: bool
    alpha: int | None
    masked: bool
    _handles: Handles = field(default_factory=Handles, repr=False, compare=False)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        bands: Sequence[int | str] | None = None,
        nodata: float | None = None,
        is_imagery: bool = True,
    ) -> Scene:
        """Look at a raster file and check that geocobot can work with it.

        Args:
            path: file name, URL or GDAL name.
            bands: numbers from 1, or names, of the bands to read; "all" alone for all; default the
                first three that are not alpha. If there is one, it is read three times, of two the
                second one twice.
            nodata: value without data; replaces what the file declares.
            is_imagery: whether values are light; else a color table is no reason to refuse them.

        Raises:
            MissingFileError: there is no such file.
            UnreadableFileError: it is a folder, or GDAL cannot open it.
            CrsError: it has no CRS, or one that does not fit its coordinates.
            GridError: it has no geotransform, or a rotated one.
            BandError: a band does not exist, is alpha, or holds no plain numbers.
        """
        check_path(path)

        def described(source: Any) -> Scene:
            alpha = alpha_band(source)
            chosen = choose_bands(source, path, alpha, bands, is_imagery=is_imagery)
            grid, flipped = grid_of(source, path)
            flags = [source.mask_flag_enums[b - 1] for b in chosen]
            declared = [source.nodatavals[b - 1] for b in chosen]
            return cls(
                path=str(path),
                grid=grid,
                bands=chosen,
                band_names=tuple(source.descriptions[b - 1] or f"band {b}" for b in chosen),
                dtype=np.result_type(*(source.dtypes[b - 1] for b in chosen)).name,
                band_nodata=tuple(declared if nodata is None else [nodata] * len(chosen)),
                flipped=flipped,
                alpha=alpha,
                masked=any(_has_own_mask(f, is_replaced=nodata is not None) for f in flags),
            )

        return look_at(str(path), described)

    def seen_on(self, grid: GeoGrid) -> dict[str, Any]:
        """What a scene on another grid has in common with this one, as keywords."""
        shared = {f.name: getattr(self, f.name) for f in fields(Scene) if f.name != "_handles"}
        return shared | {"grid": grid}

    @property
    def name(self) -> str:
        """File name without folder and extension."""
        return file_stem(self.path)

    @property
    def parts(self) -> tuple[Scene, ...]:
        """The scenes in their files that this one is made of."""
        return (self,)

    @property
    def nodata(self) -> float | None:
        """Value without data of the first band that has one."""
        return next((v for v in self.band_nodata if v is not None), None)

    def read(self, window: Window) -> Patch:
        """Read a window at full resolution.

        Args:
            window: integer pixels of `grid`; may overhang it, even lie outside.

        Returns:
            The patch, padded with 0 and not valid where the window leaves the scene.

        Raises:
            UnreadableFileError: the file is truncated or corrupt within the window.
        """
        height, width = int(window.height), int(window.width)
        image = np.zeros((len(self.bands), height, width), dtype=self.dtype)
        valid = np.zeros((height, width), dtype=np.bool_)
        inside = self.grid.clip(window)
        if inside is not None:
            row, col = int(inside.row_off - window.row_off), int(inside.col_off - window.col_off)
            rows = slice(row, row + int(inside.height))
            cols = slice(col, col + int(inside.width))
            image[:, rows, cols], valid[rows, cols] = self.read_inside(inside)
        return Patch(image, valid, window)

    def expect(self, window: Window) -> None:
        """Say that windows within the rows of this one are read next.

        Args:
            window: integer pixels of `grid`; may overhang it.
        """

    def close(self) -> None:
        """Close this process's handles; the next read opens the file again."""
        self._handles.close()

    def read_inside(self, window: Window) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]:
        """Image (C, H, W) and validity (H, W) of a window that lies on the grid."""
        if self.flipped:
            row_off = self.grid.height - window.row_off - window.height
            window = Window(window.col_off, row_off, window.width, window.height)
        read = partial(self._read_file, window=window)
        image, valid = read_patiently(self._handles, self.path, window, read)
        return (image[:, ::-1], valid[::-1]) if self.flipped else (image, valid)

    def _read_file(
        self, source: Any, window: Window
    ) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]:
        """Image (C, H, W) and validity (H, W) of a window in the rows of the open file."""
        with bounded_cache(source, window.height):
            # One by one: rasterio refuses to read bands of several types together.
            image = np.stack(
                [source.read(b, window=window, out_dtype=self.dtype) for b in self.bands]
            )
            valid = has_data(image, self.band_nodata)
            if self.alpha is not None:
                valid &= source.read(self.alpha, window=window) > 0
            if self.masked:
                valid &= (source.read_masks(list(self.bands), window=window) > 0).all(axis=0)
        return image, valid


def _has_own_mask(flags: Sequence[MaskFlags], *, is_replaced: bool) -> bool:
    """Whether a band has a mask that is neither alpha nor its nodata, or that of all bands.

    Args:
        flags: of the band; none says that it has a mask of its own.
        is_replaced: whether another value is nodata than the file declares.
    """
    if MaskFlags.per_dataset not in flags:
        return not flags
    return MaskFlags.alpha not in flags and not (is_replaced and MaskFlags.nodata in flags)


def has_data(
    image: npt.NDArray[np.generic], nodata: Sequence[float | None]
) -> npt.NDArray[np.bool_]:
    """Where (H, W) no band is NaN, infinite or nodata; unsigned: where not all are nodata."""
    missing: npt.NDArray[np.bool_] = ~np.isfinite(image)
    for i, value in enumerate(nodata):
        if value is not None:
            # Compared in the file's type: a float32 nodata is not its float64 spelling, and
            # -1.8e308 is infinite there.
            with np.errstate(over="ignore"):
                missing[i] |= image[i] == value
    together = missing.all(axis=0) if image.dtype.kind == "u" else missing.any(axis=0)
    return ~np.asarray(together)
