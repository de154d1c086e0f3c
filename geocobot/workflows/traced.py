"""Polygons of the pixels of a map and of labels: as far as they are judged, and whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pyproj import CRS
from rasterio.windows import Window

from geocobot.classes import BACKGROUND, IGNORE, ClassSpec
from geocobot.evaluation.plane import on_plane
from geocobot.io.raster_writer import BLOCK_PX
from geocobot.steps import NODATA
from geocobot.tiling import ClassStrip, Strip
from geocobot.tracing.polygonize import CleanOptions, polygonize
from geocobot.workflows.judged import Judged, JudgedRows

_WHERE = ClassSpec(1, "judged", "#000000")
_STRAIGHT_PX = 16
"""So many pixels of an edge are straight in every CRS."""


@dataclass(frozen=True)
class JudgedArea:
    """What is judged.

    Attributes:
        frame: polygons in the CRS of the map's pixels.
        cuts_map: whether a pixel with a class in the map may lie outside.
    """

    frame: gpd.GeoDataFrame
    cuts_map: bool

    @classmethod
    def of(cls, judged: Judged) -> JudgedArea:
        """Trace it; outlines that are not exact belong to it, and cut no object."""
        cut = [judged.truth.boundary_px > 0]
        whole = replace(judged, truth=replace(judged.truth, boundary_px=0))

        def strips() -> Iterator[ClassStrip]:
            for row, rows in _placed(whole):
                is_mapped = (rows.prediction != BACKGROUND) & (rows.prediction != IGNORE)
                cut.append(bool((is_mapped & ~rows.judged).any()))
                yield ClassStrip(row, rows.judged.astype(np.uint8))

        frame = _together(strips(), judged, [_WHERE])
        return cls(frame, any(cut))

    def on(self, plane: CRS, judged: Judged) -> shapely.Geometry:
        """The same on a plane, as one; long edges bend as what lies along them does.

        Args:
            plane: see `plane_around`.
            judged: what was traced.
        """
        bent = self.frame
        if len(bent):
            step = _STRAIGHT_PX * max(judged.grid.res_xy)
            bent = bent.set_geometry(bent.geometry.segmentize(step))
        return shapely.union_all(on_plane(bent, plane, judged.mapped.path).geometry.to_numpy())


def traced_map(judged: Judged) -> gpd.GeoDataFrame:
    """Polygons of the map's pixels that are judged, with scores where it has some."""
    with_scores = _has_scores(judged)
    strips = (
        _map_strip(row, rows.prediction, rows.steps if with_scores else None, judged, rows.judged)
        for row, rows in _placed(judged)
    )
    return _together(strips, judged)


def traced_truth(judged: Judged) -> gpd.GeoDataFrame:
    """Polygons of the labels' pixels that are judged."""
    strips = (
        ClassStrip(row, np.where(rows.judged, rows.truth, np.uint8(IGNORE)))
        for row, rows in _placed(judged)
    )
    return _together(strips, judged)


def whole_map(judged: Judged, area: JudgedArea) -> gpd.GeoDataFrame:
    """Polygons of the map's pixels that reach what is judged, with what of them lies outside."""
    planes = [plane for plane in judged.matching.planes if plane is not None]
    with_scores = _has_scores(judged)
    strips = (
        _map_strip(
            rows.row_off,
            judged.matching.number_of[rows.labels],
            rows.steps[planes] if with_scores and rows.steps is not None else None,
            judged,
        )
        for rows in judged.mapped.rows()
    )
    return _together(strips, judged, within=area.frame)


def whole_truth(judged: Judged, area: JudgedArea) -> gpd.GeoDataFrame:
    """Polygons of the labels' pixels that reach what is judged, with what lies outside."""
    truth = replace(judged.truth, known=None, boundary_px=0)
    height, width = judged.grid.shape

    def strips() -> Iterator[ClassStrip]:
        try:
            for row in range(0, height, BLOCK_PX):
                window = Window(0, row, width, min(BLOCK_PX, height - row))
                yield ClassStrip(row, truth.read(window).classes)
        finally:
            truth.close()

    return _together(strips(), judged, within=area.frame)


def _has_scores(judged: Judged) -> bool:
    """Whether each class of the labels has scores, where the map has any."""
    return all(plane is not None for plane in judged.matching.planes)


def _map_strip(
    row_off: int,
    prediction: npt.NDArray[np.uint8],
    steps: npt.NDArray[np.uint8] | None,
    judged: Judged,
    shown: npt.NDArray[np.bool_] | None = None,
) -> Strip | ClassStrip:
    """Rows of the map in the classes of the labels, nothing where they are not shown."""
    is_there = prediction != IGNORE if shown is None else shown
    if steps is None:
        return ClassStrip(row_off, np.where(is_there, prediction, np.uint8(IGNORE)))
    winning = _winning(steps, prediction, judged.matching.classes)
    return Strip(row_off, np.where(is_there, winning, np.uint8(NODATA)))


def _winning(
    steps: npt.NDArray[np.uint8],
    prediction: npt.NDArray[np.uint8],
    classes: Sequence[ClassSpec],
) -> npt.NDArray[np.uint8]:
    """Scores (K, h, W) of each class where it wins, 0 elsewhere.

    A class of the map that the labels do not have may win as well: its pixels are background.
    """
    numbers = np.array([spec.number for spec in classes], dtype=np.uint8)
    return np.where(prediction == numbers[:, None, None], steps, np.uint8(0))


def _placed(judged: Judged) -> Iterator[tuple[int, JudgedRows]]:
    """Rows, and the first of each."""
    row_off = 0
    for rows in judged.rows():
        yield row_off, rows
        row_off += rows.height


def _together(
    strips: Iterator[Strip | ClassStrip] | Iterator[ClassStrip],
    judged: Judged,
    classes: Sequence[ClassSpec] | None = None,
    *,
    within: gpd.GeoDataFrame | None = None,
) -> gpd.GeoDataFrame:
    """All polygons of strips; those that meet others, where these are given."""
    parts = polygonize(strips, judged.grid, classes or judged.matching.classes, CleanOptions())
    if within is not None:
        tree = shapely.STRtree(within.geometry.to_numpy())
        parts = (
            part.iloc[np.unique(tree.query(part.geometry.to_numpy(), predicate="intersects")[0])]
            for part in parts
        )
    found = [part for part in parts if len(part)]
    if not found:
        return gpd.GeoDataFrame({"class_id": []}, geometry=[], crs=judged.grid.crs)
    return pd.concat(found, ignore_index=True)
