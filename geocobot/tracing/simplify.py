"""Simplify a block's polygons together, so that shared borders stay shared."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.tracing.trace import Pieces

_EDGES_PER_LINE = 16

logger = logging.getLogger("geocobot.tracing")


def simplify_pieces(
    pieces: Pieces, pixel_m: tuple[float, float], tolerance_m: float
) -> npt.NDArray[np.object_]:
    """Smooth the outlines of a block.

    All polygons of the block go through one coverage simplification (Visvalingam and Whyatt,
    with every removed corner checked against every other outline), so that none can run into
    another. The runs just above and below the block take part, so that every point in which an
    outline crosses a seam stays where it is and the pieces still fit together. Simplified
    outlines only use vertices of the raster.

    Args:
        pieces: the block's components.
        pixel_m: width and height of a pixel on the ground, in metres.
        tolerance_m: corners are removed while their triangle is smaller than this squared.

    Returns:
        (N,) polygons in pixels of the scene; the unsimplified ones if GEOS hands back anything
        that is no valid coverage.
    """
    count = len(pieces.geometry)
    scale = _short(np.asarray(pixel_m))
    everything = np.concatenate([pieces.geometry, pieces.neighbors])
    on_ground = shapely.transform(everything, lambda xy: xy * scale)
    smooth = shapely.coverage_simplify(on_ground, tolerance_m)
    in_pixels = np.asarray(shapely.transform(smooth[:count], lambda xy: np.rint(xy / scale)))
    if is_sound(in_pixels):
        return in_pixels
    logger.warning("%d polygons could not be simplified without overlaps and stay as traced", count)
    return pieces.geometry


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
