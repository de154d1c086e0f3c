"""Regions of scenes as a vector layer: what was used for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pandas as pd
import shapely
from pyproj import CRS

from geocobot.io.output import new_file
from geocobot.io.vector_sinks import check_layer, in_the_users_words

_SHARED_CRS = CRS.from_epsg(4326)


@dataclass(frozen=True)
class Region:
    """A part of a scene and its role.

    Attributes:
        scene: name of the scene.
        crs: coordinate reference system of the shape.
        role: what the part was used for.
        shape: polygon or multipolygon.
    """

    scene: str
    crs: CRS
    role: str
    shape: shapely.Geometry


def write_regions(path: str | Path, regions: Sequence[Region], *, layer: str) -> None:
    """Write regions as one GeoPackage layer with the columns scene and role.

    Args:
        path: file to write; an existing one is replaced.
        regions: in EPSG:4326 if their CRS differ, else in theirs.
        layer: name of the layer.

    Raises:
        OutputError: the file cannot be written.
    """
    crs = regions[0].crs if len({r.crs for r in regions}) == 1 else _SHARED_CRS
    parts = [
        gpd.GeoDataFrame(
            {"scene": [r.scene], "role": [r.role]},
            geometry=[shapely.multipolygons(list(shapely.get_parts(r.shape)))],
            crs=r.crs,
        ).to_crs(crs)
        for r in regions
    ]
    frame = gpd.GeoDataFrame(pd.concat(parts, ignore_index=True), crs=crs)
    with new_file(path, overwrite=True) as unfinished, in_the_users_words(Path(path)):
        # QGIS 3.22 warns about newer versions of the format.
        frame.to_file(unfinished, layer=layer, driver="GPKG", engine="pyogrio", VERSION="1.3")
        check_layer(unfinished, layer, frame)
