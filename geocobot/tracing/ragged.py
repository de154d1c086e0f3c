"""Polygons whose vertices lie in one array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.tracing.lists import elements, offsets_of

Chosen: TypeAlias = npt.NDArray[np.bool_] | npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ragged:
    """Polygons as GeoArrow lays them out.

    Attributes:
        xy: (V, 2) vertices, ring after ring, the first of each repeated at its end.
        rings: (R + 1,) where the rings begin and end.
        polygons: (P + 1,) which rings a polygon has, its outer ring first.
    """

    xy: npt.NDArray[np.float64]
    rings: npt.NDArray[np.int64]
    polygons: npt.NDArray[np.int64]

    @classmethod
    def of(cls, polygons: npt.NDArray[np.object_]) -> Ragged:
        """Take the vertices of (P,) polygons."""
        if not polygons.size:
            return cls(np.empty((0, 2)), np.zeros(1, np.int64), np.zeros(1, np.int64))
        _, xy, (rings, parts) = shapely.to_ragged_array(polygons)
        return cls(xy, rings, parts)

    @classmethod
    def concatenated(cls, parts: Sequence[Ragged]) -> Ragged:
        """The polygons of several, in their order; at least one."""
        xy = np.concatenate([part.xy for part in parts])
        rings = _joined_offsets([part.rings for part in parts])
        return cls(xy, rings, _joined_offsets([part.polygons for part in parts]))

    def __len__(self) -> int:
        """Number of polygons."""
        return len(self.polygons) - 1

    def __getitem__(self, chosen: Chosen) -> Ragged:
        """Some of the polygons, by number or (P,) bool."""
        index = np.arange(len(self))[chosen]
        ring, polygons = elements(self.polygons, index)
        vertex, rings = elements(self.rings, ring)
        return Ragged(self.xy[vertex], rings, polygons)

    @property
    def corners(self) -> npt.NDArray[np.int64]:
        """How many vertices each polygon (P,) has, the first of a ring counted at its end too."""
        return np.diff(self.rings[self.polygons])

    @property
    def bounds(self) -> npt.NDArray[np.float64]:
        """Least x and y, largest x and y of each polygon, (P, 4)."""
        if not len(self):
            return np.empty((0, 4))
        first = self.rings[self.polygons[:-1]]
        return np.concatenate(
            [np.minimum.reduceat(self.xy, first), np.maximum.reduceat(self.xy, first)], axis=1
        )

    @property
    def is_hole(self) -> npt.NDArray[np.bool_]:
        """Which rings (R,) are holes."""
        hole = np.ones(len(self.rings) - 1, dtype=np.bool_)
        hole[self.polygons[:-1]] = False
        return hole

    def oriented(self) -> Ragged:
        """The same, outer rings counter-clockwise where y runs upwards, holes clockwise."""
        if not len(self):
            return self
        first = self.rings[:-1]
        lengths = np.diff(self.rings)
        # From the first vertex of each ring, so that no digits are lost far from the origin.
        x, y = (self.xy - np.repeat(self.xy[first], lengths, axis=0)).T
        twice = x[:-1] * y[1:] - x[1:] * y[:-1]
        twice = np.append(twice, 0.0)
        twice[self.rings[1:] - 1] = 0
        turned = (np.add.reduceat(twice, first) > 0) == self.is_hole
        if not turned.any():
            return self
        vertex = np.arange(len(self.xy))
        mirrored = np.repeat(first + self.rings[1:] - 1, lengths) - vertex
        return replace(self, xy=self.xy[np.where(np.repeat(turned, lengths), mirrored, vertex)])

    def build(self) -> npt.NDArray[np.object_]:
        """Polygons (P,) of these vertices."""
        if not len(self):
            return np.empty(0, dtype=object)
        built: npt.NDArray[np.object_] = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, self.xy, (self.rings, self.polygons)
        )
        return built


@dataclass
class PolygonArray:
    """Polygons as arrays of vertices or as objects, the one made of the other when asked for.

    Attributes:
        held: (P,) of them, as either.
    """

    held: Ragged | npt.NDArray[np.object_]

    @classmethod
    def concatenated(cls, parts: Sequence[PolygonArray]) -> PolygonArray:
        """The polygons of several, in their order; at least one."""
        objects = [part.held for part in parts if not isinstance(part.held, Ragged)]
        if len(objects) == len(parts):
            return cls(np.concatenate(objects))
        return cls(Ragged.concatenated([part.ragged for part in parts]))

    def __len__(self) -> int:
        """Number of polygons."""
        return len(self.held)

    def __getitem__(self, chosen: Chosen) -> PolygonArray:
        """Some of the polygons, by number or (P,) bool."""
        return PolygonArray(self.held[chosen])

    @property
    def objects(self) -> npt.NDArray[np.object_]:
        """(P,) polygons of shapely, which may be replaced by others from now on."""
        if isinstance(self.held, Ragged):
            self.held = self.held.build()
        return self.held

    @property
    def ragged(self) -> Ragged:
        """Their vertices."""
        return self.held if isinstance(self.held, Ragged) else Ragged.of(self.held)

    @property
    def corners(self) -> npt.NDArray[np.int64]:
        """How many vertices each polygon (P,) has, the first of a ring counted at its end too."""
        if isinstance(self.held, Ragged):
            return self.held.corners
        return np.asarray(shapely.get_num_coordinates(self.held), dtype=np.int64)

    @property
    def bounds(self) -> npt.NDArray[np.float64]:
        """Least x and y, largest x and y of each polygon, (P, 4)."""
        if isinstance(self.held, Ragged):
            return self.held.bounds
        return np.asarray(shapely.bounds(self.held)).reshape(-1, 4)


def _joined_offsets(parts: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Offsets into arrays that are put behind each other."""
    return offsets_of(np.concatenate([np.diff(part) for part in parts]))


def cut_edges(
    xy: npt.NDArray[np.float64], rings: npt.NDArray[np.int64], longest: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Cut edges into equal parts that are no longer than asked for.

    Args:
        xy: (V, 2) vertices of closed rings.
        rings: (R + 1,) where the rings begin and end.
        longest: length of an edge at most.

    Returns:
        The vertices, and where the rings begin and end among them.
    """
    step = np.diff(xy, axis=0, append=xy[-1:])
    step[rings[1:] - 1] = 0  # no edge leads from one ring to the next
    parts = np.maximum(np.ceil(np.hypot(step[:, 0], step[:, 1]) / longest), 1).astype(np.int64)
    if (parts == 1).all():
        return xy, rings
    offsets = np.concatenate([[0], np.cumsum(parts)])
    part = np.arange(offsets[-1]) - np.repeat(offsets[:-1], parts)
    share = part / np.repeat(parts, parts)
    return np.repeat(xy, parts, axis=0) + share[:, None] * np.repeat(step, parts, axis=0), offsets[
        rings
    ]
