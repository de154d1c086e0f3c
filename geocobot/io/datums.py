"""How well PROJ can place one datum on another."""

from __future__ import annotations

import logging
import warnings

from pyproj import CRS
from pyproj.aoi import AreaOfInterest
from pyproj.transformer import TransformerGroup

from geocobot.grid import GeoGrid
from geocobot.io.crs import crs_label
from geocobot.io.shapes import bounds_in

_LOG = logging.getLogger("geocobot.io")

_WGS84 = CRS.from_epsg(4326)


def tell_of_shift(crs: CRS, grid: GeoGrid, name: str, scene_name: str) -> None:
    """Warn where features can be placed on a scene by a guess, or worse than they could be.

    Args:
        crs: of the features.
        grid: of the scene.
        name: of the features, for messages.
        scene_name: for messages.
    """
    degrees = bounds_in(grid.bounds, grid.crs, _WGS84)
    if crs == grid.crs or degrees is None:
        return
    with warnings.catch_warnings():
        # What is missing is told below, with what it means.
        warnings.simplefilter("ignore", UserWarning)
        ways = TransformerGroup(
            crs,
            grid.crs,
            always_xy=True,
            area_of_interest=AreaOfInterest(*degrees),  # type: ignore[arg-type] # the stub's slip
        )
    if not ways.transformers:
        return
    best = ways.transformers[0]
    if "ballpark" in best.description.lower():
        _LOG.warning(
            "%s: PROJ knows no shift from its datum (%s) to that of %s (%s) and leaves it out: "
            "features may lie hundreds of metres off. Give the right CRS with --labels-crs.",
            name,
            crs_label(crs),
            scene_name,
            crs_label(grid.crs),
        )
    elif not ways.best_available and best.accuracy > max(grid.ground_pixel_m):
        grids = [g.short_name for o in ways.unavailable_operations for g in o.grids]
        missing = ", ".join(dict.fromkeys(grids))
        _LOG.warning(
            "%s: its features can lie up to %.2g m off on %s, because the grid for the shift "
            "between the datums is not installed (%s). With PROJ_NETWORK=ON PROJ downloads it.",
            name,
            best.accuracy,
            scene_name,
            missing or "unknown",
        )
