"""Rasters of class numbers, read strip by strip: geocobot's own, and anybody's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from geocobot.classes import BACKGROUND, IGNORE, MAX_CLASSES, ClassSpec, name_classes
from geocobot.errors import BandError
from geocobot.grid import GeoGrid
from geocobot.io.class_file import class_names, color_table, read_class_file
from geocobot.io.opening import check_path, file_stem, look_at
from geocobot.io.raster_writer import BLOCK_PX
from geocobot.io.scene import Scene
from geocobot.io.score_file import are_steps, score_bands
from geocobot.tiling import ClassStrip

_MOST_UNNAMED = 100
"""More different numbers than these are no classes that nobody has named."""


@dataclass(frozen=True)
class ClassRaster:
    """A raster of class numbers.

    Attributes:
        scene: the raster, with one band.
        classes: that occur, or that the file names.
        numbers: class number of each value, where they are not the same.
    """

    scene: Scene
    classes: tuple[ClassSpec, ...]
    numbers: Mapping[int, int]

    @classmethod
    def open(cls, path: str | Path) -> ClassRaster:
        """Look at a raster; where it does not name its classes, at every pixel.

        Class 0 is what is no class, whatever it is called, and whether or not it is declared as
        nodata. A raster that holds numbers beyond 1 to 254 has its classes numbered from 1 on; one
        that holds nothing has one class, of which there is no pixel.

        Args:
            path: file name, URL or GDAL name.

        Raises:
            MissingFileError: there is no such file.
            UnreadableFileError: GDAL cannot open or read it.
            BandError: it has too many numbers to be classes.
            CrsError: it has no CRS.
            GridError: it has no geotransform, or a rotated one.
        """
        names, colors = look_at(str(path), lambda file: (class_names(file), color_table(file)))
        names.pop(BACKGROUND, None)
        scene = _open_scene(path)
        values: Sequence[int] = sorted(names)
        if not values:
            values = [v for v in read_class_file(str(path)).values if v != BACKGROUND] or [1]
            _check_values(path, values)
        fits = all(0 < value <= MAX_CLASSES for value in values)
        first: dict[str, int] = {}  # values of one name are one class
        numbers = {
            value: first.setdefault(
                names.get(value, _unnamed(value, values, path)), value if fits else i
            )
            for i, value in enumerate(values, start=1)
        }
        shown = {number: colors[v] for v, number in reversed(numbers.items()) if v in colors}
        classes = tuple(
            ClassSpec(number=number, name=spec.name, color=shown.get(number, spec.color))
            for number, spec in zip(first.values(), name_classes(list(first)), strict=True)
        )
        is_same = all(value == number for value, number in numbers.items())
        return cls(scene, classes, {} if is_same else numbers)

    @property
    def path(self) -> str:
        """File name, URL or GDAL name."""
        return self.scene.path

    @property
    def grid(self) -> GeoGrid:
        """North-up grid of the pixels."""
        return self.scene.grid

    def strips(self) -> Iterator[ClassStrip]:
        """All of it, top to bottom, in strips of at most `BLOCK_PX` rows.

        Raises:
            UnreadableFileError: the file is truncated or corrupt.
            BandError: a value is none of those that the file names.
        """
        known = self._known()
        height, width = self.grid.shape
        try:
            for row in range(0, height, BLOCK_PX):
                window = Window(0, row, width, min(BLOCK_PX, height - row))
                yield ClassStrip(row, self._labels(window, known))
        finally:
            self.scene.close()

    def named_as(self, classes: tuple[ClassSpec, ...], model: str) -> ClassRaster:
        """The same with the names and colors of a model's classes.

        Args:
            classes: the model's.
            model: the file's name, for messages.

        Raises:
            BandError: the raster has a class that the model does not know.
        """
        strange = {s.number for s in self.classes} - {s.number for s in classes}
        if strange:
            raise BandError(
                self.path,
                f"has class {min(strange)}, and {model} has none of that number",
                "The model says what the numbers are called",
                "Name the model that the classes come from, or leave --model out",
            )
        return replace(self, classes=classes)

    def _labels(self, window: Window, known: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Class numbers of full-width rows, `IGNORE` where there is no data."""
        values, valid = self.scene.read_inside(window)
        if self.numbers:
            labels = np.zeros(values.shape[1:], dtype=np.uint8)
            for value, number in self.numbers.items():
                labels[values[0] == value] = number
            strange = (labels == BACKGROUND) & (values[0] != BACKGROUND)
        else:
            labels = values[0].astype(np.uint8, copy=False)
            strange = (known[labels] == 0) | (labels != values[0])
        strange &= valid  # nodata may be any number
        if strange.any():
            raise BandError(
                self.path,
                f"holds {values[0][strange][0]} in rows "
                f"{window.row_off} to {window.row_off + window.height}",
                f"It has the classes {', '.join(f'{n} {name}' for n, name in self._values())}",
                "Correct the tags of its band (CLASS_1=road, ...), or take them away",
            )
        return labels if valid.all() else np.where(valid, labels, np.uint8(IGNORE))

    def _known(self) -> npt.NDArray[np.uint8]:
        """1 for each number that may occur."""
        known = np.zeros(256, dtype=np.uint8)
        known[[BACKGROUND, *(spec.number for spec in self.classes)]] = 1
        return known

    def _values(self) -> list[tuple[int, str]]:
        """Each value that is a class, and the name of the class."""
        names = {spec.number: spec.name for spec in self.classes}
        if not self.numbers:
            return sorted(names.items())
        return [(value, names[number]) for value, number in self.numbers.items()]


def holds_classes(path: str | Path) -> bool:
    """Whether a raster holds class numbers, and no scores: one band of whole numbers.

    Raises:
        MissingFileError: there is no such file.
        UnreadableFileError: GDAL cannot open it.
    """
    check_path(path, "SCORES")

    def found(source: Any) -> bool:
        bands = score_bands(source)
        is_whole = len(bands) == 1 and np.dtype(source.dtypes[bands[0] - 1]).kind in "iu"
        return is_whole and not are_steps(source, bands)

    return look_at(str(path), found)


def _open_scene(path: str | Path) -> Scene:
    """The raster, with data where it holds 0."""
    scene = Scene.open(path, bands=(1,), is_imagery=False)
    if scene.nodata != BACKGROUND:
        return scene
    # Opened as if somebody had said it, so that no mask is made of what the file declares.
    scene = Scene.open(path, bands=(1,), nodata=BACKGROUND, is_imagery=False)
    return replace(scene, band_nodata=(None,))


def _check_values(path: str | Path, values: Sequence[int]) -> None:
    """Refuse rasters of something else."""
    if len(values) > _MOST_UNNAMED:
        raise BandError(
            path,
            f"holds {len(values)} different whole numbers, {values[0]} to {values[-1]}",
            f"A raster of classes has up to {_MOST_UNNAMED}, and scores are numbers from 0 to 1 "
            "(float32), or what geocobot predict --save-scores writes",
            "Divide scores by their largest, such as with: gdal_calc.py -A scores.tif "
            "--outfile=shares.tif --type=Float32 --calc='A/255.0'",
        )


def _unnamed(value: int, values: Sequence[int], path: str | Path) -> str:
    """What a class is called that nobody has named: a mask has its file's name."""
    return file_stem(path) if len(values) == 1 else f"class {value}"
