"""A vector layer to be written: what it is called, what it holds and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import geopandas as gpd
import numpy as np
import pandas as pd
from pyproj import CRS

SHORT_NAMES = {"perimeter_m": "perim_m"}
"""Fields that a Shapefile calls otherwise: its names have 10 characters at most."""


@dataclass(frozen=True)
class Layer:
    """A vector layer to be written.

    Attributes:
        name: as QGIS shows it.
        crs: of the geometry.
        schema: data type of each column.
        description: what it is, in a few sentences.
        facts: how it came about, one fact each.
        moment: what a file says of when it was written.
        geometry_type: as GDAL calls it.
    """

    name: str
    crs: CRS
    schema: Mapping[str, str]
    description: str
    facts: tuple[str, ...]
    moment: datetime
    geometry_type: str = "Polygon"

    @property
    def text(self) -> str:
        """Description and facts in one."""
        return " ".join([self.description, *(f"{fact}." for fact in self.facts)])

    def empty(self) -> gpd.GeoDataFrame:
        """No features, all columns."""
        columns = {name: pd.Series(np.empty(0), dtype=kind) for name, kind in self.schema.items()}
        return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries([], crs=self.crs), crs=self.crs)

    def ordered(self, frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        """The columns of the schema, in its order, and the geometry."""
        return frame[[*self.schema, frame.geometry.name]]
