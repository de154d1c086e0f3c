"""Whether geocobot can work with what is in a raster file that is open: bands, values, place."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from affine import Affine
from pyproj import CRS
from pyproj.exceptions import CRSError as ProjError
from rasterio.enums import ColorInterp

from geocobot.errors import BandError, CrsError, GridError
from geocobot.grid import GeoGrid
from geocobot.io.opening import file_name

_LOG = logging.getLogger("geocobot.io")

N_INPUT_BANDS = 3
"""Bands that a model reads at least: SAM was trained on red, green and blue."""

MAX_BANDS = 14
"""Bands that a model reads at most."""

ALL_BANDS = "all"
"""In place of names of bands: every one that is not alpha."""


def enough_bands(bands: tuple[int | str, ...] | None) -> tuple[int | str, ...] | None:
    """The bands asked for; the last one again and again where a model needs more."""
    if bands is None or bands == (ALL_BANDS,):
        return bands
    return bands + bands[-1:] * (N_INPUT_BANDS - len(bands))


def alpha_band(source: Any) -> int | None:
    """The number of the first band flagged as alpha."""
    interpretation = source.colorinterp
    if ColorInterp.alpha not in interpretation:
        return None
    return int(interpretation.index(ColorInterp.alpha)) + 1


def choose_bands(
    source: Any,
    path: str | Path,
    alpha: int | None,
    bands: Sequence[int | str] | None,
    *,
    is_imagery: bool = True,
) -> tuple[int, ...]:
    """The bands asked for, checked, or the first three that are not alpha.

    Args:
        source: the open raster.
        path: its name, for messages.
        alpha: number of its alpha band.
        bands: numbers asked for, from 1, or names: the file's descriptions, or the colors that it
            says its bands have; `ALL_BANDS` alone for all. By default the first three. Where the
            file has fewer, one band is read three times, of two the second one twice.
        is_imagery: whether values are light; else a color table is no reason to refuse them.

    Raises:
        BandError: a band does not exist, is alpha, or holds no plain numbers, or there are more
            than a model reads.
    """
    data_bands = [b for b in range(1, source.count + 1) if b != alpha]
    if not data_bands:
        raise _no_band(source, path)
    if bands is None or list(bands) == [ALL_BANDS]:
        chosen = data_bands if bands else data_bands[:N_INPUT_BANDS]
        if len(chosen) < N_INPUT_BANDS:
            chosen += [chosen[-1]] * (N_INPUT_BANDS - len(chosen))
            _LOG.info(
                "%s has %d band%s besides alpha: the model reads bands %s.",
                file_name(path),
                len(data_bands),
                "s" if len(data_bands) > 1 else "",
                ", ".join(map(str, chosen)),
            )
    else:
        chosen = [_band_number(source, path, band) for band in bands]
        _check_bands(source, path, alpha, chosen)
    if len(chosen) > MAX_BANDS:
        raise BandError(
            path,
            f"is to be read with {len(chosen)} bands",
            f"A model reads {MAX_BANDS} at most",
            "Choose among them with --bands",
        )
    _check_values(source, path, chosen, is_imagery=is_imagery)
    return tuple(chosen)


def _band_number(source: Any, path: str | Path, band: int | str) -> int:
    """The number of a band asked for by number or by name."""
    if isinstance(band, int) or re.fullmatch(r"\s*-?\d+\s*", band):
        return int(band)
    wanted = band.strip().casefold()
    for names in (source.descriptions, [kind.name for kind in source.colorinterp]):
        found = [i for i, n in enumerate(names, start=1) if n and n.strip().casefold() == wanted]
        if len(found) == 1:
            return found[0]
    known = [f"{i} ({name})" if name else str(i) for i, name in enumerate(source.descriptions, 1)]
    raise BandError(
        path,
        f"has no band named {band!r}, or several of them",
        f"Its bands are {', '.join(known)}",
        "Choose among them with --bands, by number or by name",
    )


def _no_band(source: Any, path: str | Path) -> BandError:
    """What to say of a raster without bands: NetCDF and HDF keep them one level deeper."""
    if source.subdatasets:
        return BandError(
            path,
            f"has no bands of its own but {len(source.subdatasets)} subdatasets",
            "geocobot reads one raster at a time",
            f"Name one of them, such as --raster '{source.subdatasets[0]}'",
        )
    return BandError(
        path,
        "has no band with data",
        "geocobot reads rasters with one band or more",
        "Choose another raster",
    )


def _check_bands(source: Any, path: str | Path, alpha: int | None, chosen: Sequence[int]) -> None:
    """Refuse bands that the file does not have, and alpha."""
    known = f"It has bands 1 to {source.count}" if source.count > 1 else "It has band 1 only"
    if alpha is not None:
        known += f", of which {alpha} is alpha"
    missing = [b for b in chosen if not 1 <= b <= source.count]
    if missing or not chosen:
        raise BandError(
            path,
            f"has no band {missing[0]}" if missing else "is to be read without any band",
            known,
            "Choose among them with --bands",
        )
    if alpha in chosen:
        raise BandError(
            path,
            f"has alpha in band {alpha}, which says where there is data",
            known,
            f"Choose other --bands, or if it is imagery in truth: "
            f"gdal_edit.py -colorinterp_{alpha} undefined {path}",
        )


def _check_values(
    source: Any, path: str | Path, chosen: Sequence[int], *, is_imagery: bool
) -> None:
    """Refuse color tables and complex numbers, which no percentile can scale."""
    for band in chosen:
        if is_imagery and source.colorinterp[band - 1] is ColorInterp.palette:
            raise BandError(
                path,
                f"has a color table in band {band}",
                "geocobot needs colors, not numbers of colors",
                f"Expand it once with: gdal_translate -expand rgb {path} rgb.tif",
            )
        if "complex" in source.dtypes[band - 1]:
            raise BandError(
                path,
                f"has complex numbers ({source.dtypes[band - 1]}) in band {band}",
                "geocobot needs real values",
                "Convert it to amplitude or intensity first",
            )


def grid_of(source: Any, path: str | Path, *, resampling: str = "cubic") -> tuple[GeoGrid, bool]:
    """The north-up grid of a file, and whether its rows have to be turned.

    Args:
        source: the open raster.
        path: its name, for messages.
        resampling: gdalwarp's name for how a raster of its kind is warped, for messages.

    Raises:
        CrsError: it has no CRS, or one that does not fit its coordinates.
        GridError: it has no geotransform, or a rotated one.
    """
    if source.transform == Affine.identity():
        _refuse_unplaced(source, path, resampling)
    if source.crs is None:
        raise CrsError(
            path,
            "has no CRS",
            "geocobot needs one to know where it lies and how large its pixels are",
            f"Set it in QGIS and save again, or run: gdal_edit.py -a_srs EPSG:<code> {path}",
        )
    try:
        crs = CRS.from_user_input(source.crs)
    except ProjError as error:
        raise CrsError(
            path,
            f"has a CRS that PROJ does not understand ({error})",
            "geocobot needs a known CRS",
            f"Set the right one: gdal_edit.py -a_srs EPSG:<code> {path}",
        ) from error
    if crs.geodetic_crs is None:
        raise CrsError(
            path,
            f"has the local CRS {crs.name}",
            "geocobot needs one that is tied to the earth",
            f"Set the right one: gdal_edit.py -a_srs EPSG:<code> {path}",
        )
    grid, flipped = GeoGrid.north_up(
        crs, source.transform, source.shape, str(path), resampling=resampling
    )
    try:
        _ = grid.ground_pixel_m
    except CrsError as error:
        raise CrsError(path, error.found, error.needed, error.remedy) from None
    return grid, flipped


def _refuse_unplaced(source: Any, path: str | Path, resampling: str) -> None:
    """Refuse a raster that has pixels but no place."""
    points, _ = source.gcps
    if points or source.rpcs:
        how, flag = ("ground control points", "-tps") if points else ("an RPC model", "-rpc")
        raise CrsError(
            path,
            f"is placed by {how}, not by a CRS and a geotransform",
            "geocobot needs a north-up raster",
            f"Warp it once with: gdalwarp {flag} -r {resampling} -t_srs EPSG:<code> {path} "
            f"north_up.tif",
        )
    if source.crs is None:
        raise CrsError(
            path,
            "has no CRS and no geotransform",
            "geocobot needs to know where it lies and how large its pixels are",
            "Place it with QGIS (Layer > Georeferencer) first",
        )
    raise GridError(
        path,
        "has no geotransform",
        "geocobot needs to know where it lies and how large its pixels are",
        "Place it with QGIS (Layer > Georeferencer), or put its world file beside it",
    )
