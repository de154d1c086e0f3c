"""Write polygons chunk by chunk: GeoPackage, FlatGeobuf, GeoParquet, GeoJSON."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError, FieldError
from pyproj import CRS

from geocobot.classes import ClassSpec
from geocobot.errors import OutputError
from geocobot.io.output import new_files
from geocobot.io.styles import embed_style, geopackage_layer, qml_of
from geocobot.io.unfinished import delete_file, reveal, write_text
from geocobot.io.vector_errors import unreadable

logger = logging.getLogger("geocobot.io")

BATCH_ROWS = 20_000
"""Polygons that wait in memory until they are written, in one transaction."""

_SCHEMA = {
    "class_id": "int64",
    "class_name": "str",
    "score": "float64",
    "area_m2": "float64",
    "perimeter_m": "float64",
}
_READ_ERRORS = (DataSourceError, DataLayerError, ValueError)
_WRITE_ERRORS = (DataSourceError, DataLayerError, FieldError, OSError)


def check_format(path: str | Path) -> None:
    """Find out before the work starts whether a vector file can be written.

    Raises:
        OutputError: the extension is unknown, or the format needs a package that is missing.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _FINISHERS:
        raise OutputError(
            path,
            f"has the extension {suffix!r}" if suffix else "has no extension",
            f"The extension chooses the format: {', '.join(_FINISHERS)}",
            "Choose one of them; .gpkg carries its style with it",
        )
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise OutputError(
            path,
            "cannot be written without pyarrow",
            "GeoParquet needs the package pyarrow",
            'Run pip install "geocobot[parquet]", or choose .gpkg',
        )


def style_beside(path: str | Path) -> Path | None:
    """Where the style goes that QGIS loads with a file; None for those that carry their own."""
    target = Path(path)
    return None if target.suffix.lower() == ".gpkg" else target.with_suffix(".qml")


def read_areas(path: Path) -> pd.DataFrame:
    """The columns class_id and area_m2 of a file that `PolygonWriter` wrote.

    Raises:
        UnreadableFileError: it cannot be read any more.
    """
    columns = ["class_id", "area_m2"]
    if path.suffix.lower() == ".parquet":
        return pd.read_parquet(path, columns=columns)
    layer = geopackage_layer(path.stem) if path.suffix.lower() == ".gpkg" else None
    try:
        frame: pd.DataFrame = pyogrio.read_dataframe(
            path, layer=layer, columns=columns, read_geometry=False
        )
    except _READ_ERRORS as error:
        raise unreadable(path, error) from error
    return frame


class PolygonWriter:
    """Writes the polygons of one scene; the file appears when the `with` block ends well.

    A GeoPackage (version 1.3) grows with every batch, its spatial index with it, and carries its
    style as the default one. The other formats cannot grow: their polygons wait in a GeoPackage
    beside the output and are converted at the end, and the style lies beside them as a .qml
    file. GeoJSON is written in WGS 84 (RFC 7946). GeoParquet is converted in memory.

    Args:
        path: the file to come; its extension chooses the format.
        crs: of the polygons.
        classes: names and colors for the style.
        layer: name of the layer, as QGIS shows it (see `geopackage_layer`).
        style_path: where the style goes, for formats that cannot carry it; default beside the
            file, see `style_beside`.
        overwrite: whether existing files may be replaced.
        unfinished: where to write file and style, if somebody else gives them their names;
            messages name `path`.
        moment: what a GeoPackage says of when it was written; default now.

    Raises:
        OutputError: see `check_format`.
    """

    def __init__(
        self,
        path: str | Path,
        crs: CRS,
        classes: Sequence[ClassSpec],
        layer: str,
        *,
        style_path: str | Path | None = None,
        overwrite: bool = False,
        unfinished: Sequence[Path] = (),
        moment: datetime | None = None,
    ) -> None:
        check_format(path)
        self._path = Path(path)
        self._crs = crs
        self._classes = tuple(classes)
        self._layer = layer
        self._stage_layer = geopackage_layer(layer)
        self._style_path = style_beside(path) if style_path is None else Path(style_path)
        self._overwrite = overwrite
        self._unfinished = tuple(unfinished)
        self._moment = moment or datetime.now(UTC)
        self._finish = _FINISHERS[self._path.suffix.lower()]
        self._waiting: list[gpd.GeoDataFrame] = []
        self._stack = ExitStack()
        self.count = 0
        """Polygons taken so far."""

    def __enter__(self) -> Self:
        """Create an empty layer under a temporary name.

        Raises:
            OutputError: the file exists and may not be replaced, or cannot be written.
        """
        paths = [self._path]
        if self._style_path is not None and self._path.suffix.lower() != ".gpkg":
            paths.append(self._style_path)
        with ExitStack() as stack:
            unfinished = self._unfinished or stack.enter_context(
                new_files(paths, overwrite=self._overwrite)
            )
            self._target = self._stage = unfinished[0]
            self._style_target = None
            if len(unfinished) > 1:
                self._style_target = unfinished[1]
                self._stage = self._target.with_suffix(".gpkg")
                stack.callback(delete_file, self._stage)
            self._write(_empty_frame(self._crs), append=False)
            self._stack = stack.pop_all()
        return self

    def append(self, frame: gpd.GeoDataFrame) -> None:
        """Take polygons.

        Args:
            frame: columns class_id, class_name, score, area_m2, perimeter_m and polygons in
                the writer's CRS.

        Raises:
            OutputError: the file cannot be written.
        """
        self._waiting.append(frame)
        self.count += len(frame)
        if sum(len(f) for f in self._waiting) >= BATCH_ROWS:
            self._flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish the file and give it its name, or delete it after an error."""
        if kind is not None:
            self._stack.__exit__(kind, error, traceback)
            return
        with self._stack:
            self._flush()
            try:
                with written_at(self._moment):
                    self._finish(self)
            except _WRITE_ERRORS as cause:
                raise self._cannot_write(cause) from cause
            if self._style_target is not None and self._style_path is not None:
                write_text(self._style_target, qml_of(self._classes), self._style_path)

    def _flush(self) -> None:
        """Write what waits, in one transaction."""
        frames = [f for f in self._waiting if len(f)]
        self._waiting = []
        if frames:
            self._write(pd.concat(frames, ignore_index=True), append=True)

    def _write(self, frame: gpd.GeoDataFrame, *, append: bool) -> None:
        """Add polygons to the GeoPackage, or create it."""
        creation = {
            # QGIS 3.22 warns about GeoPackage 1.4, which GDAL writes by default.
            "dataset_options": {"VERSION": "1.3"},
            "layer_options": {
                "GEOMETRY_NAME": "geom",
                "SPATIAL_INDEX": "YES" if self._stage == self._target else "NO",
                "DESCRIPTION": _description(self._classes),
            },
        }
        try:
            with written_at(self._moment):
                pyogrio.write_dataframe(
                    frame[[*_SCHEMA, frame.geometry.name]],
                    self._stage,
                    layer=self._stage_layer,
                    driver="GPKG",
                    geometry_type="Polygon",
                    append=append,
                    **({} if append else creation),
                )
        except _WRITE_ERRORS as cause:
            raise self._cannot_write(cause) from cause

    def _finish_gpkg(self) -> None:
        """Add the style."""
        embed_style(self._stage, self._stage_layer, self._classes, self._moment)

    def _finish_flatgeobuf(self) -> None:
        """Convert, with a spatial index."""
        self._convert("FlatGeobuf", {"SPATIAL_INDEX": "YES" if self.count else "NO"})

    def _finish_geojson(self) -> None:
        """Convert to degrees."""
        if self._crs.to_epsg() != 4326:
            logger.info(
                "%s is written in WGS 84 degrees (EPSG:4326), as GeoJSON asks for, not in %s.",
                self._path.name,
                self._crs.name,
            )
        self._convert("GeoJSON", {"RFC7946": "YES", "COORDINATE_PRECISION": "9"})

    def _finish_parquet(self) -> None:
        """Convert in memory."""
        frame = pyogrio.read_dataframe(self._stage, layer=self._stage_layer)
        frame.astype(_SCHEMA).to_parquet(self._target, index=False, write_covering_bbox=True)

    def _convert(self, driver: str, options: dict[str, str]) -> None:
        """Stream the staged layer into its format, and read it back.

        These drivers do not say when the last bytes of a file find no room.
        """
        with pyogrio.open_arrow(self._stage, layer=self._stage_layer, use_pyarrow=False) as opened:
            meta, stream = opened
            pyogrio.write_arrow(
                stream,
                self._target,
                layer=self._layer,
                driver=driver,
                geometry_name=meta["geometry_name"],
                geometry_type="Polygon",
                crs=meta["crs"],
                layer_options=options,
            )
        try:
            found, _ = pyogrio.read_bounds(self._target)
        except _WRITE_ERRORS as cause:
            raise self._cannot_write("parts of it did not reach the disk") from cause
        if len(found) != self.count:
            raise self._cannot_write("parts of it did not reach the disk")

    def _cannot_write(self, error: Exception | str) -> OutputError:
        """The error in the user's words."""
        return OutputError(
            self._path,
            f"cannot be written ({reveal(str(error), self._path)})",
            "geocobot needs a folder with write permission and free space",
            "Check the disk, or choose another --out",
        )


_FINISHERS: dict[str, Callable[[PolygonWriter], None]] = {
    ".gpkg": PolygonWriter._finish_gpkg,  # noqa: SLF001
    ".fgb": PolygonWriter._finish_flatgeobuf,  # noqa: SLF001
    ".parquet": PolygonWriter._finish_parquet,  # noqa: SLF001
    ".geojson": PolygonWriter._finish_geojson,  # noqa: SLF001
}


@contextmanager
def written_at(moment: datetime) -> Iterator[None]:
    """Let GDAL write this moment into GeoPackages, in place of its own clock."""
    name = "OGR_CURRENT_DATE"
    before = pyogrio.get_gdal_config_option(name)
    pyogrio.set_gdal_config_options({name: moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({name: before})


def _description(classes: Sequence[ClassSpec]) -> str:
    """What the layer says of itself in QGIS (Properties > Information)."""
    names = ", ".join(spec.name for spec in classes)
    return (
        f"Polygons of {names}, mapped by geocobot. score: mean score of the class in the polygon, "
        f"0 to 1; area_m2, perimeter_m: geodesic."
    )


def _empty_frame(crs: CRS) -> gpd.GeoDataFrame:
    """No polygons, all columns."""
    columns = {name: pd.Series(np.empty(0), dtype=kind) for name, kind in _SCHEMA.items()}
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries([], crs=crs), crs=crs)
