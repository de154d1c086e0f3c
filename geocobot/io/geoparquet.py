"""GeoParquet 1.1 in row groups, so that no more than one of them is in memory.

Metadata and the column of bounds follow https://geoparquet.org/releases/v1.1.0/.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from geocobot.io.layer import Layer

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_GEOMETRY, _BOUNDS = "geometry", "bbox"


class ParquetSink:
    """Writes a row group for each frame; what the layer covers is said at the end.

    Args:
        file: where to write.
        layer: what is written; outer rings have to run counter-clockwise.

    Raises:
        OSError: the file cannot be written; so do the methods.
    """

    def __init__(self, file: Path, layer: Layer) -> None:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        self._layer = layer
        self._bounds = np.array([np.inf, np.inf, -np.inf, -np.inf])
        corners = pa.struct([(corner, pa.float64()) for corner in _CORNERS])
        columns = pa.Schema.from_pandas(layer.empty().drop(columns=_GEOMETRY), preserve_index=False)
        self._schema = (
            columns.remove_metadata()
            .append(pa.field(_GEOMETRY, pa.binary()))
            .append(pa.field(_BOUNDS, corners))
        )
        self._writer = ParquetWriter(file, self._schema, compression="zstd")

    def write(self, frame: gpd.GeoDataFrame) -> None:
        """Append a row group."""
        import pyarrow as pa

        shapes = frame.geometry.to_numpy()
        bounds = shapely.bounds(shapes)
        self._bounds[:2] = np.minimum(self._bounds[:2], bounds[:, :2].min(axis=0))
        self._bounds[2:] = np.maximum(self._bounds[2:], bounds[:, 2:].max(axis=0))
        corners = pa.StructArray.from_arrays([pa.array(b) for b in bounds.T], list(_CORNERS))
        arrays = [pa.array(frame[name], from_pandas=True) for name in self._layer.schema]
        arrays += [pa.array(shapely.to_wkb(shapes)), corners]
        columns = [array.cast(f.type) for array, f in zip(arrays, self._schema, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))

    def finish(self, count: int) -> None:
        """Write what readers need to know, and close the file."""
        about = {"geo": self._metadata(count), "geocobot": {"facts": self._layer.facts}}
        self._writer.add_key_value_metadata({name: json.dumps(v) for name, v in about.items()})
        self._writer.close()

    def abandon(self) -> None:
        """Close the file; it is no longer wanted."""
        self._writer.close()

    def _metadata(self, count: int) -> dict[str, Any]:
        """The file's metadata under the key "geo"."""
        column: dict[str, Any] = {
            "encoding": "WKB",
            "geometry_types": [self._layer.geometry_type] if count else [],
            "crs": self._layer.crs.to_json_dict(),
            "edges": "planar",
            "covering": {_BOUNDS: {corner: [_BOUNDS, corner] for corner in _CORNERS}},
        }
        if self._layer.geometry_type == "Polygon":
            column["orientation"] = "counterclockwise"
        if count:
            column["bbox"] = self._bounds.tolist()
        return {"version": "1.1.0", "primary_column": _GEOMETRY, "columns": {_GEOMETRY: column}}
