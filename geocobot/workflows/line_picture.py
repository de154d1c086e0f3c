"""Lines that are right, false and missed, as a small picture."""

from __future__ import annotations

from collections.abc import Iterator

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from PIL import Image, ImageDraw

from geocobot.evaluation.line_errors import MAP_SIDE, LineErrors
from geocobot.grid import GeoGrid
from geocobot.io.quicklook import Sampling
from geocobot.io.shapes import to_pixels
from geocobot.io.styles.errors import FALSE_RGB, MISSED_RGB, RIGHT_RGB
from geocobot.workflows.overview import paled

_LINE_PX, _CASING_PX = 3, 5
_MARK_PX = 7
_WHITE = (255, 255, 255)

Polyline = list[tuple[float, float]]


def line_picture(
    lines: LineErrors, grid: GeoGrid, sampling: Sampling, below: npt.NDArray[np.uint8] | None
) -> npt.NDArray[np.uint8]:
    """What is right, false, missed and interrupted (h, w, 3), all classes together.

    Args:
        lines: errors, in the CRS of the grid.
        grid: of the pixels.
        sampling: which of them are shown.
        below: picture of the scene, or None.
    """
    picture = Image.fromarray(np.rint(paled(sampling.shape, below)).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    right = lines.right[lines.right["side"] == MAP_SIDE]
    drawn = [
        (list(_in_picture(frame, grid, sampling)), rgb)
        for frame, rgb in ((right, RIGHT_RGB), (lines.false, FALSE_RGB), (lines.missed, MISSED_RGB))
    ]
    for some, _ in drawn:
        for line in some:
            draw.line(line, fill=_WHITE, width=_CASING_PX)
    for some, rgb in drawn:
        for line in some:
            draw.line(line, fill=rgb, width=_LINE_PX)
    for frame, rgb in ((lines.false_links, FALSE_RGB), (lines.breaks, MISSED_RGB)):
        for ((x, y),) in _in_picture(frame, grid, sampling):
            for size_px, color in ((_MARK_PX + 2, _WHITE), (_MARK_PX, rgb)):
                corners = [(x - size_px, y), (x, y - size_px), (x + size_px, y), (x, y + size_px)]
                draw.polygon(corners, fill=color)
    return np.asarray(picture)


def _in_picture(frame: gpd.GeoDataFrame, grid: GeoGrid, sampling: Sampling) -> Iterator[Polyline]:
    """The corners of each line, or a point, in pixels of the picture."""
    for shape in to_pixels(np.asarray(frame.geometry.array), grid):
        yield [(x, y) for x, y in (shapely.get_coordinates(shape) / sampling.step).tolist()]
