"""Write error maps: a GeoPackage with a layer for each outcome, and one of places to look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element

import geopandas as gpd
import pyogrio
from pyproj import CRS

from geocobot.errors import OutputError
from geocobot.io.output import new_file
from geocobot.io.qgis.layers import ProjectLayer
from geocobot.io.styles import embed_styles
from geocobot.io.styles.errors import (
    FALSE_RGB,
    MISSED_RGB,
    RIGHT_RGB,
    outcome_style,
    place_style,
)
from geocobot.io.vector_sinks import in_the_users_words, written_at

PLACES_LAYER = "look_here_first"
MISSED_LAYER = "false_negative"
FALSE_LAYER = "false_positive"
RIGHT_LAYER = "true_positive"
"""The layers of an error map, in the order in which QGIS lists them."""

_LABELS = {
    PLACES_LAYER: "look here first (number 1 is the largest error)",
    MISSED_LAYER: "missed: labelled, not mapped",
    FALSE_LAYER: "false: mapped, not labelled",
    RIGHT_LAYER: "right: mapped and labelled",
}
_STYLE = "errors"

_POLYGON_SCHEMA = {
    "class_id": "int64",
    "class_name": "str",
    "what": "str",
    "area_m2": "float64",
}
_PLACE_SCHEMA = {"rank": "int64", **_POLYGON_SCHEMA}


@dataclass(frozen=True)
class _Described:
    """A layer to be written."""

    name: str
    frame: gpd.GeoDataFrame
    geometry_type: str
    description: str
    schema: dict[str, str]


def write_error_map(
    path: str | Path,
    *,
    right: gpd.GeoDataFrame,
    false: gpd.GeoDataFrame,
    missed: gpd.GeoDataFrame,
    places: gpd.GeoDataFrame,
    overwrite: bool = False,
    unfinished: Path | None = None,
    moment: datetime | None = None,
) -> None:
    """Write the layers of an error map, with their styles; all of them appear, or none.

    Args:
        path: the GeoPackage to come.
        right: polygons that are mapped and labelled, with the columns class_id, class_name, what
            and area_m2.
        false: polygons that are mapped alone, likewise.
        missed: polygons that are labelled alone, likewise.
        places: points, with the column rank besides. Of several scenes all have the column scene.
        overwrite: whether an existing file may be replaced.
        unfinished: where to write, if somebody else gives the file its name.
        moment: what the file says of when it was written; default now.

    Raises:
        OutputError: it is no GeoPackage, exists and may not be replaced, or cannot be written.
    """
    path, moment = Path(path), moment or datetime.now(UTC)
    if path.suffix.lower() != ".gpkg":
        raise OutputError(
            path,
            "is not a GeoPackage",
            "An error map has several layers, which a GeoPackage holds with their styles",
            f"Name it {path.with_suffix('.gpkg').name}",
        )
    layers = _described(right, false, missed, places)
    if unfinished is not None:
        _write(unfinished, path, layers, moment)
        return
    with new_file(path, overwrite=overwrite) as temporary:
        _write(temporary, path, layers, moment)


def error_map_layers(path: str | Path, crs: CRS) -> tuple[ProjectLayer, ...]:
    """A written error map as layers of a QGIS project, the one on top first.

    Args:
        path: the GeoPackage.
        crs: of its features.
    """
    return tuple(
        ProjectLayer(
            name.replace("_", " "),
            str(path),
            crs,
            {_STYLE: style},
            layer=name,
            is_vector=True,
        )
        for name, style in _styles().items()
    )


def _described(
    right: gpd.GeoDataFrame,
    false: gpd.GeoDataFrame,
    missed: gpd.GeoDataFrame,
    places: gpd.GeoDataFrame,
) -> tuple[_Described, ...]:
    """What is written, in order."""
    text = (
        "Places to look at first: the largest errors, rank 1 the largest. what: what is wrong "
        "there, and how large it is; area_m2: on the ground."
    )
    outcomes = {MISSED_LAYER: missed, FALSE_LAYER: false, RIGHT_LAYER: right}
    return (
        _Described(PLACES_LAYER, places, "Point", text, _PLACE_SCHEMA),
        *(
            _Described(
                name,
                frame,
                "Polygon",
                f"Polygons that are {_LABELS[name]}. area_m2: on the ground.",
                _POLYGON_SCHEMA,
            )
            for name, frame in outcomes.items()
        ),
    )


def _styles() -> dict[str, Element]:
    """How the layers look in QGIS, the one on top first."""
    colors = {MISSED_LAYER: MISSED_RGB, FALSE_LAYER: FALSE_RGB, RIGHT_LAYER: RIGHT_RGB}
    return {PLACES_LAYER: place_style(_LABELS[PLACES_LAYER], tuple(_PLACE_SCHEMA))} | {
        name: outcome_style(
            rgb, _LABELS[name], tuple(_POLYGON_SCHEMA), is_error=name != RIGHT_LAYER
        )
        for name, rgb in colors.items()
    }


def _write(file: Path, path: Path, layers: tuple[_Described, ...], moment: datetime) -> None:
    """Write all layers into a file that will be called `path`."""
    styles = _styles()
    with in_the_users_words(path), written_at(moment):
        for i, layer in enumerate(layers):
            schema = layer.schema | ({"scene": "str"} if "scene" in layer.frame else {})
            frame = layer.frame.astype(schema)
            pyogrio.write_dataframe(
                frame[[*schema, frame.geometry.name]],
                file,
                layer=layer.name,
                driver="GPKG",
                geometry_type=layer.geometry_type,
                append=i > 0,
                # QGIS 3.22 warns about GeoPackage 1.4, which GDAL writes by default.
                dataset_options={"VERSION": "1.3"},
                layer_options={"GEOMETRY_NAME": "geom", "DESCRIPTION": layer.description},
            )
        for layer in layers:
            embed_styles(file, layer.name, {_STYLE: styles[layer.name]}, moment)
