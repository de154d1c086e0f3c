"""Whether a scene fits a model, and scenes fit each other: bands, data type and pixel size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from geocobot.bands import BandRange, ranges_for
from geocobot.errors import BandError, PixelSizeError
from geocobot.grid import Bounds
from geocobot.io.by_rows import by_rows
from geocobot.io.cut import cut
from geocobot.io.placed import Placeable
from geocobot.io.resampled import resampled
from geocobot.io.scene import Scene

_TOLERANCE = 0.10
"""Pixels whose size differs by so much show things in about the same size: on Kampala's roofs this
costs 0.01 of IoU, 0.25 three times as much (benchmarks/README.md, "Pixels of another size")."""

_RESOLUTION = "--resolution"


def open_scene_for(
    path: str | Path,
    ranges: Sequence[BandRange],
    ground_pixel_m: tuple[float, float],
    *,
    bands: Sequence[int | str] | None = None,
    nodata: float | None = None,
    area: Placeable | None = None,
    bounds: Bounds | None = None,
    resampling: bool = False,
) -> Scene:
    """Open a scene that a model is to map, with the bands the model reads.

    Args:
        path: file name, URL or GDAL name.
        ranges: the model's bands, for every data type that it knows.
        ground_pixel_m: the model's pixel width and height on the ground.
        bands: numbers or names to read instead of the model's, in the model's order.
        nodata: value without data; replaces what the file declares.
        area: what is to be mapped of it; None for all.
        bounds: the same as west, south, east and north in its CRS.
        resampling: whether it is read in pixels of the model's size, whatever its own are.

    Raises:
        BandError: the scene has fewer bands than the model needs, or another data type.
        PixelSizeError: its pixels are more than 10 % larger or smaller than the model's, and it
            is not to be resampled; or too much so to be.
        OverlapError: nothing of it is to be mapped.
        GeocobotError: whatever `Scene.open` finds.
    """
    scene = open_bands_for(path, ranges, bands=bands, nodata=nodata)
    scene = by_rows(cut(scene, area, bounds))
    if resampling:
        return resampled(scene, ground_pixel_m)
    check_size(scene, ground_pixel_m)
    return scene


def open_bands_for(
    path: str | Path,
    ranges: Sequence[BandRange],
    *,
    bands: Sequence[int | str] | None = None,
    nodata: float | None = None,
) -> Scene:
    """Open a scene with the bands that a model reads, all of it in the pixels of its file.

    Args:
        path: file name, URL or GDAL name.
        ranges: the model's bands, for every data type that it knows.
        bands: numbers or names to read instead of the model's, in the model's order.
        nodata: value without data; replaces what the file declares.

    Raises:
        BandError: the scene has fewer bands than the model needs, or another data type.
        GeocobotError: whatever `Scene.open` finds.
    """
    wanted: list[int | str] = [r.band for r in ranges_for(ranges)] if bands is None else list(bands)
    try:
        scene = Scene.open(path, bands=wanted, nodata=nodata)
    except BandError as error:
        raise BandError(
            path, error.found, f"The model reads {_listed(ranges)}. {error.needed}", error.remedy
        ) from None
    fit_bands(scene, ranges)
    return scene


def check_size(scene: Scene, ground_pixel_m: tuple[float, float]) -> None:
    """Refuse a scene that shows things in another size than a model knows.

    Args:
        scene: as the model is to see it.
        ground_pixel_m: the model's pixel width and height on the ground.

    Raises:
        PixelSizeError: its pixels are more than 10 % larger or smaller.
    """
    side_m = _side_m(ground_pixel_m)
    if not are_alike(scene.grid.ground_pixel_m, ground_pixel_m):
        raise _odd_size(scene, f"The model was trained on {side_m:.3g} m", side_m)


def fit_bands(scene: Scene, ranges: Sequence[BandRange]) -> None:
    """Check that a scene has the bands that a model was trained on.

    Args:
        scene: opened with the bands to use.
        ranges: the model's bands, for every data type that it knows.

    Raises:
        BandError: another number of bands, or another data type.
    """
    n_bands = len(ranges_for(ranges))
    if len(scene.bands) != n_bands:
        raise BandError(
            scene.path,
            f"is read with {len(scene.bands)} bands",
            f"The model reads {n_bands}: {_listed(ranges)}",
            f"Pass {n_bands} numbers to --bands, in this order",
        )
    known = dict.fromkeys(r.dtype for r in ranges)
    if scene.dtype not in known:
        raise BandError(
            scene.path,
            f"holds {scene.dtype} values",
            f"The model was trained on {' and '.join(known)}, and its normalization means nothing "
            f"for others",
            "Scale the scene as the training scene was, such as with: gdal_translate -ot "
            f"<type> -scale {scene.path} scaled.tif, or train on a scene like this one",
        )


def bring_together(scenes: Sequence[Scene], resolution_m: float | None) -> tuple[Scene, ...]:
    """Scenes to train on in pixels of one size on the ground.

    Args:
        scenes: in the pixels of their files.
        resolution_m: width and height on the ground of the pixels that they are to be read in;
            None for their own.

    Raises:
        PixelSizeError: their own differ by more than 10 %, or are too far from those asked for.
    """
    if resolution_m is not None:
        return tuple(resampled(s, (resolution_m, resolution_m)) for s in scenes)
    first = scenes[0]
    first_m = _side_m(first.grid.ground_pixel_m)
    for scene in scenes[1:]:
        side_m = _side_m(scene.grid.ground_pixel_m)
        if not _is_close(side_m, first_m):
            raise _odd_size(scene, f"{first.path} has {first_m:.3g} m", max(side_m, first_m))
    return tuple(scenes)


def check_resolution(resolution_m: float, ground_pixel_m: tuple[float, float], model: str) -> None:
    """Refuse to resample to pixels that a model does not know.

    Args:
        resolution_m: asked for.
        ground_pixel_m: the model's pixel width and height on the ground.
        model: the file's name.

    Raises:
        PixelSizeError: the two differ by more than 10 %.
    """
    side_m = _side_m(ground_pixel_m)
    if not _is_close(resolution_m, side_m):
        raise PixelSizeError(
            f"{_RESOLUTION} {resolution_m:g}",
            f"is not what {model} was trained on",
            f"Its pixels have {side_m:.3g} m, and things of another size in pixels look foreign "
            f"to it",
            f"Pass {_RESOLUTION} {side_m:.3g}",
        )


def are_alike(ground_pixel_m: tuple[float, float], model_pixel_m: tuple[float, float]) -> bool:
    """Whether pixels show things in about the size that a model knows; both on the ground."""
    return _is_close(_side_m(ground_pixel_m), _side_m(model_pixel_m))


def _is_close(side_m: float, model_m: float) -> bool:
    """Whether pixels of one size can stand for those of another."""
    return abs(side_m / model_m - 1) <= _TOLERANCE


def _side_m(ground_pixel_m: tuple[float, float]) -> float:
    """How large things look in pixels, by the square root of their area.

    Degrees, whose pixels grow narrower towards the poles, are judged fairly by it.
    """
    return math.sqrt(math.prod(ground_pixel_m))


def _odd_size(scene: Scene, needed: str, remedy_m: float) -> PixelSizeError:
    """What to say of a scene whose pixels are of another size."""
    return PixelSizeError(
        scene.path,
        f"has pixels of {_side_m(scene.grid.ground_pixel_m):.3g} m on the ground",
        f"{needed}, and things of another size in pixels look foreign to a model (10 % off is "
        f"allowed)",
        f"Pass {_RESOLUTION} {remedy_m:.3g} to have it resampled on the fly",
    )


def _listed(ranges: Sequence[BandRange]) -> str:
    """The model's bands, for messages."""
    return ", ".join(
        r.name if r.name == f"band {r.band}" else f"band {r.band} ({r.name})"
        for r in ranges_for(ranges)
    )
