"""Where mapped lines are right, false, missed and interrupted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geocobot.classes import ClassSpec
from geocobot.evaluation.breaks import Breaks
from geocobot.evaluation.lines import LinePair
from geocobot.evaluation.overlay import near_union
from geocobot.evaluation.roads import GRID_M, Lines, united

SHORTEST_M = 1.0
"""Shorter lines that are missed or false are no place to look at."""

MAP_SIDE, LABELS_SIDE = "map", "labels"

_BESIDE_M = 0.01
"""So far beside a gap a line still lies in it: both are cut from the same edges."""

_SCHEMA = {"class_id": "int64", "class_name": "str", "what": "str", "length_m": "float64"}


@dataclass(frozen=True)
class LineErrors:
    """What of mapped lines is right and what is not, in pieces from junction to junction.

    Attributes:
        right: labelled pieces near mapped lines, and mapped pieces near labelled ones; the column
            side says which.
        false: mapped pieces that are not near labelled lines.
        missed: labelled pieces that are not near mapped lines.
        breaks: points where the mapped lines are interrupted; the column count says how often
            that is, length_m how much is missing.
        false_links: points where the mapped lines connect what is not connected, likewise.
        places: what there is to look at, as lines: breaks, false links, and what is missed and
            false besides, all that hangs together as one.

    All have the columns class_id, class_name, what (in words) and length_m on the ground;
    `places` also area_m2 (length by the width of the class), is_missed, and reach_m: so far
    beside it, areas of the class are wrong for the same reason.
    """

    right: gpd.GeoDataFrame
    false: gpd.GeoDataFrame
    missed: gpd.GeoDataFrame
    breaks: gpd.GeoDataFrame
    false_links: gpd.GeoDataFrame
    places: gpd.GeoDataFrame

    def to_crs(self, crs: CRS) -> LineErrors:
        """The same in another CRS; lengths and areas stay."""
        return LineErrors(*(getattr(self, f.name).to_crs(crs) for f in fields(self)))


@dataclass(frozen=True)
class _Kind:
    """A kind of error, and what it is called.

    Attributes:
        wrong: what is said of a piece.
        gap: what a place is called where connections are wrong.
        more: what is said of its length.
        is_missed: whether the labels have it and the map has not.
    """

    wrong: str
    gap: str
    more: str
    is_missed: bool

    def of_gap(self, name: str, count: int, length_m: float) -> str:
        """The words for one or several breaks or false links in one place."""
        gap = self.gap if count == 1 else f"{count} {self.gap}s"
        return f"{gap} of {name}: {length(length_m)}{self.more}"


_MISSED = _Kind("missed", "break", " missing", is_missed=True)
_FALSE = _Kind("that is not there", "false link", "", is_missed=False)


def line_errors(pairs: Sequence[LinePair], widths_m: Mapping[int, float], plane: CRS) -> LineErrors:
    """Cut lines into what is right and what is not, and find the places to look at.

    Args:
        pairs: mapped and labelled lines of each class; at least one.
        widths_m: of the labelled lines, by class number.
        plane: on which they lie, in metres.
    """
    each = [_of_class(pair, widths_m[pair.spec.number], plane) for pair in pairs]
    return LineErrors(
        *(pd.concat([getattr(e, f.name) for e in each], ignore_index=True) for f in fields(each[0]))
    )


def _of_class(pair: LinePair, width_m: float, plane: CRS) -> LineErrors:
    """The lines of one class."""
    spec, found = pair.spec, f"{pair.spec.name} found"
    labelled, mapped = _pieces(pair.found.near), _pieces(pair.right.near)
    right = [
        _frame(spec, labelled, found, plane, side=LABELS_SIDE),
        _frame(spec, mapped, found, plane, side=MAP_SIDE),
    ]
    missed, false = _pieces(pair.found.far), _pieces(pair.right.far)
    breaks = _gaps(spec, pair.breaks, _MISSED, plane)
    links = _gaps(spec, pair.false_links, _FALSE, plane)
    places = [
        pd.concat([gaps, _rest(spec, pieces, gaps, kind, plane)]).assign(is_missed=kind.is_missed)
        for kind, pieces, gaps in ((_MISSED, missed, breaks), (_FALSE, false, links))
    ]
    lines = pd.concat(places)
    return LineErrors(
        right=pd.concat(right),
        false=_frame(spec, false, f"{spec.name} {_FALSE.wrong}", plane),
        missed=_frame(spec, missed, f"{spec.name} {_MISSED.wrong}", plane),
        breaks=_as_points(breaks),
        false_links=_as_points(links),
        places=lines.assign(
            area_m2=lines["length_m"] * width_m, reach_m=width_m / 2 + pair.options.buffer_m
        ),
    )


def middle(lines: Lines) -> Any:
    """The points (N,) of shapes made of lines that are nearest to their middle."""
    return shapely.get_point(shapely.shortest_line(lines, shapely.centroid(lines)), 0)


def length(length_m: float) -> str:
    """A length in words."""
    digits = 0 if length_m >= 10 else 1
    return f"{length_m:,.{digits}f} m"


def _pieces(shapes: Lines) -> Lines:
    """Single lines among shapes; what rounding leaves of others is gone."""
    # Collections hold lines beside points.
    parts = shapely.get_parts(shapely.get_parts(shapes))
    kept: Lines = parts[shapely.length(parts) > GRID_M]
    return kept


def _gaps(spec: ClassSpec, breaks: Breaks, kind: _Kind, plane: CRS) -> gpd.GeoDataFrame:
    """Breaks or false links with their attributes."""
    lengths = shapely.length(breaks.gaps).tolist()
    counts = breaks.counts.tolist()
    what = [kind.of_gap(spec.name, n, m) for n, m in zip(counts, lengths, strict=True)]
    return _frame(spec, breaks.gaps, what, plane, count=breaks.counts)


def _as_points(lines: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The same features where their middle is."""
    points = middle(np.asarray(lines.geometry.array))
    return lines.set_geometry(gpd.GeoSeries(points, index=lines.index, crs=lines.crs))


def _rest(
    spec: ClassSpec, pieces: Lines, gaps: gpd.GeoDataFrame, kind: _Kind, plane: CRS
) -> gpd.GeoDataFrame:
    """Wrong pieces as far as no break or false link stands for them."""
    near = near_union(pieces, shapely.buffer(np.asarray(gaps.geometry.array), _BESIDE_M))
    rest = _joined(_pieces(shapely.difference(pieces, near)))
    rest = rest[shapely.length(rest) >= SHORTEST_M]
    lengths = shapely.length(rest).tolist()
    what = [f"{spec.name} {kind.wrong}: {length(m)}" for m in lengths]
    return _frame(spec, rest, what, plane, count=0)


def _joined(pieces: Lines) -> Lines:
    """Pieces that touch as one shape."""
    if not len(pieces):
        return pieces
    tree = shapely.STRtree(pieces)
    links = tree.query(pieces, predicate="dwithin", distance=2 * GRID_M)
    size = len(pieces)
    graph = coo_array((np.ones(links.shape[1]), tuple(links)), shape=(size, size))
    return united(pieces, connected_components(graph, directed=False)[1])


def _frame(
    spec: ClassSpec, shapes: Lines, what: str | Sequence[str], plane: CRS, **more: Any
) -> gpd.GeoDataFrame:
    """Lines of a class with their attributes."""
    number = np.arange(len(shapes))
    columns = {
        "class_id": spec.number,
        "class_name": spec.name,
        "what": what if isinstance(what, str) else pd.Series(what, index=number, dtype="str"),
        "length_m": shapely.length(shapes),
    }
    frame = gpd.GeoDataFrame({**columns, **more}, index=number, geometry=list(shapes), crs=plane)
    kinds = {name: "str" if isinstance(v, str) else "int64" for name, v in more.items()}
    return frame.astype({**_SCHEMA, **kinds})
