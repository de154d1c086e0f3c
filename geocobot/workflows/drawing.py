"""Strips of scores into polygons in a file: the last stage of mapping, and of vectorizing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from geocobot.centerlines.trace import CenterlineTracer
from geocobot.classes import ClassSpec
from geocobot.config import PredictOptions, VectorizeOptions
from geocobot.grid import GeoGrid
from geocobot.tiling import Strip
from geocobot.tracing.polygonize import CleanOptions, polygonize
from geocobot.workflows.centerlines import line_options
from geocobot.workflows.mapped import ClassTotal, Tally
from geocobot.workflows.targets import OpenTargets

_LOG = logging.getLogger("geocobot.workflows")


def draw(
    strips: Iterable[Strip],
    grid: GeoGrid,
    classes: Sequence[ClassSpec],
    options: PredictOptions | VectorizeOptions,
    files: OpenTargets,
) -> tuple[ClassTotal, ...]:
    """Trace strips into polygons, clean these, and write them as they come; centerlines at the end.

    Args:
        strips: scores (K, h, W), top to bottom.
        grid: of all of them.
        classes: K classes, with the thresholds in force.
        options: say how the polygons are cleaned.
        files: take them.

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
    how = line_options(options, classes)
    tracer = None if how is None else CenterlineTracer(grid, classes, how)
    watch = None if tracer is None else tracer.add
    for frame in polygonize(strips, grid, classes, clean, watch=watch):
        files.polygons.append(frame)
        tally.add(frame)
    if tracer is not None:
        lines = tracer.finish()
        files.write_centerlines(lines)
        tally.add_lines(lines)
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
