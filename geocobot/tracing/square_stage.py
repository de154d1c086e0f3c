"""Squaring while polygons stream by: each waits until no other one to come can reach it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import shapely

from geocobot.grid import GeoGrid
from geocobot.ground import local_axes
from geocobot.tracing.groups import GroupJoiner
from geocobot.tracing.outlines import Outlines
from geocobot.tracing.ragged import PolygonArray
from geocobot.tracing.seams import SeamJoiner
from geocobot.tracing.square import square

TALLEST_PX = 1024
"""A polygon of more rows is not squared, which bounds how long its neighbors have to wait."""

_REACH_PX = 16
"""A squared outline does not go further beyond the rows and columns of what it was."""

_LEAST_PART_PX = 1.0

_HAIR_PX = 2.0**-24
"""Points of what is left of a polygon that are nearer to one another become one: they would not
stay apart in other units, and a hairline between them would not stay valid."""


@dataclass(frozen=True)
class Drawn:
    """Outlines as they are to be drawn.

    Attributes:
        outlines: (N,) of them, in the reading order of their first pixels.
        iou: (N,) of squared outlines with what they were; NaN where one was not squared.
    """

    outlines: Outlines
    iou: npt.NDArray[np.float64]

    @classmethod
    def of(cls, outlines: Outlines) -> Drawn:
        """Outlines that are drawn as they are."""
        return cls(outlines, np.full(len(outlines.pixels), np.nan))

    def take(self, index: npt.NDArray[np.int64]) -> Drawn:
        """Those with these numbers, in their order."""
        return Drawn(self.outlines.take(index), self.iou[index])

    def followed_by(self, other: Drawn) -> Drawn:
        """These, then others."""
        outlines = self.outlines.followed_by(other.outlines)
        return Drawn(outlines, np.concatenate([self.iou, other.iou]))


class SquareStage:
    """Takes complete polygons, hands back squared ones that do not overlap.

    Every outline is squared for itself. Where it then overlaps others, what is not squared gives
    way to what is, and of two squared outlines that of fewer pixels to the other. A polygon that
    falls apart becomes several, without those below a pixel.

    Args:
        grid: the scene's grid.
        class_numbers: which classes are squared.
        tolerance_m: see `square.square`.
        joiner: where polygons that go on below wait.
    """

    def __init__(
        self,
        grid: GeoGrid,
        class_numbers: AbstractSet[int],
        tolerance_m: float,
        joiner: SeamJoiner | GroupJoiner,
    ) -> None:
        self._grid = grid
        self._class_numbers = class_numbers
        self._tolerance_m = tolerance_m
        self._joiner = joiner
        self._held: Drawn | None = None

    def add(self, outlines: Outlines, end_row: int) -> Drawn:
        """Add the polygons that a block has completed.

        Args:
            outlines: the polygons.
            end_row: the row behind the block's last one.

        Returns:
            The polygons, of this block and those before, that none to come can reach any more.
        """
        new = self._squared(outlines)
        held = new if self._held is None else self._held.followed_by(new)
        first_open = self._joiner.first_open_row(self._class_numbers, end_row - TALLEST_PX)
        is_end = end_row == self._grid.height
        horizon = np.inf if is_end else min(end_row, first_open) - _REACH_PX
        leaves = shapely.bounds(held.outlines.geometry).reshape(-1, 4)[:, 3] <= horizon
        self._give_way(held, leaves)
        self._held = held.take(np.flatnonzero(~leaves))
        done = held.take(np.flatnonzero(leaves))
        self._joiner.cut(done.outlines.geometry[np.isfinite(done.iou)])
        done = _cut(done)
        row, column = done.outlines.first_px.T
        return done.take(np.lexsort([column, row]))

    def _squared(self, outlines: Outlines) -> Drawn:
        """Square those that can be."""
        drawn = outlines.geometry.copy()
        iou = Drawn.of(outlines).iou
        bounds = shapely.bounds(outlines.traced).reshape(-1, 4)
        able = np.flatnonzero(bounds[:, 3] - bounds[:, 1] <= TALLEST_PX)
        if able.size:
            middle = (bounds[able, :2] + bounds[able, 2:]) / 2
            grid = self._grid
            axes = local_axes(grid.crs, grid.transform, middle[:, 1], middle[:, 0])
            found = square(outlines.traced[able], axes, self._tolerance_m)
            further = np.abs(shapely.bounds(found.geometry) - bounds[able]).max(axis=1)
            good = np.isfinite(found.iou) & (further <= _REACH_PX)
            drawn[able[good]], iou[able[good]] = found.geometry[good], found.iou[good]
        return Drawn(replace(outlines, polygons=PolygonArray(drawn)), iou)

    def _give_way(self, held: Drawn, leaves: npt.NDArray[np.bool_]) -> None:
        """Tell polygons of those that they give way to, as soon as one of both leaves."""
        geometry, cutters = held.outlines.geometry, held.outlines.cutters
        winners = np.flatnonzero(np.isfinite(held.iou))
        loser, winner = shapely.STRtree(geometry[winners]).query(geometry, predicate="intersects")
        winner = winners[winner]
        rank = _ranks(held)
        now = (leaves[loser] | leaves[winner]) & (rank[loser] > rank[winner])
        for a, b in zip(loser[now].tolist(), winner[now].tolist(), strict=True):
            cutters[a] = (*cutters[a], geometry[b])


def _ranks(held: Drawn) -> npt.NDArray[np.int64]:
    """Who gives way to whom, (N,): the higher rank to the lower one."""
    outlines = held.outlines
    row, column = outlines.first_px.T
    order = np.lexsort([column, row, -outlines.pixels, np.isnan(held.iou)])
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank


def _cut(drawn: Drawn) -> Drawn:
    """Take off each polygon what it gives way to."""
    geometry, cutters = drawn.outlines.geometry, drawn.outlines.cutters
    index, parts, first_px = [], [], []
    for n, polygon in enumerate(geometry):
        left = [polygon]
        if cutters[n]:
            rest = shapely.difference(polygon, shapely.union_all(list(cutters[n])))
            if shapely.minimum_clearance(rest) < _HAIR_PX:
                rest = shapely.set_precision(rest, _HAIR_PX)
            left = _whole_parts(rest, one=bool(np.isfinite(drawn.iou[n])))
        for i, part in enumerate(left):
            index.append(n)
            parts.append(part)
            inside = shapely.point_on_surface(part)
            first_px.append((int(inside.y), int(inside.x)) if i else drawn.outlines.first_px[n])
    chosen = drawn.take(np.array(index, dtype=np.int64))
    chosen.outlines.geometry[:] = parts
    chosen.outlines.first_px[:] = np.reshape(first_px, (-1, 2))
    return chosen


def _whole_parts(rest: shapely.Geometry, *, one: bool) -> list[shapely.Polygon]:
    """Polygons that are left of one, the largest first, or this one alone."""
    parts = [p for p in shapely.get_parts(rest) if isinstance(p, shapely.Polygon)]
    large = sorted((p for p in parts if p.area >= _LEAST_PART_PX), key=lambda p: -p.area)
    return large[:1] if one else large
