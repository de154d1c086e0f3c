"""What an evaluation compares: a map, labels on its pixels, and where to look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.classes import IGNORE
from geocobot.config import EvaluateOptions
from geocobot.errors import OverlapError
from geocobot.grid import GeoGrid
from geocobot.io.labels import LabelRaster, Labels
from geocobot.io.mapped_area import find_area, read_mapped_area
from geocobot.io.misplaced import in_words
from geocobot.io.placed import PlacedArea
from geocobot.io.scene import Scene
from geocobot.windows import intersect
from geocobot.workflows.ground import read_chosen_labels
from geocobot.workflows.matching import Matching, match_classes
from geocobot.workflows.predicted import Predicted, open_predicted


@dataclass(frozen=True)
class JudgedRows:
    """Full-width rows of truth and prediction, in the classes of the labels.

    Attributes:
        truth: (h, W) class numbers; `IGNORE` where nobody labelled.
        prediction: (h, W) class numbers; `IGNORE` where the map says nothing.
        judged: (h, W), True where there is data, within the area, and a truth.
        steps: (K, h, W) scores of the classes as they are written; None without scores.
        unsaid_px: pixels of a class, within the area, of which the map says nothing.
    """

    truth: npt.NDArray[np.uint8]
    prediction: npt.NDArray[np.uint8]
    judged: npt.NDArray[np.bool_]
    steps: npt.NDArray[np.uint8] | None
    unsaid_px: int

    @property
    def height(self) -> int:
        """How many rows."""
        return len(self.truth)


@dataclass(frozen=True)
class Judged:
    """A map and labels, opened and placed.

    Attributes:
        mapped: the map.
        labels: what is true, not yet tied to pixels.
        truth: the same in the pixels of the map.
        matching: of their classes.
        has_data: scene that says where there is data; None where the map alone does.
        area: what is judged; None for all of it.
        window: the smallest one around that, as far as labels are known there.
    """

    mapped: Predicted
    labels: Labels
    truth: LabelRaster
    matching: Matching
    has_data: Scene | None
    area: PlacedArea | None
    window: Window

    @property
    def grid(self) -> GeoGrid:
        """The pixels that are judged."""
        return self.mapped.scene.grid

    def rows(self) -> Iterator[JudgedRows]:
        """All of it, top to bottom; memory holds a few hundred rows.

        Raises:
            UnreadableFileError: a file is truncated or corrupt.
        """
        planes = [plane for plane in self.matching.planes if plane is not None]
        try:
            for rows in self.mapped.rows():
                height, width = rows.labels.shape
                window = Window(0, rows.row_off, width, height)
                truth = self.truth.read(window).classes
                judged = truth != IGNORE
                if self.has_data is not None:
                    judged &= self.has_data.read(window).valid
                if self.area is not None:
                    judged &= self.area.read(window) > 0
                unsaid = judged & (rows.labels == IGNORE)
                yield JudgedRows(
                    truth,
                    self.matching.number_of[rows.labels],
                    judged & ~unsaid if self.has_data is None else judged,
                    None if rows.steps is None else rows.steps[planes],
                    int(np.count_nonzero(truth[unsaid])),
                )
        finally:
            for opened in (self.has_data, self.area):
                if opened is not None:
                    opened.close()


def open_judged(options: EvaluateOptions) -> Judged:
    """Open a map and labels, match their classes and place them on each other.

    Raises:
        GeocobotError: one of them cannot be used, their classes do not match, or they do not lie
            on each other.
    """
    mapped, has_data = open_predicted(options)
    scene = has_data or mapped.scene
    labels = read_chosen_labels(options, [scene])
    matching = match_classes(
        mapped.classes,
        labels.classes,
        map_name=Path(mapped.path).name,
        labels_name=labels.name,
        knows_all=mapped.kind != "polygons",
    )
    truth = labels.on(scene.grid, scene.name)
    area, window = _place_area(options, scene)
    known = None if truth.known is None else truth.known.around()
    if known is not None:
        window = intersect(window, known) or window
    return Judged(mapped, labels, truth, matching, has_data, area, window)


def _place_area(options: EvaluateOptions, scene: Scene) -> tuple[PlacedArea | None, Window]:
    """What is judged, and the smallest window around it.

    Raises:
        OverlapError: nothing of it lies on the scene.
        GeocobotError: it cannot be read.
    """
    if options.area is None:
        return None, scene.grid.window
    files = find_area(options.area)
    area = read_mapped_area(files).on(scene.grid)
    around = area.around()
    window = None if around is None else scene.grid.clip(around)
    if window is None:
        raise OverlapError(
            in_words([Path(file).name for file in files]),
            f"has nothing on {scene.name}",
            "--area is where the map is judged",
            "Check in QGIS that they lie on each other",
        )
    return area, window
