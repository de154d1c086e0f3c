"""Images as GeoTIFFs: scenes that were made, not taken."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio._err import CPLE_BaseError  # what closing raises
from rasterio.errors import RasterioError

from geocobot.errors import OutputError
from geocobot.grid import GeoGrid
from geocobot.io.output import new_file
from geocobot.io.remote import reason
from geocobot.io.unfinished import reveal

_COLOR_BANDS = 3
_MIN_TILED_PX = 16
"""GeoTIFF tiles have sides that are multiples of 16."""


def write_image(
    path: str | Path,
    image: npt.NDArray[np.generic],
    grid: GeoGrid,
    *,
    band_names: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Write an image as a tiled, compressed GeoTIFF.

    Args:
        path: file to write.
        image: (C, H, W), any dtype that GeoTIFF knows; three bands of uint8 are colors.
        grid: where the image lies, H x W pixels.
        band_names: one per band, or none.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: the file exists and may not be replaced, or cannot be written.
    """
    if image.shape[1:] != grid.shape:
        raise ValueError(f"image {image.shape} does not fit the grid {grid.shape}")
    is_color = image.shape[0] == _COLOR_BANDS and image.dtype == np.uint8
    profile = {
        "driver": "GTiff",
        "dtype": image.dtype.name,
        "count": image.shape[0],
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs.to_wkt(),
        "transform": grid.transform,
        "tiled": min(grid.shape) >= _MIN_TILED_PX,
        "compress": "DEFLATE",
        "predictor": 3 if image.dtype.kind == "f" else 2,
        "photometric": "RGB" if is_color else "MINISBLACK",
        "BIGTIFF": "IF_SAFER",
    }
    with new_file(path, overwrite=overwrite) as unfinished:
        try:
            with rasterio.open(unfinished, "w", **profile) as sink:
                sink.write(image)
                for number, name in enumerate(band_names, start=1):
                    sink.set_band_description(number, name)
            is_whole = _is_whole(unfinished, image)
        except (RasterioError, CPLE_BaseError) as error:
            raise _cannot_write(path, reveal(reason(error), path)) from error
        if not is_whole:
            raise _cannot_write(path, "parts of it did not reach the disk")


def _is_whole(file: Path, image: npt.NDArray[np.generic]) -> bool:
    """Whether a closed file holds an image: rasterio does not say if the last blocks fail."""
    with rasterio.open(file) as source:
        return all(
            np.array_equal(source.read(i), band, equal_nan=band.dtype.kind == "f")
            for i, band in enumerate(image, start=1)
        )


def _cannot_write(path: str | Path, found: str) -> OutputError:
    """The error for a full disk or a missing permission."""
    return OutputError(
        path,
        f"cannot be written ({found})",
        "The image needs room and write permission there",
        "Free some space, or choose another folder",
    )
