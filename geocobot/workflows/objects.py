"""Whether the labels of a training tell single objects apart."""

from __future__ import annotations

from geocobot.config import TrainOptions
from geocobot.errors import ConfigError
from geocobot.workflows.ground import Inputs


def refuse_inseparable(options: TrainOptions, inputs: Inputs) -> None:
    """Refuse to tell objects apart that the labels do not tell apart.

    Raises:
        ConfigError: that is asked for, and there are no polygons or points.
    """
    if not options.separate:
        return
    interiors = [raster.interiors for raster in inputs.rasters]
    if not any(found is not None and found.has_objects for found in interiors):
        kind = "a raster" if None in interiors else "lines"
        raise ConfigError(
            "--separate",
            f"is asked for with labels that are {kind} ({inputs.labels.name})",
            "Where one object ends and the next begins is told by polygons and points only",
            "Leave it out, or pass each object as a polygon",
        )
