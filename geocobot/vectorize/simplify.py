"""Simplify a block's polygons together, so that shared borders stay shared."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.vectorize.trace import Pieces

logger = logging.getLogger("geocobot.vectorize")


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
    _, xy, (rings, parts) = shapely.to_ragged_array(polygons)
    begins = np.ones(len(xy), dtype=np.bool_)
    begins[rings[1:] - 1] = False
    first = np.flatnonzero(begins)
    owner = np.repeat(np.arange(len(polygons)), np.diff(rings[parts] - parts))
    start, end = xy[first], xy[first + 1]
    edges = shapely.linestrings(np.stack([start, end], axis=1))
    a, b = shapely.STRtree(edges).query(edges)
    other = owner[a] != owner[b]
    a, b = a[other], b[other]
    # Their bounds meet; so do they, unless one lies wholly beside the line of the other.
    beside = [
        _side(start[i], end[i], start[j]) * _side(start[i], end[i], end[j]) > 0
        for i, j in ((a, b), (b, a))
    ]
    meets = np.zeros(len(polygons), dtype=np.bool_)
    meets[owner[a[~(beside[0] | beside[1])]]] = True
    return meets


def _side(
    start: npt.NDArray[np.float64], end: npt.NDArray[np.float64], point: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """On which side (N,) of lines points (N, 2) lie: 1, -1, or 0 on it."""
    along, to = end - start, point - start
    return np.sign(along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0])
