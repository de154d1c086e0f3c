"""Shapes on pixels: signed distances in metres, coverage, inside or outside."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.synthetic.frame import Array, Cut, Points, Reals


@dataclass(frozen=True)
class Box:
    """A rectangle that may be turned.

    Attributes:
        x_m: center.
        y_m: center.
        length_m: side along `angle`.
        width_m: side across `angle`.
        angle: direction of the length, counter-clockwise from east, in radians.
    """

    x_m: float
    y_m: float
    length_m: float
    width_m: float
    angle: float

    @property
    def radius_m(self) -> float:
        """Distance from the center to a corner."""
        return float(np.hypot(self.length_m, self.width_m)) / 2

    @property
    def axes(self) -> Points:
        """(2, 2): unit vectors along and across."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.array([[c, s], [-s, c]])

    def corners(self, grow_m: float = 0.0) -> Points:
        """(4, 2) corners, every side pushed out by `grow_m`."""
        half = np.array([self.length_m, self.width_m]) / 2 + grow_m
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        corners = np.array([self.x_m, self.y_m]) + (signs * half) @ self.axes
        return np.asarray(corners, np.float64)

    def polygon(self, grow_m: float = 0.0) -> shapely.Polygon:
        """The rectangle as a polygon, every side pushed out by `grow_m`."""
        return shapely.Polygon(self.corners(grow_m))

    def at(self, along_m: float, across_m: float) -> tuple[float, float]:
        """X and y of a place given along and across from the center."""
        x, y = np.array([self.x_m, self.y_m]) + np.array([along_m, across_m]) @ self.axes
        return float(x), float(y)

    def coordinates(self, cut: Cut) -> tuple[Array, Array]:
        """(h, w) metres along and across from the center, for every pixel."""
        return turned(cut, self.x_m, self.y_m, self.angle)

    def distance(self, cut: Cut) -> Array:
        """(h, w) metres to the outline, negative inside."""
        p, q = self.coordinates(cut)
        return box_distance(p, q, self.length_m / 2, self.width_m / 2)


def turned(cut: Cut, x_m: float, y_m: float, angle: float) -> tuple[Array, Array]:
    """(h, w) metres along and across a direction, from a point, for every pixel."""
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    dx, dy = cut.x_m - np.float32(x_m), cut.y_m - np.float32(y_m)
    return dx * c + dy * s, dy * c - dx * s


def box_distance(p: Array, q: Array, half_p: float, half_q: float) -> Array:
    """Metres to the outline of a rectangle around the origin, negative inside."""
    a, b = np.abs(p) - np.float32(half_p), np.abs(q) - np.float32(half_q)
    outside = np.hypot(np.maximum(a, 0), np.maximum(b, 0))
    return outside + np.minimum(np.maximum(a, b), 0)


def coverage(distance_m: Reals, soft_m: float) -> Array:
    """Share of each pixel that a shape covers, from its signed distance.

    Args:
        distance_m: metres to the outline, negative inside.
        soft_m: width of the edge: the pixel's side, or more for a frayed edge.
    """
    return np.asarray(np.clip(0.5 - distance_m / np.float32(soft_m), 0, 1), np.float32)


def segment_distance(cut: Cut, start: Points, end: Points) -> tuple[Array, Array, Array]:
    """Distances to one straight segment.

    Returns:
        (h, w) metres to the segment; metres along it, 0 at its start, cut at its ends; and
        metres to the left of its line, negative to the right.
    """
    step = end - start
    length = float(np.hypot(*step))
    p, q = turned(cut, float(start[0]), float(start[1]), float(np.arctan2(step[1], step[0])))
    along = np.clip(p, 0, np.float32(length))
    return np.hypot(p - along, q), along, q


def inside(polygon: shapely.Geometry, cut: Cut) -> npt.NDArray[np.bool_]:
    """(h, w) True where the pixel's center lies in a polygon or multipolygon.

    Even-odd rule along rows: every crossing of an outline flips the pixels to its right.
    """
    flips = np.zeros((cut.shape[0], cut.shape[1] + 1), np.int32)
    x, y = cut.x_m[0].astype(np.float64), cut.y_m[:, 0].astype(np.float64)
    for ring in shapely.get_rings(shapely.get_parts(polygon)):
        at = shapely.get_coordinates(ring)
        for (xa, ya), (xb, yb) in pairwise(at):
            rows = np.flatnonzero((ya <= y) != (yb <= y))
            crossing = xa + (y[rows] - ya) * (xb - xa) / (yb - ya) if rows.size else rows
            np.add.at(flips, (rows, np.searchsorted(x, crossing)), 1)
    return (np.cumsum(flips[:, :-1], axis=1) % 2).astype(bool)
