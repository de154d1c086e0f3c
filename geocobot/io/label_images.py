"""Labels that are rasters of class numbers, such as maps of land cover or maps made before."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from geocobot.classes import BACKGROUND, ClassSpec, name_classes, parse_classes
from geocobot.errors import EmptyLabelsError, OverlapError
from geocobot.grid import GeoGrid
from geocobot.io.area import Area
from geocobot.io.class_file import ClassFile, read_class_file
from geocobot.io.label_raster import LabelRaster
from geocobot.io.misplaced import in_words, no_overlap
from geocobot.io.scene import Scene
from geocobot.io.values import refuse_too_many, refuse_unknown
from geocobot.io.warped_classes import WarpedClasses

_LOG = logging.getLogger("geocobot.io")


@dataclass(frozen=True)
class ImageLabels:
    """Rasters of class numbers, not yet tied to a scene.

    0 is background; nodata, and what lies outside of all files, is unknown.

    Attributes:
        classes: in the order of their numbers.
        files: where files overlap the later one wins.
        number_of: the class number of each value that is a class.
        area: where the labels are complete; None where they are throughout.
        boundary_px: pixels so close to the boundary of a class are unknown.
    """

    classes: tuple[ClassSpec, ...]
    files: tuple[ClassFile, ...]
    number_of: Mapping[int, int]
    area: Area | None = None
    boundary_px: int = 0

    @property
    def name(self) -> str:
        """The files in a few words."""
        return in_words([file.name for file in self.files])

    def on(self, grid: GeoGrid, scene_name: str) -> LabelRaster:
        """Place the labels on a scene.

        Args:
            grid: of the scene.
            scene_name: for messages.

        Raises:
            OverlapError: no file lies on the scene.
        """
        near = self._near(grid)
        if not near:
            raise self._no_overlap(grid, scene_name)
        return self._place(grid, near)

    def on_each(self, scenes: Sequence[Scene]) -> tuple[LabelRaster, ...]:
        """Place the labels on scenes; where no file lies on one, nothing is known there.

        Raises:
            OverlapError: no file lies on any of the scenes.
        """
        near = [self._near(scene.grid) for scene in scenes]
        if not any(near):
            raise self._no_overlap(scenes[0].grid, scenes[0].name)
        return tuple(self._place(s.grid, files) for s, files in zip(scenes, near, strict=True))

    def digest(self) -> bytes:
        """SHA-256 of the files' pixels and of what is made of them."""
        said = (
            [(f.grid.crs.to_wkt(), f.grid.bounds, f.nodata, f.checksum) for f in self.files],
            sorted(self.number_of.items()),
        )
        return hashlib.sha256(repr(said).encode()).digest()

    def _near(self, grid: GeoGrid) -> tuple[ClassFile, ...]:
        """The files that lie on a scene, as far as their extents tell."""
        return tuple(file for file in self.files if file.meets(grid))

    def _place(self, grid: GeoGrid, files: tuple[ClassFile, ...]) -> LabelRaster:
        """The labels on a scene."""
        warped = WarpedClasses.of(files, grid, self.number_of)
        known = None if self.area is None else self.area.on(grid)
        return LabelRaster(grid, warped, known, self.boundary_px)

    def _no_overlap(self, grid: GeoGrid, scene_name: str) -> OverlapError:
        """Why no file lies on a scene."""
        first = self.files[0]
        return no_overlap(first.grid.bounds, first.grid.crs, [first.name], grid, scene_name)


def read_image_labels(
    paths: Sequence[str],
    *,
    classes: Sequence[str] | None = None,
    area: Area | None = None,
    boundary_px: int = 0,
) -> ImageLabels:
    """Read rasters of class numbers once, and sort their values into classes.

    Args:
        paths: raster files; at least one.
        classes: names or values of the classes to use, in this order, as `parse_classes` reads
            them; None for all, by value.
        area: where the labels are complete; None where they are throughout.
        boundary_px: pixels so close to the boundary of a class are unknown.

    Raises:
        BandError: a file has several bands, or numbers that are not whole.
        EmptyLabelsError: nothing but background is in them.
        FieldError: a class does not occur, or there are too many.
        GeocobotError: a file cannot be read or has no place, or `classes` is no list of classes.
    """
    files = tuple(read_class_file(path) for path in paths)
    source = in_words([file.name for file in files])
    values = sorted({v for file in files for v in file.values} - {BACKGROUND})
    if not values:
        raise EmptyLabelsError(
            source,
            "has no class",
            "Its values are class numbers, and 0 is background",
            "Look at the file in QGIS",
        )
    names = {v: n for file in reversed(files) for v, n in file.names.items() if v in values}
    named = {v: names.get(v, str(v)) for v in values}
    asked = None if classes is None else parse_classes(classes)
    chosen = _by_name(named) if asked is None else _chosen(named, list(asked), source)
    refuse_too_many(list(chosen), source, "Name those to learn with --classes, or group them first")
    colors = {
        named[v]: color
        for file in reversed(files)
        for v, color in file.colors.items()
        if v in named
    }
    for text, color in (asked or {}).items():
        if color is not None:
            colors[text if text in chosen else named[int(text)]] = color
    number_of = {v: number for number, own in enumerate(chosen.values(), start=1) for v in own}
    specs = name_classes(list(chosen), colors)
    by_value = dict(sorted(number_of.items()))
    _LOG.info(
        "%s: %d class%s (%s); 0 is background.",
        source,
        len(specs),
        "" if len(specs) == 1 else "es",
        in_words(list(chosen), most=12),
    )
    return ImageLabels(specs, files, by_value, area, boundary_px)


def _by_name(named: Mapping[int, str]) -> dict[str, list[int]]:
    """The values of each name, in the order of the first ones."""
    found: dict[str, list[int]] = {}
    for value, name in named.items():
        found.setdefault(name, []).append(value)
    return found


def _chosen(named: Mapping[int, str], asked: Sequence[str], source: str) -> dict[str, list[int]]:
    """The values of the classes asked for, by name or by value, in the order asked."""
    values_of = _by_name(named)
    single = {str(value): value for value in named}
    # A named class may be asked for by its value as well, which the message leaves out.
    unknown = (text for text in asked if text not in values_of and text not in single)
    refuse_unknown(unknown, list(values_of), source)
    found: dict[str, list[int]] = {}
    for text in asked:
        values = values_of.get(text) or [single[text]]
        own = found.setdefault(named[values[0]], [])
        own += [value for value in values if value not in own]
    return found
