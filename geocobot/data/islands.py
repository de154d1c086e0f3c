"""Where the labelled pixels of a scene lie together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rasterio.windows import Window
from scipy import ndimage

from geocobot.data.survey import Survey


@dataclass(frozen=True)
class Island:
    """Labelled pixels with more of them within about a patch.

    Attributes:
        scene: position of the scene in the run.
        window: around them, in pixels of the scene, and at least of a patch.
        labelled_px: how many they are.
    """

    scene: int
    window: Window
    labelled_px: int


def find_islands(survey: Survey, scene: int, extent: Window, patch_px: int) -> list[Island]:
    """The islands of a scene; one of all of it where it is labelled from edge to edge.

    Args:
        survey: of the scene.
        scene: its position in the run.
        extent: its window, padded to a patch.
        patch_px: patch side.
    """
    labelled = survey.cells.sum(axis=0)
    coarse = max(1, patch_px // survey.cell_px)
    padded = np.pad(labelled, [(0, -length % coarse) for length in labelled.shape])
    rows, cols = (length // coarse for length in padded.shape)
    blocks = padded.reshape(rows, coarse, cols, coarse).sum(axis=(1, 3))
    numbers, _ = ndimage.label(blocks > 0, structure=np.ones((3, 3)))
    found = []
    for number, places in enumerate(ndimage.find_objects(numbers), start=1):
        own = np.kron(numbers[places] == number, np.ones((coarse, coarse), dtype=np.int64))
        top, left = (part.start * coarse for part in places)
        cells = padded[top : top + own.shape[0], left : left + own.shape[1]] * own
        south, east = (np.flatnonzero(cells.any(axis=axis)) for axis in (1, 0))
        col, width = _span(left + int(east[0]), left + int(east[-1]) + 1, survey.cell_px)
        row, height = _span(top + int(south[0]), top + int(south[-1]) + 1, survey.cell_px)
        col, width = _at_least(col, min(width, extent.width - col), patch_px, extent.width)
        row, height = _at_least(row, min(height, extent.height - row), patch_px, extent.height)
        found.append(Island(scene, Window(col, row, width, height), int(cells.sum())))
    return found


def _span(first: int, last: int, cell_px: int) -> tuple[int, int]:
    """Offset and length, in pixels, of cells from one to before another."""
    return first * cell_px, (last - first) * cell_px


def _at_least(offset: int, length: int, least: int, most: int) -> tuple[int, int]:
    """A stretch made so long to both sides, within what there is."""
    if length >= least:
        return offset, length
    begin = min(max(offset - (least - length) // 2, 0), most - least)
    return begin, least
