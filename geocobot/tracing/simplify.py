"""Simplify polygons that touch together, so that shared borders stay shared."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.tracing.drift import drifted

# Shares of the tolerance, where the whole of it is too much for a group.
_CAREFULLY = (1.0, 0.5, 0.25)

_EDGES_PER_LINE = 16

logger = logging.getLogger("geocobot.tracing")


def simplify_groups(
    polygons: npt.NDArray[np.object_],
    group: npt.NDArray[np.int64],
    pixel_m: npt.NDArray[np.float64],
    tolerance_m: float,
    *,
    drift_m: float = np.inf,
    beside: npt.NDArray[np.object_] | None = None,
) -> npt.NDArray[np.object_]:
    """Smooth the outlines of groups of polygons.

    All polygons go through one coverage simplification (Visvalingam and Whyatt, with every removed
    corner checked against every other outline), so that none can run into another. Of groups that
    are so far apart that no outline moves half of the way, each comes out as it does alone. The
    order of polygons and where their rings begin decide between corners that are equal: hand
    them over in one order always. Simplified outlines only use vertices of the raster.

    Args:
        polygons: (N,) valid coverages, in pixels of the scene, normalized.
        group: (N,) the group of each.
        pixel_m: width and height (2,) of a pixel on the ground, in metres.
        tolerance_m: corners are removed while their triangle is smaller than this squared.
        drift_m: a group of which an outline moves by so much is simplified less.
        beside: polygons that border on these, of which the corners stay.

    Returns:
        (N,) polygons in pixels of the scene; those of a group that comes out as no valid coverage,
        or moves too much whatever the tolerance, are the unsimplified ones.
    """
    simplify = _Simplifier(pixel_m, drift_m, np.array([]) if beside is None else beside)
    simple = simplify(polygons, tolerance_m)
    anew = np.isin(group, group[simplify.moves_far(polygons, simple)])
    if not is_sound(simple[~anew]):
        anew[:] = True
    for own in members(group, anew):
        simple[own] = simplify.carefully(polygons[own], tolerance_m)
    return simple


@dataclass(frozen=True)
class _Simplifier:
    """Simplifies polygons as they lie on the ground; see `simplify_groups`."""

    pixel_m: npt.NDArray[np.float64]
    drift_m: float
    beside: npt.NDArray[np.object_]

    def __call__(
        self, polygons: npt.NDArray[np.object_], tolerance_m: float
    ) -> npt.NDArray[np.object_]:
        """Simplify all polygons together."""
        scale = _short(self.pixel_m)
        everything = np.concatenate([polygons, self.beside])
        on_ground = shapely.transform(everything, lambda xy: xy * scale)
        simple = shapely.coverage_simplify(on_ground, tolerance_m)[: len(polygons)]
        return np.asarray(shapely.transform(simple, lambda xy: np.rint(xy / scale)))

    def moves_far(
        self, polygons: npt.NDArray[np.object_], simple: npt.NDArray[np.object_]
    ) -> npt.NDArray[np.bool_]:
        """Which polygons (N,) have an outline that moves too far."""
        return drifted(polygons, simple, self.pixel_m, self.drift_m)

    def carefully(
        self, polygons: npt.NDArray[np.object_], tolerance_m: float
    ) -> npt.NDArray[np.object_]:
        """Simplify a group alone, less and less until it is sound and moves little."""
        for share in _CAREFULLY:
            simple = self(polygons, share * tolerance_m)
            if not self.moves_far(polygons, simple).any() and is_sound(simple):
                return simple
        logger.warning(
            "%d polygons could not be simplified without overlaps and stay as traced", len(polygons)
        )
        return polygons


def members(
    group: npt.NDArray[np.int64], wanted: npt.NDArray[np.bool_]
) -> list[npt.NDArray[np.int64]]:
    """The places of each group's members, of those wanted (N,)."""
    places = np.flatnonzero(wanted)
    places = places[np.argsort(group[places], kind="stable")]
    return np.split(places, np.flatnonzero(np.diff(group[places])) + 1) if places.size else []


def _short(scale: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Round to 20 binary digits, so that whole numbers are scaled without rounding.

    Otherwise a vertex that lies on a chord exactly could seem to lie beside it while simplifying
    and lie on it again afterwards.
    """
    mantissa, exponent = np.frexp(scale)
    return np.asarray(np.ldexp(np.rint(np.ldexp(mantissa, 20)), exponent - 20))


def is_sound(polygons: npt.NDArray[np.object_]) -> bool:
    """Whether these are valid, non-empty polygons that do not overlap, and share whole edges.

    GEOS looks at every polygon together with all whose bounds meet its own, which takes long where
    a network of roads is one of them. It is asked about those alone that do meet others; of the
    rest none may lie within another.
    """
    kind = shapely.get_type_id(polygons) == shapely.GeometryType.POLYGON
    whole = kind & shapely.is_valid(polygons) & ~shapely.is_empty(polygons)
    if not whole.all() or not polygons.size:
        return bool(whole.all())
    meets = _meets_others(polygons)
    corners = shapely.get_point(shapely.get_exterior_ring(polygons), 0)
    inner, outer = shapely.STRtree(polygons).query(corners, predicate="within")
    is_nested = bool((~meets[inner] | ~meets[outer]).any())
    return not is_nested and bool(shapely.coverage_is_valid(polygons[meets]))


def _meets_others(polygons: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    """Which polygons (N,) have a point of their outlines in common with another's."""
    lines, owner = _cut_outlines(polygons)
    a, b = shapely.STRtree(lines).query(lines)
    other = owner[a] != owner[b]
    a, b = a[other], b[other]
    meets = np.zeros(len(polygons), dtype=np.bool_)
    meets[owner[a[shapely.intersects(lines[a], lines[b])]]] = True
    return meets


def _cut_outlines(
    polygons: npt.NDArray[np.object_],
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
    """Outlines as short lines (M,), and the polygon (M,) of each.

    One by one edges would be as many objects as there are corners; whole outlines, of which one
    may be that of a network of roads, would meet the bounds of all others.
    """
    _, xy, (rings, parts) = shapely.to_ragged_array(polygons)
    edges = np.diff(rings) - 1
    per_ring = -(-edges // _EDGES_PER_LINE)
    ring = np.repeat(np.arange(len(edges)), per_ring)
    place = np.arange(len(ring)) - np.repeat(np.cumsum(per_ring) - per_ring, per_ring)
    start = rings[ring] + place * _EDGES_PER_LINE
    length = np.minimum(_EDGES_PER_LINE + 1, rings[ring + 1] - start)
    offsets = np.concatenate([[0], np.cumsum(length)])
    corner = np.arange(offsets[-1]) + np.repeat(start - offsets[:-1], length)
    lines: npt.NDArray[np.object_] = shapely.from_ragged_array(
        shapely.GeometryType.LINESTRING, xy[corner], (offsets,)
    )
    owner = np.repeat(np.arange(len(polygons)), np.diff(parts))
    return lines, owner[ring]
