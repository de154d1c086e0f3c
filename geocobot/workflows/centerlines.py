"""Which classes get centerlines, and how, by the options."""

from __future__ import annotations

from collections.abc import Sequence

from geocobot.centerlines.trace import LineOptions, rows_held
from geocobot.classes import ClassSpec
from geocobot.config import PredictOptions, VectorizeOptions
from geocobot.errors import ConfigError
from geocobot.grid import GeoGrid
from geocobot.workflows.class_names import class_numbers


def line_options(
    options: PredictOptions | VectorizeOptions, classes: Sequence[ClassSpec]
) -> LineOptions | None:
    """How centerlines are drawn; None where none are.

    Args:
        options: of the command.
        classes: that there are.

    Raises:
        ConfigError: they say how centerlines are drawn, and none are; or name an unknown class.
    """
    if not options.centerlines:
        _refuse_without(options)
        return None
    return LineOptions(
        class_numbers=class_numbers("--centerline-classes", options.centerline_classes, classes),
        bridge_gaps_m=options.bridge_gaps,
        simplify_m=options.simplify,
        min_area_m2=options.min_area,
    )


def line_rows(options: PredictOptions | VectorizeOptions, grid: GeoGrid) -> int:
    """Rows of a scene that are held to draw its centerlines; 0 where none are drawn."""
    return rows_held(grid, options.bridge_gaps) if options.centerlines else 0


def _refuse_without(options: PredictOptions | VectorizeOptions) -> None:
    """Refuse to say how centerlines are drawn where none are."""
    for flag, is_given in (
        ("--centerline-classes", options.centerline_classes is not None),
        ("--bridge-gaps", options.bridge_gaps > 0),
    ):
        if is_given:
            raise ConfigError(
                flag,
                "is given, and no centerlines are drawn",
                "It says how centerlines are drawn",
                "Add --centerlines, or leave it out",
            )
