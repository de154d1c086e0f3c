"""Write error maps: a GeoPackage with a layer for each outcome, and one of places to look at."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import pyogrio
from pyproj import CRS

from geocobot.errors import OutputError
from geocobot.io.error_layers import ERROR_LAYERS
from geocobot.io.output import new_file
from geocobot.io.qgis.layers import ProjectLayer
from geocobot.io.styles import embed_styles
from geocobot.io.vector_sinks import check_layer, in_the_users_words, written_at

_STYLE = "errors"


def write_error_map(
    path: str | Path,
    frames: Mapping[str, gpd.GeoDataFrame],
    *,
    overwrite: bool = False,
    unfinished: Path | None = None,
    moment: datetime | None = None,
) -> None:
    """Write the layers of an error map, with their styles; all of them appear, or none.

    Args:
        path: the GeoPackage to come.
        frames: features by the name of their layer, with the columns that it has in
            `ERROR_LAYERS`; those of several scenes also scene.
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
    if unfinished is not None:
        _write(unfinished, path, frames, moment)
        return
    with new_file(path, overwrite=overwrite) as temporary:
        _write(temporary, path, frames, moment)


def error_map_layers(
    path: str | Path, crs: CRS, names: Collection[str]
) -> tuple[ProjectLayer, ...]:
    """A written error map as layers of a QGIS project, the one on top first.

    Args:
        path: the GeoPackage.
        crs: of its features.
        names: of the layers that it has.
    """
    return tuple(
        ProjectLayer(
            layer.name.replace("_", " "),
            str(path),
            crs,
            {_STYLE: layer.style()},
            layer=layer.name,
            is_vector=True,
        )
        for layer in ERROR_LAYERS
        if layer.name in names
    )


def _write(
    file: Path, path: Path, frames: Mapping[str, gpd.GeoDataFrame], moment: datetime
) -> None:
    """Write all layers into a file that will be called `path`."""
    layers = [layer for layer in ERROR_LAYERS if layer.name in frames]
    with in_the_users_words(path), written_at(moment):
        for i, layer in enumerate(layers):
            own = frames[layer.name]
            schema = {**layer.schema, **({"scene": "str"} if "scene" in own else {})}
            frame = own.astype(schema)
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
            check_layer(file, layer.name, frames[layer.name])
            embed_styles(file, layer.name, {_STYLE: layer.style()}, moment)
