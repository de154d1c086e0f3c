"""Outlines of buildings on the ground: their main directions, and their walls in these."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.tracing.chains import Chains
from geocobot.tracing.walls import FALLING, RISING, SOUTHERN, WESTERN, Point, Wall, corners_of

# Shares of the outline's length: of a square all lies in the main direction or across, of a circle
# or an octagon nothing more than elsewhere.
_LEAST_ALIGNED = 0.25
_SMALLEST_ROUND = 6

# The corners of a staircase of pixels lie within the root of two beside a line through others.
_SIMPLIFY_PX = 1.5
_SHORTEST_PX = 2.0
_SHORTEST_SHARE = 0.04
_DIAGONAL_DEGREES = 10.0
_DIAGONAL_SHARE = 0.125
_OUTLIER_DEGREES = 15.0


class Plans:
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
        self.origin_px = shapely.get_coordinates(
            shapely.get_point(shapely.get_exterior_ring(polygons), 0)
        )
        self.pixel_m = np.sqrt(np.abs(np.linalg.det(axes)))
        self.ground = self._to_ground(polygons)
        area_m2 = shapely.area(self.ground)
        thickness_m = 2 * area_m2 / shapely.length(self.ground)
        tolerance = np.maximum(_SIMPLIFY_PX * self.pixel_m, tolerance_m)
        tolerance = np.minimum(tolerance, thickness_m / 2)
        least_m = np.maximum(_SHORTEST_PX * self.pixel_m, tolerance_m)
        self.shortest_m = np.maximum(least_m, _SHORTEST_SHARE * np.sqrt(area_m2))
        self.chains = Chains.of(self.ground, shapely.simplify(self.ground, tolerance))
        self.direction, self.aligned = self._directions()
        self.walls, self.starts = self._walls()
        ring_m2 = shapely.area(shapely.polygons(shapely.get_rings(self.ground)))
        self.stays = ring_m2 >= np.repeat(least_m, np.diff(self.chains.rings_of_polygon)) ** 2

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
        self, wanted: npt.NDArray[np.int64], coarser: int = 1
    ) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
        """Outlines of walls: polygons in pixels, and which of the polygons each one is."""
        shells, holes, index = [], [], []
        for n in wanted.tolist():
            first, *inner = range(*self.chains.rings_of_polygon[n : n + 2].tolist())
            shortest_m = coarser * float(self.shortest_m[n])
            shell = self._corners(first, shortest_m)
            if shell is None:
                continue
            shells.append(shapely.Polygon(shell))
            holes.append(
                [shapely.Polygon(self._hole(i, shortest_m)) for i in inner if self.stays[i]]
            )
            index.append(n)
        which = np.array(index, dtype=np.int64)
        turned = _turned(_without(_as_array(shells), holes), self.direction[which])
        return self._to_pixels(turned, which), which

    def _corners(self, ring: int, shortest_m: float) -> list[Point] | None:
        """Squared corners of a ring."""
        part = slice(*self.chains.edges_of_ring[ring : ring + 2].tolist())
        return corners_of(self.walls[part], self.starts[part], shortest_m)

    def _hole(self, ring: int, shortest_m: float) -> list[Point]:
        """Corners of a hole, squared where it can be."""
        part = slice(*self.chains.edges_of_ring[ring : ring + 2].tolist())
        return self._corners(ring, shortest_m) or self.starts[part]

    def _walls(self) -> tuple[list[Wall], list[Point]]:
        """The wall of each edge, and where the edge begins, turned to the main direction."""
        chains = self.chains
        main = self.direction[chains.polygon]
        flat = chains.turned(-main)
        along_x = np.abs(flat.chord[:, 0]) >= np.abs(flat.chord[:, 1])
        rises = flat.chord[:, 0] * flat.chord[:, 1] > 0
        kind = np.where(
            self._are_diagonal(),
            np.where(rises, RISING, FALLING),
            np.where(along_x, SOUTHERN, WESTERN),
        )
        offset, weight = flat.balanced(kind)
        way = flat.ways(kind)
        each = zip(kind.tolist(), offset.tolist(), weight.tolist(), way.tolist(), strict=True)
        return [Wall(*one) for one in each], [(x, y) for x, y in flat.start.tolist()]

    def _are_diagonal(self) -> npt.NDArray[np.bool_]:
        """Which edges lie at 45 degrees to the main direction, one after the other for long."""
        chains = self.chains
        beside = _beside_axis(chains.angle - self.direction[chains.polygon])
        slants = np.abs(beside) > np.radians(45 - _DIAGONAL_DEGREES)
        length = np.hypot(*chains.chord.T)
        is_new = np.ones(len(slants), dtype=np.bool_)
        is_new[1:] = (np.diff(slants) != 0) | (np.diff(chains.ring) != 0)
        run = np.cumsum(is_new) - 1
        least = _DIAGONAL_SHARE * np.bincount(chains.ring, weights=length)[chains.ring]
        return np.asarray(slants & (np.bincount(run, weights=length)[run] > least))

    def rectangles(
        self, wanted: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
        """The smallest rectangles around polygons without holes, shrunk to their areas."""
        which = wanted[shapely.get_num_interior_rings(self.ground[wanted]) == 0]
        ground = self.ground[which]
        around = shapely.oriented_envelope(ground)
        # Of some polygons GEOS makes flat ones.
        whole = (shapely.get_type_id(around) == shapely.GeometryType.POLYGON) & (
            shapely.area(around) > 0
        )
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


def _as_array(polygons: list[shapely.Polygon]) -> npt.NDArray[np.object_]:
    """Polygons as an array of objects, also where there is none."""
    found = np.empty(len(polygons), dtype=object)
    found[:] = polygons
    return found


def _without(
    shells: npt.NDArray[np.object_], holes: list[list[shapely.Polygon]]
) -> npt.NDArray[np.object_]:
    """Shells with their holes cut out, of those that cross themselves the largest part."""
    shells = shapely.make_valid(shells, method="structure")
    for i, inner in enumerate(holes):
        rest = shells[i]
        if inner:
            rest = shapely.difference(rest, shapely.union_all(shapely.make_valid(inner)))
        shells[i] = max(shapely.get_parts(rest), key=lambda part: part.area, default=shells[i])
    return shells


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
