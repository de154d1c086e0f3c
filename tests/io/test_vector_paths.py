"""Vector files whose names have signs of URLs and archives in them."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
import shapely
from pyproj import CRS

from geocobot.classes import name_classes
from geocobot.errors import UnreadableFileError
from geocobot.io.label_files import read_labels
from geocobot.io.polygons import PolygonWriter, read_areas
from geocobot.io.vector_paths import ogr_path
from geocobot.io.vectors import VectorSource, read_vector

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pyogrio leaves Windows' paths alone")

PLACES = ["a;b.{}", "a!b.{}", "x;y/a.{}", "x!y/a.{}", "x!;y/a;b!c?.{}"]


@pytest.fixture
def moved(labels_factory, tmp_path):
    """Write a file with a plain name and give it another one, its companions along."""

    def make(place, ending):
        shapes = [shapely.box(0, 0, 1, 1), shapely.box(2, 2, 3, 3)]
        labels_factory(shapes, "EPSG:4326", f"plain.{ending}", kind=["hütte", "weg"])
        target = tmp_path / place.format(ending)
        target.parent.mkdir(exist_ok=True)
        for part in tmp_path.glob("plain.*"):
            shutil.move(part, target.with_suffix(part.suffix))
        return target

    return make


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("ending", ["gpkg", "shp", "geojson", "fgb", "gml"])
def test_they_are_read_like_others(moved, place, ending):
    path = moved(place, ending)
    frame, _ = read_vector(VectorSource(path=path, fields={"--class-field": "kind"}))
    assert sorted(frame["kind"]) == ["hütte", "weg"]
    assert frame.crs == CRS("EPSG:4326")
    assert frame.total_bounds.tolist() == [0, 0, 3, 3]


@pytest.mark.parametrize("place", PLACES)
def test_relative_names_and_conditions(moved, place, monkeypatch):
    path = moved(place, "gpkg")
    monkeypatch.chdir(path.parent)
    frame, _ = read_vector(VectorSource(path=path.name, where="kind = 'weg'"))
    assert len(frame) == 1
    assert [c.name for c in read_labels([path.name]).classes] == [path.stem]


def test_others_keep_their_names(tmp_path):
    for path in ("a.gpkg", tmp_path / "no;such.gpkg", "https://a.b/c;d.gpkg", "x.zip!a.shp"):
        assert ogr_path(path) == path


def test_a_file_that_is_none_is_told_of_by_its_name(tmp_path):
    path = tmp_path / "a;b.gpkg"
    path.write_text("nothing")
    with pytest.raises(UnreadableFileError, match=r"a;b\.gpkg cannot be read \((?!.*vsisub)"):
        read_vector(VectorSource(path=path))


def test_what_another_program_has_not_saved_yet_is_not_passed_over(moved):
    path = moved("a;b.gpkg", "gpkg")
    other = sqlite3.connect(path)
    other.execute("pragma journal_mode=wal")
    other.execute("create table drawn (id integer)")
    other.commit()
    with pytest.raises(UnreadableFileError, match=r"changes in a;b\.gpkg-wal .*Close it in QGIS"):
        read_vector(VectorSource(path=path))
    other.close()
    assert len(read_vector(VectorSource(path=path, layer="plain"))[0]) == 2


@pytest.mark.parametrize("ending", ["gpkg", "fgb", "geojson", "shp", "parquet"])
def test_what_geocobot_writes_it_reads(tmp_path, ending):
    path = Path(tmp_path / f"roads;2024!.{ending}")
    with PolygonWriter(path, CRS("EPSG:32633"), name_classes(["road"]), path.stem):
        pass
    assert read_areas(path).empty
