"""Vector files of labels: read, sorted into classes, and made into labels of scenes to come."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS

from geocobot.classes import name_classes, parse_classes
from geocobot.errors import CrsError, EmptyLabelsError
from geocobot.io.area import Area
from geocobot.io.crs import crs_label, is_on_earth, parse_crs
from geocobot.io.files import FileSet
from geocobot.io.labels import FeatureLabels
from geocobot.io.misplaced import in_words
from geocobot.io.opening import file_name
from geocobot.io.scene import Scene
from geocobot.io.shapes import LINES, POINTS, clean_parts, reproject
from geocobot.io.values import named_features, refuse_too_many, refuse_unknown, sorted_names
from geocobot.io.vectors import VectorSource, read_vector
from geocobot.io.widths import Widths

_LOG = logging.getLogger("geocobot.io")

_WGS84 = CRS.from_epsg(4326)


@dataclass(frozen=True, kw_only=True)
class LabelChoice:
    """What of the label files is used, and how.

    Attributes:
        layer: which layer to read, where files have several with geometry.
        crs: what the coordinates are in, whatever the files declare; see `parse_crs`.
        widths: of lines and points.
        class_field: the attribute whose values become the classes, sorted; values of the same
            name in several files are one class. Without it each file is one class, and so are
            all files of a folder or a pattern.
        classes: names of the classes to use, in this order, with their colors or without, as
            `parse_classes` reads them; None for all.
        where: condition on the attributes in SQL, for all files.
    """

    layer: str | None = None
    crs: str | None = None
    widths: Widths = field(default_factory=Widths)
    class_field: str | None = None
    classes: Sequence[str] | None = None
    where: str | None = None


def read_features(
    sets: Sequence[FileSet],
    choice: LabelChoice,
    *,
    area: Area | None = None,
    boundary_px: int = 0,
    scene: Scene | None = None,
) -> FeatureLabels:
    """Read vector files and sort their features into classes.

    Args:
        sets: vector files of any format and CRS; at least one.
        choice: what of them is used.
        area: where the labels are complete; None where they are throughout.
        boundary_px: pixels so close to the boundary of a class are unknown.
        scene: the scene to come, for messages.

    Raises:
        CrsError: a file has no CRS, or the one given is none.
        EmptyLabelsError: no usable feature is left.
        FieldError: an attribute or a class does not exist, is empty or has too many values.
        GeometryError: there are points among the features, and nothing says how large they are.
        GeocobotError: whatever `read_vector` and `parse_classes` find.
    """
    asked = None if choice.classes is None else parse_classes(choice.classes)
    declared = None if choice.crs is None else parse_crs(choice.crs)
    frames = [_read_file(path, s, choice, declared, scene) for s in sets for path in s.paths]
    files = tuple(file_name(path) for s in sets for path in s.paths)
    features = _join([frame.assign(file=i) for i, frame in enumerate(frames)], files)
    source = in_words([s.given for s in sets])
    given = tuple(file_name(s.given) or s.name for s in sets)
    _tell_of_empty(frames, files)
    if choice.class_field is None:
        _tell_of_namesakes(sets, frames)
    if features.empty:
        raise _nothing_left(source, choice.where)
    names = sorted_names(features["class_name"]) if choice.class_field else _in_order(features)
    if asked is not None:
        features = _chosen(features, names, list(asked), source)
        names = list(asked)
    refuse_too_many(
        names,
        source,
        "Choose another --class-field, name the --classes to learn, or group the values first",
    )
    number_of = {name: i for i, name in enumerate(names, start=1)}
    features["class_number"] = features.pop("class_name").map(number_of).astype("uint8")
    colors = {name: color for name, color in (asked or {}).items() if color is not None}
    labels = FeatureLabels(name_classes(names, colors), features, files, given, area, boundary_px)
    _announce(features, names, choice.widths, labels.name)
    return labels


def _join(frames: Sequence[gpd.GeoDataFrame], files: Sequence[str]) -> gpd.GeoDataFrame:
    """All features in one frame; in degrees where the files differ in CRS."""
    if any(frame.crs != frames[0].crs for frame in frames):
        frames = [reproject(f, _WGS84, name) for f, name in zip(frames, files, strict=True)]
    return gpd.GeoDataFrame(pd.concat(frames, ignore_index=True), crs=frames[0].crs)


def _tell_of_empty(frames: Sequence[gpd.GeoDataFrame], files: Sequence[str]) -> None:
    """Say which of several files have no feature."""
    empty = [name for name, frame in zip(files, frames, strict=True) if frame.empty]
    if 0 < len(empty) < len(files):
        _LOG.info("%s: no usable feature.", in_words(empty))


def _tell_of_namesakes(sets: Sequence[FileSet], frames: Sequence[gpd.GeoDataFrame]) -> None:
    """Warn of names on the command line that become one class without anybody's saying so."""
    names: dict[str, list[str]] = {}
    first = np.cumsum([0, *(len(each.paths) for each in sets[:-1])])
    for each, i in zip(sets, first.tolist(), strict=True):
        for name in frames[i]["class_name"].unique()[:1]:
            names.setdefault(str(name), []).append(each.given)
    for name, given in names.items():
        if len(given) > 1:
            _LOG.warning(
                "%s are one class, %s: a class is called after its file or folder. Rename one of "
                "them if they are not, or say which is which with --class-field.",
                in_words(given),
                name,
            )


def _nothing_left(source: str, where: str | None) -> EmptyLabelsError:
    """What to do about labels without a single feature."""
    if where is not None:
        return EmptyLabelsError(
            source,
            f"has no usable feature with {where}",
            "Training needs labels",
            "Correct --where; QGIS shows what is left with it (Layer > Filter)",
        )
    return EmptyLabelsError(
        source,
        "has no usable feature",
        "Labels are lines, polygons or points",
        "Look at the file in QGIS, and digitize something in it",
    )


def _in_order(features: gpd.GeoDataFrame) -> list[str]:
    """Class names in the order of the files."""
    return [str(name) for name in features["class_name"].unique()]


def _chosen(
    features: gpd.GeoDataFrame, names: Sequence[str], asked: Sequence[str], source: str
) -> gpd.GeoDataFrame:
    """The features of the classes asked for; the others are counted and logged."""
    refuse_unknown(asked, names, source)
    kept = features["class_name"].isin(asked)
    if not kept.all():
        left_out = [name for name in names if name not in asked]
        _LOG.info(
            "%s: %d features of other classes (%s) are background.",
            source,
            int((~kept).sum()),
            in_words(left_out),
        )
    return features[kept].reset_index(drop=True)


def _announce(
    features: gpd.GeoDataFrame, names: Sequence[str], widths: Widths, source: str
) -> None:
    """Say what was read, how wide lines become and which class wins."""
    kinds = shapely.get_type_id(np.asarray(features.geometry.array))
    n_lines, n_points = int(np.isin(kinds, LINES).sum()), int(np.isin(kinds, POINTS).sum())
    counts = {
        "lines": n_lines,
        "points": n_points,
        "polygons": len(features) - n_lines - n_points,
    }
    _LOG.info(
        "%s: %s in %d class%s (%s).",
        source,
        in_words([f"{n} {kind if n > 1 else kind[:-1]}" for kind, n in counts.items() if n]),
        len(names),
        "" if len(names) == 1 else "es; where they overlap the later one wins",
        ", ".join(names),
    )
    widths.announce(n_lines, n_points)


def _read_file(
    path: str, files: FileSet, choice: LabelChoice, crs: CRS | None, scene: Scene | None
) -> gpd.GeoDataFrame:
    """Clean parts of one file of a set with the columns `class_name` and `reach_m`."""
    class_field, width_field = choice.class_field, choice.widths.width_field
    fields = {} if class_field is None else {"--class-field": class_field}
    source = VectorSource(
        path=path,
        layer=choice.layer,
        fields={**fields, **choice.widths.fields},
        where=choice.where,
    )
    frame, name = read_vector(source)
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
        # A folder and a pattern are a class by their own name, however many files they stand for.
        frame = frame.assign(class_name=name if files.paths == (files.given,) else files.name)
    else:
        frame = named_features(frame, class_field, path)
    kept = ["class_name", *([] if width_field is None else [width_field])]
    columns = {column: frame[column].to_numpy() for column in kept}
    geometry = frame.geometry.to_numpy()
    parts = clean_parts(
        gpd.GeoDataFrame(columns, geometry=geometry, crs=frame.crs), file_name(path)
    )
    return gpd.GeoDataFrame(
        {
            "class_name": parts["class_name"].to_numpy(),
            "reach_m": choice.widths.reach_m(parts, path),
        },
        geometry=parts.geometry.to_numpy(),
        crs=parts.crs,
    )


def _no_crs(path: str | Path, frame: gpd.GeoDataFrame, scene: Scene | None) -> CrsError:
    """What to do about a file that does not say where it lies."""
    prj = Path(path).with_suffix(".prj")
    why = ""
    if Path(path).suffix.lower() == ".shp":
        state = "says nothing that GDAL understands" if os.path.isfile(prj) else "is missing"
        why = f" ({prj.name} {state})"
    kinds = set(frame.geom_type.dropna())
    named = {"Line": "lines", "Point": "points"}
    fitting = (things for part, things in named.items() if kinds and all(part in k for k in kinds))
    things = next(fitting, "polygons")
    place = (
        "the scene" if scene is None else f"{file_name(scene.path)} ({crs_label(scene.grid.crs)})"
    )
    return CrsError(
        path,
        f"has no CRS{why}",
        f"geocobot needs one to place the {things} on {place}",
        "Pass `--labels-crs EPSG:4326`, or set it in QGIS and save again",
    )
