from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import pyogrio
import pytest
import shapely

from geocobot.errors import OutputError
from geocobot.io.features import write_features

FRAME = gpd.GeoDataFrame(
    {"kind": ["main", "lane"], "width_m": [13.0, 6.0]},
    geometry=[shapely.box(0, 0, 9, 3), shapely.box(5, 5, 6, 9)],
    crs="EPSG:32632",
)


def test_features_read_back_with_crs_and_columns(tmp_path: Path) -> None:
    write_features(tmp_path / "f.gpkg", FRAME, layer="roads")
    assert pyogrio.list_layers(tmp_path / "f.gpkg")[:, 0].tolist() == ["roads"]
    back = gpd.read_file(tmp_path / "f.gpkg")
    assert back.crs == FRAME.crs
    assert back["kind"].tolist() == ["main", "lane"]
    assert back["width_m"].tolist() == [13.0, 6.0]
    assert back.geometry.geom_equals(FRAME.geometry).all()


def test_the_file_is_a_geopackage_of_version_1_3(tmp_path: Path) -> None:
    write_features(tmp_path / "f.gpkg", FRAME, layer="roads")
    with closing(sqlite3.connect(tmp_path / "f.gpkg")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (10300,)


def test_an_existing_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    write_features(tmp_path / "f.gpkg", FRAME, layer="roads")
    with pytest.raises(OutputError, match="exists already"):
        write_features(tmp_path / "f.gpkg", FRAME, layer="roads")
    write_features(tmp_path / "f.gpkg", FRAME[:1], layer="roads", overwrite=True)
    assert len(gpd.read_file(tmp_path / "f.gpkg")) == 1


@pytest.mark.parametrize("kind", ["features.gpkg", "regions.gpkg", "image.tif"])
def test_a_disk_that_is_full_at_any_byte_is_an_error_and_no_file(tmp_path, fill_the_disk, kind):
    found = fill_the_disk(tmp_path, kind)
    assert found["broken"] == found["left behind"] == []
    assert found["whole"]
    assert len(found["refused"]) > 40
