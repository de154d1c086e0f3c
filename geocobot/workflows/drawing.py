"""Strips of scores into polygons in a file: the last stage of mapping, and of vectorizing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from geocobot.centerlines.trace import CenterlineTracer
from geocobot.classes import ClassSpec
from geocobot.config import PredictOptions, VectorizeOptions
from geocobot.errors import ConfigError
from geocobot.grid import GeoGrid
from geocobot.scaling import Scaling
from geocobot.tiling import ClassStrip, Strip
from geocobot.tracing.block import Block
from geocobot.tracing.polygonize import CleanOptions, polygonize
from geocobot.tracing.squaring import SquaringTally
from geocobot.workflows.centerlines import line_options
from geocobot.workflows.class_names import class_numbers
from geocobot.workflows.mapped import ClassTotal, Tally, describe_squaring
from geocobot.workflows.open_targets import OpenTargets
from geocobot.workflows.overview import Overview

_LOG = logging.getLogger("geocobot.workflows")


def draw(
    strips: Iterable[Strip | ClassStrip],
    grid: GeoGrid,
    classes: Sequence[ClassSpec],
    options: PredictOptions | VectorizeOptions,
    files: OpenTargets,
    *,
    scaling: Sequence[Scaling] = (),
    threads: int = 1,
    overview: Overview | None = None,
) -> tuple[ClassTotal, ...]:
    """Trace strips into polygons, clean these, and write them as they come; centerlines at the end.

    Args:
        strips: scores (K, h, W), top to bottom, with a plane of the insides of single objects
            where the options say that these are told apart; or classes (h, W).
        grid: of all of them.
        classes: K classes, with the thresholds in force.
        options: say how the polygons are cleaned.
        files: take them.
        scaling: what has been done to the scores of the classes.
        threads: that trace at the same time.
        overview: is shown all classes.

    Returns:
        What was found of each class.

    Raises:
        OutputError: they cannot be written.
    """
    clean = CleanOptions(
        min_area_m2=options.min_area,
        simplify_m=options.simplify,
        close_holes_m2=options.close_holes,
        despeckle_m2=options.despeckle,
        high_threshold=options.high_threshold or 0.0,
        smooth_m=options.smooth,
        square_classes=_squared_classes(options, classes),
    )
    tally = Tally(classes)
    squaring = SquaringTally(clean.square_classes)
    how = line_options(options, classes)
    tracer = None if how is None else CenterlineTracer(grid, classes, how, threads=threads)
    for frame in polygonize(
        strips,
        grid,
        classes,
        clean,
        threads=threads,
        squaring=squaring,
        separate=bool(options.separate),
        scaling=scaling,
        watch=_watching(tracer, overview),
        faint=None if tracer is None else tracer.leave_out,
    ):
        files.polygons.append(frame)
        tally.add(frame)
    if tracer is not None:
        lines = tracer.finish()
        files.lines.write(lines)
        tally.add_lines(lines, tracer.too_wide)
    totals = tuple(
        replace(total, squaring=squaring.of(spec.number))
        for total, spec in zip(tally.totals(), classes, strict=True)
    )
    for line in describe_squaring(totals):
        _LOG.info(line.strip())
    return totals


def _watching(
    tracer: CenterlineTracer | None, overview: Overview | None
) -> Callable[[Block], None] | None:
    """What looks at the blocks before they are traced; None where nothing does."""
    if overview is None:
        return None if tracer is None else tracer.add

    def watch(block: Block) -> None:
        overview.add(block.row_off, block.classes)
        if tracer is not None:
            tracer.add(block)

    return watch


def check_drawing(options: PredictOptions | VectorizeOptions, classes: Sequence[ClassSpec]) -> None:
    """Refuse options that do not go together, or with the classes.

    Args:
        options: say how the polygons are cleaned.
        classes: that there are.

    Raises:
        ConfigError: classes are to be squared, or to get centerlines, that are not there, or it
            is said how and not that they are.
    """
    line_options(options, classes)
    _squared_classes(options, classes)


def _squared_classes(
    options: PredictOptions | VectorizeOptions, classes: Sequence[ClassSpec]
) -> frozenset[int]:
    """Numbers of the classes whose outlines are squared.

    Raises:
        ConfigError: one is not there, or classes are named and nothing is squared.
    """
    named = options.regularize_classes
    if options.regularize:
        return class_numbers("--regularize-classes", named, classes)
    if named is not None:
        raise ConfigError(
            "--regularize-classes",
            f"names {', '.join(named)}, and nothing is squared",
            "It says which classes --regularize squares",
            "Add --regularize, or leave it out",
        )
    return frozenset()


def tell_if_empty(name: str, totals: Sequence[ClassTotal]) -> None:
    """Warn of a map without a polygon.

    Args:
        name: of the scene, or of the raster of scores.
        totals: what was found of each class.
    """
    if not any(total.polygons for total in totals):
        _LOG.warning(
            "%s: no polygon. No pixel is of a class or scored above its threshold, or --min-area "
            "dropped all.",
            name,
        )
