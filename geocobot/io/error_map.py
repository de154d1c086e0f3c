"""Write error maps: a GeoPackage with a layer for each outcome, and one of places to look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element

import geopandas as gpd
import pyogrio

from geocobot.errors import OutputError
from geocobot.io.output import new_file
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
    style: Element


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
        places: points, with the column rank besides.
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


def _described(
    right: gpd.GeoDataFrame,
    false: gpd.GeoDataFrame,
    missed: gpd.GeoDataFrame,
    places: gpd.GeoDataFrame,
) -> tuple[_Described, ...]:
    """What is written, in order."""
    return (
        _Described(
            PLACES_LAYER,
            places,
            "Point",
            "Places to look at first: the largest errors, rank 1 the largest. what: what is wrong "
            "there, and how large it is; area_m2: on the ground.",
            _PLACE_SCHEMA,
            place_style("look here first (number 1 is the largest error)", _PLACE_SCHEMA),
        ),
        _polygons(MISSED_LAYER, missed, MISSED_RGB, "missed: labelled, not mapped"),
        _polygons(FALSE_LAYER, false, FALSE_RGB, "false: mapped, not labelled"),
        _polygons(RIGHT_LAYER, right, RIGHT_RGB, "right: mapped and labelled", is_error=False),
    )


def _polygons(
    name: str,
    frame: gpd.GeoDataFrame,
    rgb: tuple[int, int, int],
    label: str,
    *,
    is_error: bool = True,
) -> _Described:
    """A layer of polygons."""
    style = outcome_style(rgb, label, _POLYGON_SCHEMA, is_error=is_error)
    text = f"What is {label}. area_m2: on the ground."
    return _Described(name, frame, "Polygon", text, _POLYGON_SCHEMA, style)


def _write(file: Path, path: Path, layers: tuple[_Described, ...], moment: datetime) -> None:
    """Write all layers into a file that will be called `path`."""
    with in_the_users_words(path), written_at(moment):
        for i, layer in enumerate(layers):
            frame = layer.frame.astype(layer.schema)
            pyogrio.write_dataframe(
                frame[[*layer.schema, frame.geometry.name]],
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
            embed_styles(file, layer.name, {"errors": layer.style}, moment)
