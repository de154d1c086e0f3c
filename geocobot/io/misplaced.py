"""Why labels miss a scene, as far as the coordinates tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyproj import CRS

from geocobot.errors import OverlapError
from geocobot.grid import Bounds, GeoGrid
from geocobot.io.crs import crs_label
from geocobot.io.shapes import bounds_in

_WGS84 = CRS.from_epsg(4326)
_MAX_NAMES = 4


def in_words(names: Sequence[str], most: int = _MAX_NAMES) -> str:
    """Names in one phrase; of those beyond `most` only how many more there are."""
    shown = list(names[:most])
    if len(names) > most:
        shown.append(f"{len(names) - most} more")
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def no_overlap(
    labels: Bounds, crs: CRS, names: Sequence[str], grid: GeoGrid, scene_name: str
) -> OverlapError:
    """Name both extents, and the CRS with which they would meet.

    Args:
        labels: extent of labels, nothing of which lies on the scene.
        crs: of that extent.
        names: of the files or folders that they come from.
        grid: of the scene.
        scene_name: for the message.
    """
    scene = bounds_in(grid.bounds, grid.crs, crs)
    there = _listed(grid.bounds, grid.crs) if scene is None else _listed(scene, crs)
    if scene is not None and crs != grid.crs:
        there += f", that is {_listed(grid.bounds, grid.crs)}"
    return OverlapError(
        in_words(names),
        f"{'covers' if len(names) == 1 else 'cover'} {_listed(labels, crs)}, and nothing "
        f"of {'it' if len(names) == 1 else 'them'} lies on {scene_name}, which covers {there}",
        "Labels and scene have to show the same place",
        _remedy(labels, crs, scene, grid),
    )


def _remedy(labels: Bounds, crs: CRS, scene: Bounds | None, grid: GeoGrid) -> str:
    """Try the usual mistakes: another CRS, swapped axes."""
    west, south, east, north = labels
    swapped = (south, west, north, east)
    degrees = bounds_in(grid.bounds, grid.crs, _WGS84)
    if scene is not None and _meet(labels, scene):
        return "Digitize something within the scene: the extents meet, but no feature does"
    if _meet(labels, grid.bounds):
        authority = grid.crs.to_authority()
        if authority:
            return f"The coordinates fit the scene's CRS: pass --labels-crs {':'.join(authority)}"
        return (
            "The coordinates fit the scene's CRS, which has no code: pass the scene's file name as "
            "--labels-crs"
        )
    if degrees is not None and _meet(labels, degrees):
        return "The coordinates fit degrees: pass --labels-crs EPSG:4326"
    frames: Iterable[tuple[Bounds | None, CRS]] = (
        (scene, crs),
        (grid.bounds, grid.crs),
        (degrees, _WGS84),
    )
    for bounds, frame in frames:
        if bounds is not None and _meet(swapped, bounds):
            extra = "" if frame == crs else f" and pass --labels-crs {crs_label(frame)}"
            return (
                f"x and y look swapped: swap them in QGIS (Processing Toolbox > Swap X and Y "
                f"coordinates){extra}"
            )
    return (
        "Check in QGIS that they lie on each other; if the labels declare a wrong CRS, pass "
        "--labels-crs"
    )


def _meet(a: Bounds, b: Bounds) -> bool:
    """Whether two boxes in one CRS overlap."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _listed(bounds: Bounds, crs: CRS) -> str:
    """An extent in words."""
    west, south, east, north = (f"{v:.8g}" for v in bounds)
    return f"x {west} to {east}, y {south} to {north} in {crs_label(crs)}"
