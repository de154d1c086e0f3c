"""Plain vector features as a GeoPackage."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd

from geocobot.io.output import new_file
from geocobot.io.vector_sinks import check_layer, in_the_users_words


def write_features(
    path: str | Path, features: gpd.GeoDataFrame, *, layer: str, overwrite: bool = False
) -> None:
    """Write features as the only layer of a GeoPackage.

    Args:
        path: file to write.
        features: with their CRS and columns.
        layer: name of the layer.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: the file exists and may not be replaced, or cannot be written.
    """
    with new_file(path, overwrite=overwrite) as unfinished, in_the_users_words(Path(path)):
        # QGIS 3.22 warns about newer versions of the format.
        features.to_file(unfinished, layer=layer, driver="GPKG", engine="pyogrio", VERSION="1.3")
        check_layer(unfinished, layer, features)
