"""Square outlines: walls in the main direction of a building and across it, corners between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.tracing.chains import Chains
from geocobot.tracing.walls import FALLING, RISING, SOUTHERN, WESTERN, Point, Wall, corners_of

LEAST_IOU = 0.8
"""An outline whose squared one covers less of it, as IoU, stays as it is."""

# Shares of the outline's length: of a square all lies in the main direction or across, of a circle
# or an octagon nothing more than elsewhere.
_LEAST_ALIGNED = 0.35
_SMALLEST_ROUND = 6

_SIMPLIFY_PX = 1.2
_SHORTEST_PX = 2.0
_SHORTEST_SHARE = 0.08
_DIAGONAL_DEGREES = 10.0
_DIAGONAL_SHARE = 0.25
_OUTLIER_DEGREES = 15.0


@dataclass(frozen=True)
class Squared:
    """What squaring made of polygons.

    Attributes:
        geometry: (N,) the squared ones, and those that stay as they were.
        iou: (N,) of each with what it was; NaN where it stays.
    """

    geometry: npt.NDArray[np.object_]
    iou: npt.NDArray[np.float64]


def square(
    polygons: npt.NDArray[np.object_], axes: npt.NDArray[np.float64], tolerance_m: float
) -> Squared:
    """Square the outlines of polygons, holes included.

    The main direction is the mean of the edges' modulo 90 degrees, weighted by length. Each edge
    of the outline, simplified, becomes a wall along it, across it, or at 45 degrees where it is
    long and lies so, at the distance that leaves the area on both sides equal; walls go through
    one another in corners, and too short ones are left out. Small blobs become rectangles. Round
    ones, and all whose squared outline is invalid or fits them badly, stay.

    Args:
        polygons: (N,) in pixels of the scene.
        axes: (N, 2, 2) metres on the ground of a column and a row (`ground.local_axes`).
        tolerance_m: corners that stand out less are not seen.

    Returns:
        As many polygons, in pixels.
    """
    result = Squared(polygons.copy(), np.full(len(polygons), np.nan))
    able = np.flatnonzero(np.isfinite(axes).all(axis=(1, 2)))
    if not able.size:
        return result
    plans = _Plans(polygons[able], axes[able], tolerance_m)
    is_round = plans.is_round()
    for fit in (plans.walled, plans.rectangles):
        open_ = np.flatnonzero(np.isnan(result.iou[able]) & ~is_round)
        found, index = fit(open_)
        iou = _iou(found, polygons[able[index]])
        good = iou >= LEAST_IOU
        result.geometry[able[index[good]]] = found[good]
        result.iou[able[index[good]]] = iou[good]
    return result


class _Plans:
    """Polygons on the ground, each around an origin of its own.

    Args:
        polygons: (N,) in pixels.
        axes: (N, 2, 2) metres of a column and a row.
        tolerance_m: of simplifying.
    """

    def __init__(
        self,
        polygons: npt.NDArray[np.object_],
        axes: npt.NDArray[np.float64],
        tolerance_m: float,
    ) -> None:
        self.axes = axes
        self.origin_px = shapely.get_coordinates(shapely.get_point(polygons_rings(polygons), 0))
        self.pixel_m = np.sqrt(np.abs(np.linalg.det(axes)))
        self.ground = self._to_ground(polygons)
        tolerance = np.maximum(_SIMPLIFY_PX * self.pixel_m, tolerance_m)
        self.shortest_m = np.maximum.reduce(
            [
                _SHORTEST_PX * self.pixel_m,
                np.full(len(polygons), tolerance_m),
                _SHORTEST_SHARE * np.sqrt(shapely.area(self.ground)),
            ]
        )
        self.chains = Chains.of(self.ground, shapely.simplify(self.ground, tolerance))
        self.direction, self.aligned = self._directions()

    def is_round(self) -> npt.NDArray[np.bool_]:
        """Which have no main direction, (N,)."""
        n_edges = np.bincount(self.chains.polygon[self.chains.is_outer], minlength=len(self.ground))
        return (self.aligned < _LEAST_ALIGNED) & (n_edges >= _SMALLEST_ROUND)

    def _to_ground(self, polygons: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
        """Pixels to metres around the origin."""
        _, xy, (rings, parts) = shapely.to_ragged_array(polygons)
        owner = np.repeat(np.arange(len(polygons)), np.diff(rings[parts]))
        around = np.einsum("nij,nj->ni", self.axes[owner], xy - self.origin_px[owner])
        ground: npt.NDArray[np.object_] = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, around, (rings, parts)
        )
        return ground

    def _to_pixels(
        self, polygons: npt.NDArray[np.object_], index: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.object_]:
        """Metres around the origins to pixels."""
        if not len(polygons):
            return polygons
        _, xy, (rings, parts) = shapely.to_ragged_array(polygons)
        owner = index[np.repeat(np.arange(len(polygons)), np.diff(rings[parts]))]
        inverse = np.linalg.inv(self.axes)
        px = np.einsum("nij,nj->ni", inverse[owner], xy) + self.origin_px[owner]
        found: npt.NDArray[np.object_] = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, px, (rings, parts)
        )
        return found

    def _directions(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Main direction (N,) in radians, and how much of the outline follows it, -1 to 1."""
        chains, count = self.chains, len(self.ground)
        outer = chains.is_outer
        owner, angle = chains.polygon[outer], chains.angle[outer]
        length = np.hypot(*chains.chord[outer].T)
        weight = length**2

        def total(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            return np.asarray(np.bincount(owner, weights=values, minlength=count), dtype=np.float64)

        main = np.arctan2(total(weight * np.sin(4 * angle)), total(weight * np.cos(4 * angle))) / 4
        for _ in range(2):
            beside = _beside_axis(angle - main[owner])
            near = weight * (np.abs(beside) < np.radians(_OUTLIER_DEGREES))
            main = main + total(near * beside) / np.maximum(total(near), 1e-12)
        aligned = total(length * np.cos(4 * (angle - main[owner])))
        return main, aligned / np.maximum(total(length), 1e-12)

    def walled(
        self, wanted: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
        """Outlines of walls: polygons in pixels, and which of the polygons each one is."""
        walls, starts = self._walls()
        rings, edges = self.chains.rings_of_polygon, self.chains.edges_of_ring
        found, index = [], []
        for n in wanted.tolist():
            corners: list[list[Point]] = []
            for ring in range(int(rings[n]), int(rings[n + 1])):
                part = slice(int(edges[ring]), int(edges[ring + 1]))
                squared = corners_of(walls[part], starts[part], float(self.shortest_m[n]))
                if squared is None and not corners:
                    break
                corners.append(squared or starts[part])
            else:
                found.append(shapely.Polygon(corners[0], corners[1:]))
                index.append(n)
        which = np.array(index, dtype=np.int64)
        turned = _turned(_as_array(found), self.direction[which])
        return self._to_pixels(turned, which), which

    def _walls(self) -> tuple[list[Wall], list[Point]]:
        """The wall of each edge, and where the edge begins, turned to the main direction."""
        chains = self.chains
        main = self.direction[chains.polygon]
        flat = chains.turned(-main)
        beside = np.abs(_beside_axis(np.arctan2(flat.chord[:, 1], flat.chord[:, 0])))
        length = np.hypot(*flat.chord.T)
        perimeter = np.bincount(chains.ring, weights=length, minlength=len(chains.edges_of_ring))
        is_diagonal = (beside > np.radians(45 - _DIAGONAL_DEGREES)) & (
            length > _DIAGONAL_SHARE * perimeter[chains.ring] / 2
        )
        along_x = np.abs(flat.chord[:, 0]) >= np.abs(flat.chord[:, 1])
        rises = flat.chord[:, 0] * flat.chord[:, 1] > 0
        kind = np.where(
            is_diagonal,
            np.where(rises, RISING, FALLING),
            np.where(along_x, SOUTHERN, WESTERN),
        )
        offset, weight = flat.balanced(kind)
        way = flat.ways(kind)
        each = zip(kind.tolist(), offset.tolist(), weight.tolist(), way.tolist(), strict=True)
        return [Wall(*one) for one in each], [(x, y) for x, y in flat.start.tolist()]

    def rectangles(
        self, wanted: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
        """The smallest rectangles around polygons without holes, shrunk to their areas."""
        which = wanted[shapely.get_num_interior_rings(self.ground[wanted]) == 0]
        ground = self.ground[which]
        around = shapely.oriented_envelope(ground)
        whole = shapely.get_type_id(around) == shapely.GeometryType.POLYGON
        ground, around, which = ground[whole], around[whole], which[whole]
        if not which.size:
            return ground, which
        _, xy, (rings, parts) = shapely.to_ragged_array(around)
        owner = np.repeat(np.arange(len(which)), np.diff(rings[parts]))
        middle = shapely.get_coordinates(shapely.centroid(around))[owner]
        share = np.sqrt(shapely.area(ground) / shapely.area(around))[owner, None]
        shrunk = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, middle + share * (xy - middle), (rings, parts)
        )
        return self._to_pixels(shrunk, which), which


def polygons_rings(polygons: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Outer rings."""
    rings: npt.NDArray[np.object_] = shapely.get_exterior_ring(polygons)
    return rings


def _as_array(polygons: list[shapely.Polygon]) -> npt.NDArray[np.object_]:
    """Polygons as an array of objects, also where there is none."""
    found = np.empty(len(polygons), dtype=object)
    found[:] = polygons
    return found


def _turned(
    polygons: npt.NDArray[np.object_], angle: npt.NDArray[np.float64]
) -> npt.NDArray[np.object_]:
    """Polygons turned around their origins."""
    if not len(polygons):
        return polygons
    _, xy, (rings, parts) = shapely.to_ragged_array(polygons)
    owner = np.repeat(angle, np.diff(rings[parts]))
    c, s = np.cos(owner), np.sin(owner)
    new = np.stack([c * xy[:, 0] - s * xy[:, 1], s * xy[:, 0] + c * xy[:, 1]], axis=1)
    found: npt.NDArray[np.object_] = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, new, (rings, parts)
    )
    return found


def _beside_axis(angle: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Angle to the nearest axis, -45 to 45 degrees, in radians."""
    quarter = np.pi / 2
    return np.asarray(angle - quarter * np.rint(angle / quarter))


def _iou(found: npt.NDArray[np.object_], given: npt.NDArray[np.object_]) -> npt.NDArray[np.float64]:
    """IoU of pairs of polygons, 0 where one is invalid."""
    valid = np.asarray(shapely.is_valid(found))
    iou = np.zeros(len(found))
    common = shapely.area(shapely.intersection(found[valid], given[valid]))
    both = shapely.area(found[valid]) + shapely.area(given[valid]) - common
    iou[valid] = common / both
    return iou
