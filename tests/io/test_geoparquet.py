"""GeoParquet as others read it: DuckDB, pyarrow, GDAL, geopandas."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyproj import CRS

from geocobot.classes import name_classes
from geocobot.io.polygons import PolygonWriter
from geocobot.io.styles import Origin

pq = pytest.importorskip("pyarrow.parquet", reason="GeoParquet needs pyarrow")
duckdb = pytest.importorskip("duckdb", reason="the extra dev brings it")

CLASSES = name_classes(["road", "roof"])
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def frame_of(n: int, first: int, crs: CRS) -> gpd.GeoDataFrame:
    at = np.arange(first, first + n)
    return gpd.GeoDataFrame(
        {
            "object_id": at + 1,
            "class_id": at % 2 + 1,
            "class_name": np.array(["road", "roof"], dtype=object)[at % 2],
            "score": at / 1000,
            "score_p10": at / 2000,
            "area_m2": at + 0.5,
            "perimeter_m": at + 0.25,
            "width_m": at + 0.125,
        },
        geometry=shapely.box(5e5 + 10 * at, 5e6, 5e5 + 10 * at + 5, 5e6 + 5),
        crs=crs,
    )


@pytest.fixture(params=["EPSG:32633", "+proj=aea +lat_1=30 +lat_2=50 +lat_0=40 +lon_0=-100"])
def written(request, tmp_path, monkeypatch) -> tuple[Path, CRS]:
    crs = CRS(request.param)
    monkeypatch.setattr("geocobot.io.polygons.BATCH_ROWS", 40)
    path = tmp_path / "it's.parquet"
    origin = Origin("roads/model.safetensors")
    with PolygonWriter(path, crs, CLASSES, "result", origin=origin) as writer:
        for first in range(0, 100, 20):
            writer.append(frame_of(20, first, crs))
    return path, crs


def test_duckdb_reads_columns_geometry_and_bounds(written):
    path, crs = written
    expected = frame_of(100, 0, crs)
    rows = duckdb.read_parquet(str(path)).order("score").df()
    assert list(rows.columns) == [*expected.columns, "bbox"]
    for name in expected.columns.drop("geometry"):
        assert rows[name].tolist() == expected[name].tolist()
    shapes = shapely.from_wkb([bytes(b) for b in rows["geometry"]])
    assert shapely.equals(shapes, expected.geometry.to_numpy()).all()
    assert shapely.is_ccw(shapely.get_exterior_ring(shapes)).all()
    found = np.array([[box[c] for c in CORNERS] for box in rows["bbox"]])
    np.testing.assert_array_equal(found, shapely.bounds(shapes))
    sql = "SELECT count(*) FROM read_parquet(?) WHERE bbox.xmax < 500100"
    assert duckdb.execute(sql, [str(path)]).fetchall() == [(10,)]


def test_the_metadata_are_those_of_geoparquet_1_1(written):
    path, crs = written
    sql = "SELECT decode(value) FROM parquet_kv_metadata(?) WHERE decode(key) = 'geo'"
    ((text,),) = duckdb.execute(sql, [str(path)]).fetchall()
    about = json.loads(text)
    assert about["version"] == "1.1.0"
    assert about["primary_column"] == "geometry"
    column = about["columns"]["geometry"]
    assert CRS.from_json_dict(column.pop("crs")) == crs
    assert column == {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "edges": "planar",
        "orientation": "counterclockwise",
        "covering": {"bbox": {corner: ["bbox", corner] for corner in CORNERS}},
        "bbox": [5e5, 5e6, 5e5 + 995, 5e6 + 5],
    }
    own = json.loads(pq.read_metadata(path).metadata[b"geocobot"])
    assert "Model: roads/model.safetensors" in own["facts"]


def test_geopandas_reads_all_of_it_or_what_meets_a_rectangle(written):
    path, crs = written
    found = gpd.read_parquet(path)
    assert found.crs == crs
    assert found.geometry.geom_equals(frame_of(100, 0, crs).geometry).all()
    part = gpd.read_parquet(path, bbox=(5e5, 5e6, 5e5 + 101, 5e6 + 1))
    assert len(part) == 11


def test_gdal_reads_it_where_it_can(written):
    path, crs = written
    import pyogrio

    if "Parquet" not in pyogrio.list_drivers():
        pytest.skip("this GDAL has no Parquet driver")
    info = pyogrio.read_info(path)
    assert (info["features"], CRS(info["crs"])) == (100, crs)


def test_every_batch_is_a_row_group(written):
    path, _ = written
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [40, 40, 20]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_polygons(tmp_path):
    script = (
        "import sys, resource; sys.path.insert(0, {here!r}); import test_geoparquet as t; "
        "from pyproj import CRS; crs = CRS('EPSG:32633'); n = int(sys.argv[1])\n"
        "with t.PolygonWriter({path!r}, crs, t.CLASSES, 'r', overwrite=True) as writer:\n"
        "    for first in range(0, n, 20_000): writer.append(t.frame_of(20_000, first, crs))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    ).format(here=str(Path(__file__).parent), path=str(tmp_path / "a.parquet"))
    few, many = (
        int(subprocess.check_output([sys.executable, "-c", script, str(n)]).split()[-1])
        for n in (100_000, 1_000_000)
    )
    # WKB, bounds and attributes of 900,000 more are 180 MB; their shapes would be as much again.
    assert many - few < 60_000, (few, many)
