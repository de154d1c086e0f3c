"""Strips of scores into polygons in a file: the last stage of mapping, and of vectorizing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from geocobot.classes import ClassSpec
from geocobot.config import PredictOptions, VectorizeOptions
from geocobot.grid import GeoGrid
from geocobot.io.polygons import PolygonWriter
from geocobot.tiling import Strip
from geocobot.tracing.polygonize import CleanOptions, polygonize
from geocobot.workflows.mapped import ClassTotal, Tally

_LOG = logging.getLogger("geocobot.workflows")


def draw(
    strips: Iterable[Strip],
    grid: GeoGrid,
    classes: Sequence[ClassSpec],
    options: PredictOptions | VectorizeOptions,
    sink: PolygonWriter,
) -> tuple[ClassTotal, ...]:
    """Trace strips into polygons, clean these, and write them as they come.

    Args:
        strips: scores (K, h, W), top to bottom; with a plane of the insides of single objects
            where the options say that these are told apart.
        grid: of all of them.
        classes: K classes, with the thresholds in force.
        options: say how the polygons are cleaned.
        sink: takes them.

    Returns:
        What was found of each class.

    Raises:
        OutputError: they cannot be written.
    """
    clean = CleanOptions(
        min_area_m2=options.min_area,
        simplify_m=options.simplify,
        close_holes_m2=options.close_holes,
    )
    tally = Tally(classes)
    for frame in polygonize(strips, grid, classes, clean, separate=bool(options.separate)):
        sink.append(frame)
        tally.add(frame)
    return tally.totals()


def tell_if_empty(name: str, totals: Sequence[ClassTotal]) -> None:
    """Warn of a map without a polygon.

    Args:
        name: of the scene, or of the raster of scores.
        totals: what was found of each class.
    """
    if not any(total.polygons for total in totals):
        _LOG.warning(
            "%s: no polygon. No pixel scored above the threshold, or --min-area dropped all.", name
        )
