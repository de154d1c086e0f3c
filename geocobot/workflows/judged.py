"""What an evaluation compares: a map, labels on its pixels, and where to look."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.classes import IGNORE
from geocobot.config import EvaluateOptions
from geocobot.errors import ConfigError, OverlapError
from geocobot.grid import GeoGrid
from geocobot.io.labels import LabelRaster, Labels
from geocobot.io.mapped_area import find_area, read_mapped_area
from geocobot.io.misplaced import in_words
from geocobot.io.opening import file_name
from geocobot.io.placed import Placeable, PlacedArea
from geocobot.io.scene import Scene
from geocobot.windows import intersect
from geocobot.workflows.ground import read_chosen_labels
from geocobot.workflows.map_pairs import pair_maps
from geocobot.workflows.matching import Matching, match_classes
from geocobot.workflows.predicted import Predicted, open_predicted

_LOG = logging.getLogger("geocobot.workflows")


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

    @property
    def scene(self) -> Scene:
        """The scene that was mapped, or the map itself where none is known."""
        return self.has_data or self.mapped.scene

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
            for opened in (self.truth, self.has_data, self.area):
                if opened is not None:
                    opened.close()


def open_judged(options: EvaluateOptions) -> tuple[Judged, ...]:
    """Open maps and labels, match their classes and place them on each other, scene by scene.

    Of several scenes one may have no label, which counts as background, and one may have nothing
    of --area, which is left out; both are told of.

    Raises:
        GeocobotError: one of them cannot be used, their classes do not match, or they do not lie
            on each other.
    """
    opened = [found for pair in pair_maps(options) for found in open_predicted(pair, options)]
    _refuse_mixed([mapped for mapped, _ in opened])
    scenes = [has_data or mapped.scene for mapped, has_data in opened]
    labels = read_chosen_labels(options, scenes)
    if len(scenes) == 1:
        truths: tuple[LabelRaster, ...] = (labels.on(scenes[0].grid, scenes[0].name),)
    else:
        truths = labels.on_each(scenes)
    area = None if options.area is None else _Area.read(options.area)
    known = {spec.name for mapped, _ in opened for spec in mapped.classes}
    matchings: dict[str, Matching] = {}
    judged, left_out = [], []
    for (mapped, has_data), scene, truth in zip(opened, scenes, truths, strict=True):
        placed, window = (None, scene.grid.window) if area is None else area.on(scene)
        if window is None:
            left_out.append(scene.name)
            continue
        labelled = None if truth.known is None else truth.known.around()
        if labelled is not None:
            window = intersect(window, labelled) or window
        if mapped.path not in matchings:
            matchings[mapped.path] = _match(mapped, labels, known)
        matching = matchings[mapped.path]
        judged.append(Judged(mapped, labels, truth, matching, has_data, placed, window))
    if area is not None and left_out:
        area.tell_of(left_out, nothing_left=not judged)
    return tuple(judged)


def _match(mapped: Predicted, labels: Labels, known: Collection[str]) -> Matching:
    """Which class of a map is which of the labels; `known` are those of all maps."""
    return match_classes(
        mapped.classes,
        labels.classes,
        map_name=file_name(mapped.path),
        labels_name=labels.name,
        knows_all=mapped.kind != "polygons",
        elsewhere=known if mapped.kind == "polygons" else (),
    )


def _refuse_mixed(maps: Sequence[Predicted]) -> None:
    """Refuse maps of several kinds, whose figures are not the same.

    Raises:
        ConfigError: there are some.
    """
    first = maps[0]
    other = next((m for m in maps if m.kind != first.kind), None)
    if other is not None:
        raise ConfigError(
            "--pred",
            f"names {file_name(first.path)}, which holds {first.kind}, and "
            f"{file_name(other.path)}, which holds {other.kind}",
            "Maps that are judged together are of one kind, as scores tell more than classes",
            "Name those of one kind, such as with a pattern: 'maps/*_scores.tif'",
        )


@dataclass(frozen=True)
class _Area:
    """What is judged, not yet tied to a scene.

    Attributes:
        names: of its files.
        whole: all of it.
    """

    names: tuple[str, ...]
    whole: Placeable

    @classmethod
    def read(cls, given: Sequence[str]) -> _Area:
        """Read it.

        Raises:
            GeocobotError: it cannot be read.
        """
        files = find_area(given)
        return cls(tuple(file_name(file) for file in files), read_mapped_area(files))

    def on(self, scene: Scene) -> tuple[PlacedArea, Window | None]:
        """What of a scene is judged, and the smallest window around it; None for nothing."""
        placed = self.whole.on(scene.grid)
        around = placed.around()
        return placed, None if around is None else scene.grid.clip(around)

    def tell_of(self, left_out: Sequence[str], *, nothing_left: bool) -> None:
        """Say on which scenes it has nothing.

        Raises:
            OverlapError: these are all.
        """
        if nothing_left:
            raise OverlapError(
                in_words(self.names),
                f"has nothing on {in_words(left_out)}",
                "--area is where the map is judged",
                "Check in QGIS that they lie on each other",
            )
        _LOG.warning(
            "%s has nothing on %s, which %s not judged.",
            in_words(self.names),
            in_words(left_out),
            "is" if len(left_out) == 1 else "are",
        )
