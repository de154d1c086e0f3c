"""Labels: lines and polygons of one or several files, burnt onto scenes window by window."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS

from geocobot.classes import MAX_CLASSES, ClassSpec, name_classes
from geocobot.config.values import DEFAULT_LINE_WIDTH_M
from geocobot.errors import ConfigError, CrsError, EmptyLabelsError, FieldError
from geocobot.grid import GeoGrid
from geocobot.io.label_raster import LabelPatch, LabelRaster
from geocobot.io.misplaced import crs_label, in_words, no_overlap
from geocobot.io.scene import Scene
from geocobot.io.shapes import LINES, clean_parts, clip_to_scene, reproject, to_pixels, widen_lines
from geocobot.io.values import named_features, sorted_names
from geocobot.io.vectors import is_on_earth, parse_crs, read_vector

__all__ = ["LabelPatch", "LabelRaster", "Labels", "read_labels"]

_LOG = logging.getLogger("geocobot.io")

_WGS84 = CRS.from_epsg(4326)


@dataclass(frozen=True)
class Labels:
    """Labeled features, not yet tied to a scene.

    Attributes:
        classes: in the order of their numbers; later ones win where features overlap.
        features: single lines and polygons with the columns `class_number` and `file` (position
            in `files`), in one CRS.
        files: their names without folders, for messages.
        line_width_m: full width that lines get on the ground.
    """

    classes: tuple[ClassSpec, ...]
    features: gpd.GeoDataFrame
    files: tuple[str, ...]
    line_width_m: float

    @property
    def name(self) -> str:
        """The files in a few words."""
        return in_words(self.files)

    def on(self, grid: GeoGrid, scene_name: str) -> LabelRaster:
        """Place the labels on a scene.

        Args:
            grid: of the scene.
            scene_name: for messages.

        Raises:
            OverlapError: no feature lies on the scene.
        """
        return self._place(grid, scene_name)[0]

    def on_each(self, scenes: Sequence[Scene]) -> tuple[LabelRaster, ...]:
        """Place the labels on scenes, and say which files have nothing on any of them.

        Raises:
            OverlapError: no feature lies on one of the scenes.
        """
        placed = [self._place(scene.grid, scene.name) for scene in scenes]
        used = {file for _, files in placed for file in files}
        unused = [name for i, name in enumerate(self.files) if i not in used]
        if unused:
            _LOG.warning(
                "%s: nothing of it lies on %s, so that nothing is learned from it.",
                in_words(unused),
                in_words([scene.name for scene in scenes]),
            )
        return tuple(raster for raster, _ in placed)

    def _place(self, grid: GeoGrid, scene_name: str) -> tuple[LabelRaster, set[int]]:
        """The labels on a scene, and the positions of the files that they come from."""
        near = clip_to_scene(self.features, grid, self.line_width_m)
        near = reproject(near, grid.crs, self.name)
        self._warn_of_thin_lines(near, grid, scene_name)
        shapes = to_pixels(widen_lines(near, grid, self.line_width_m), grid)
        scene_box = shapely.box(0, 0, grid.width, grid.height)
        hits = np.flatnonzero(shapely.intersects(scene_box, shapes))
        if not hits.size:
            raise no_overlap(self.features, self.files, grid, scene_name)
        numbers = near["class_number"].to_numpy(np.uint8)[hits]
        order = np.argsort(numbers, kind="stable")
        raster = LabelRaster(grid, shapes[hits][order], numbers[order])
        return raster, set(near["file"].to_numpy()[hits].tolist())

    def _warn_of_thin_lines(self, near: gpd.GeoDataFrame, grid: GeoGrid, scene_name: str) -> None:
        """Say that lines thinner than a pixel burn as dots."""
        kinds = shapely.get_type_id(np.asarray(near.geometry.array))
        if np.isin(kinds, LINES).any() and self.line_width_m < max(grid.ground_pixel_m):
            _LOG.warning(
                "%s: lines %g m wide are thinner than the pixels of %s (%.3g m) and burn as dots.",
                self.name,
                self.line_width_m,
                scene_name,
                max(grid.ground_pixel_m),
            )


def read_labels(
    paths: Sequence[str | Path],
    *,
    layer: str | None = None,
    crs: str | None = None,
    line_width_m: float | None = None,
    class_field: str | None = None,
    scene: Scene | None = None,
) -> Labels:
    """Read label files and sort their features into classes.

    Args:
        paths: vector files of any format and CRS; at least one.
        layer: which layer to read, where files have several with geometry.
        crs: what the coordinates are in, whatever the files declare; see `parse_crs`.
        line_width_m: full width of lines on the ground; default `DEFAULT_LINE_WIDTH_M`.
        class_field: the attribute whose values become the classes, sorted; values of the same
            name in several files are one class. Without it each file is one class.
        scene: the scene to come, for messages.

    Raises:
        ConfigError: the line width is not positive.
        CrsError: a file has no CRS, or `crs` is none.
        EmptyLabelsError: no usable feature is left.
        FieldError: `class_field` does not exist, is empty or has too many values.
        GeometryError: there are points among the features.
        GeocobotError: whatever `read_vector` finds.
    """
    if line_width_m is not None and not line_width_m > 0:
        raise ConfigError(
            "--line-width", f"is {line_width_m:g}", "Lines need a width in metres", "Give one"
        )
    declared = None if crs is None else parse_crs(crs)
    frames = [_read_file(path, layer, declared, class_field, scene) for path in paths]
    files = tuple(Path(path).name for path in paths)
    features = _join([frame.assign(file=i) for i, frame in enumerate(frames)], files)
    source = in_words([str(p) for p in paths])
    if features.empty:
        raise EmptyLabelsError(
            source,
            "has no usable feature",
            "Labels are lines or polygons",
            "Look at the file in QGIS, and digitize something in it",
        )
    names = sorted_names(features["class_name"]) if class_field else _in_order(features)
    if len(names) > MAX_CLASSES:
        raise FieldError(
            source,
            f"has {len(names)} different values in {class_field}",
            f"A map has at most {MAX_CLASSES} classes",
            "Choose another --class-field, or group the values first",
        )
    number_of = {name: i for i, name in enumerate(names, start=1)}
    features["class_number"] = features.pop("class_name").map(number_of).astype("uint8")
    labels = Labels(name_classes(names), features, files, line_width_m or DEFAULT_LINE_WIDTH_M)
    _announce(features, names, line_width_m, labels.name)
    return labels


def _join(frames: Sequence[gpd.GeoDataFrame], files: Sequence[str]) -> gpd.GeoDataFrame:
    """All features in one frame; in degrees where the files differ in CRS."""
    if any(frame.crs != frames[0].crs for frame in frames):
        frames = [reproject(f, _WGS84, name) for f, name in zip(frames, files, strict=True)]
    return gpd.GeoDataFrame(pd.concat(frames, ignore_index=True), crs=frames[0].crs)


def _in_order(features: gpd.GeoDataFrame) -> list[str]:
    """Class names in the order of the files."""
    return [str(name) for name in features["class_name"].unique()]


def _announce(
    features: gpd.GeoDataFrame, names: Sequence[str], line_width_m: float | None, source: str
) -> None:
    """Say what was read, how wide lines become and which class wins."""
    n_lines = int(np.isin(shapely.get_type_id(np.asarray(features.geometry.array)), LINES).sum())
    _LOG.info(
        "%s: %d lines and %d polygons in %d class%s (%s).",
        source,
        n_lines,
        len(features) - n_lines,
        len(names),
        "" if len(names) == 1 else "es; where they overlap the later one wins",
        ", ".join(names),
    )
    if n_lines and line_width_m is None:
        _LOG.info(
            "The %d lines are taken to be %g m wide; --line-width says otherwise.",
            n_lines,
            DEFAULT_LINE_WIDTH_M,
        )
    if line_width_m is not None and not n_lines:
        _LOG.info("--line-width changes nothing: there are no lines.")


def _read_file(
    path: str | Path,
    layer: str | None,
    crs: CRS | None,
    class_field: str | None,
    scene: Scene | None,
) -> gpd.GeoDataFrame:
    """Clean parts of one file with the column `class_name`."""
    frame, name = read_vector(path, layer=layer, field=class_field)
    if crs is not None:
        frame = frame.set_crs(crs, allow_override=True)
    if frame.crs is None:
        raise _no_crs(path, frame, scene)
    if not is_on_earth(frame.crs):
        raise CrsError(
            path,
            f"has the CRS {frame.crs.name}, which says nothing of a place on the earth",
            "geocobot needs a geographic or projected CRS",
            "Pass the right one with --labels-crs, or set it in QGIS and save again",
        )
    if class_field is None:
        frame = frame.assign(class_name=name)
    else:
        frame = named_features(frame, class_field, path)
    named = gpd.GeoDataFrame(
        {"class_name": frame["class_name"].to_numpy()},
        geometry=frame.geometry.to_numpy(),
        crs=frame.crs,
    )
    return clean_parts(named, Path(path).name)


def _no_crs(path: str | Path, frame: gpd.GeoDataFrame, scene: Scene | None) -> CrsError:
    """What to do about a file that does not say where it lies."""
    prj = Path(path).with_suffix(".prj")
    why = ""
    if Path(path).suffix.lower() == ".shp":
        state = "says nothing that GDAL understands" if os.path.isfile(prj) else "is missing"
        why = f" ({prj.name} {state})"
    kinds = set(frame.geom_type.dropna())
    things = "lines" if kinds and all("Line" in k for k in kinds) else "polygons"
    place = (
        "the scene" if scene is None else f"{Path(scene.path).name} ({crs_label(scene.grid.crs)})"
    )
    return CrsError(
        path,
        f"has no CRS{why}",
        f"geocobot needs one to place the {things} on {place}",
        "Pass `--labels-crs EPSG:4326`, or set it in QGIS and save again",
    )
