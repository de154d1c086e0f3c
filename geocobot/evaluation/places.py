"""Where to look first: the largest errors, of areas and of lines."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from geocobot.evaluation.line_errors import LineErrors, middle
from geocobot.evaluation.matching import Shapes
from geocobot.evaluation.overlay import cores, near_union

_MOSTLY = 0.5


def rank_places(
    missed: gpd.GeoDataFrame,
    false: gpd.GeoDataFrame,
    lines: LineErrors | None,
    *,
    most: int,
    rim_m: float,
) -> gpd.GeoDataFrame:
    """The largest errors as points, by their area; lines are as wide as their class is drawn.

    Args:
        missed: polygons that are labelled and not mapped; is_mixed says whether they are mapped
            as another class.
        false: polygons that are mapped and not labelled; what is_mixed is left out, as it is
            among the missed.
        lines: errors of lines on the same plane. A polygon of the same class that lies mostly
            beside such a line is wrong for the same reason, and no place of its own.
        most: how many places at most.
        rim_m: what is nowhere wider than twice this is no place.
    """
    errors = [missed.assign(is_missed=True), false[~false["is_mixed"]].assign(is_missed=False)]
    found = _areas(pd.concat(errors, ignore_index=True), lines, most, rim_m)
    if lines is not None:
        found = pd.concat([found, lines.places], ignore_index=True)
    shapes = np.asarray(found.geometry.array)
    west, south, _, _ = shapely.bounds(shapes).reshape(-1, 4).T
    order = np.lexsort((south, west, -found["area_m2"].to_numpy()))[:most]
    found, shapes = found.iloc[order].reset_index(drop=True), shapes[order]
    is_line = shapely.get_dimensions(shapes) == 1
    points = np.where(is_line, middle(shapes), shapely.point_on_surface(shapes))
    found.insert(0, "rank", np.arange(1, len(found) + 1))
    columns = ["rank", "class_id", "class_name", "what", "area_m2", "length_m", "geometry"]
    return found.set_geometry(gpd.GeoSeries(points, crs=missed.crs))[columns]


def _areas(
    errors: gpd.GeoDataFrame, lines: LineErrors | None, most: int, rim_m: float
) -> gpd.GeoDataFrame:
    """The wide places of polygons, without those that lines stand for."""
    shapes = np.asarray(errors.geometry.array)
    of_lines = np.zeros(len(errors), dtype=np.bool_)
    if lines is not None:
        of_lines = errors["class_id"].isin(lines.places["class_id"]).to_numpy()
    others = np.flatnonzero(~of_lines)
    wide, owner = cores(shapes[others], rim_m, most)
    found = _named(errors.iloc[others[owner]], wide)
    if lines is None or not of_lines.any():
        return found
    beside = np.flatnonzero(of_lines)
    wide, owner = cores(shapes[beside], rim_m, len(beside))
    more = _named(errors.iloc[beside[owner]], wide)
    return pd.concat([found, more[~_told(more, lines.places)]], ignore_index=True)


def _told(areas: gpd.GeoDataFrame, lines: gpd.GeoDataFrame) -> npt.NDArray[np.bool_]:
    """Which areas (N,) lie mostly beside wrong lines of the same class."""
    told = np.zeros(len(areas), dtype=np.bool_)
    shapes = np.asarray(areas.geometry.array)
    for (number, is_missed), some in lines.groupby(["class_id", "is_missed"]):
        same = (areas["class_id"] == number) & (areas["is_missed"] == is_missed)
        here = np.flatnonzero(same.to_numpy())
        around = shapely.buffer(np.asarray(some.geometry.array), some["reach_m"].to_numpy())
        shared = shapely.intersection(shapes[here], near_union(shapes[here], around))
        told[here] = shapely.area(shared) > _MOSTLY * shapely.area(shapes[here])
    return told


def _named(errors: gpd.GeoDataFrame, wide: Shapes) -> gpd.GeoDataFrame:
    """Wide places with the attributes of the errors that they are part of."""
    area_m2 = shapely.area(wide)
    what = [f"{w}: {_size(a)}" for w, a in zip(errors["what"], area_m2, strict=True)]
    named = errors.reset_index(drop=True).assign(area_m2=area_m2, length_m=np.nan)
    named["what"] = pd.Series(what, dtype="str")
    return named.set_geometry(gpd.GeoSeries(wide, crs=errors.crs))


def _size(area_m2: float) -> str:
    """An area in words."""
    digits = 0 if area_m2 >= 10 else 1
    return f"{area_m2:,.{digits}f} m²"
