"""Vector files: formats, layers, fields, and files that are none."""

from __future__ import annotations

import builtins
import json
import logging
import os
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio
import pytest
import shapely
from pyproj import CRS

from geocobot.errors import (
    ConfigError,
    CrsError,
    FieldError,
    LayerError,
    MissingFileError,
    UnreadableFileError,
)
from geocobot.io.vectors import VectorSource, read_vector

BOX = shapely.box(10.0, 50.0, 10.1, 50.1)


@pytest.mark.parametrize("ending", [".shp", ".gpkg", ".geojson", ".fgb"])
def test_every_format_gives_the_same(labels_factory, ending):
    path = labels_factory([BOX, BOX], "EPSG:4326", f"roads{ending}", kind=["a", "b"], other=[1, 2])
    frame, name = read_vector(VectorSource(path=path, fields={"--class-field": "kind"}))
    assert name == "roads"
    assert [c for c in frame.columns if c != frame.geometry.name] == ["kind"]
    assert frame["kind"].tolist() == ["a", "b"]
    assert frame.crs == CRS(4326)
    assert frame.geometry[0].symmetric_difference(BOX).area == 0


def test_without_a_field_only_geometry_is_read(labels_factory):
    frame, _ = read_vector(VectorSource(path=labels_factory([BOX], "EPSG:4326", kind=["a"])))
    assert frame.columns.tolist() == ["geometry"]


class TestLayers:
    def two(self, labels_factory):
        labels_factory([BOX], name="town.gpkg", layer="roads")
        return labels_factory([BOX], name="town.gpkg", layer="houses")

    def test_several_layers_are_listed(self, labels_factory):
        path = self.two(labels_factory)
        with pytest.raises(LayerError, match=r"has 2 layers: roads, houses.*--labels-layer roads"):
            read_vector(VectorSource(path=path))

    def test_the_named_one_is_read_and_names_it(self, labels_factory):
        assert (
            read_vector(VectorSource(path=self.two(labels_factory), layer="houses"))[1] == "houses"
        )

    def test_an_unknown_one_is_refused(self, labels_factory):
        path = self.two(labels_factory)
        with pytest.raises(LayerError, match=r"has no layer 'rivers'.*It has roads, houses"):
            read_vector(VectorSource(path=path, layer="rivers"))

    def test_the_only_one_with_geometry_is_taken_aloud(self, labels_factory, caplog):
        path = labels_factory([BOX], name="town.gpkg", layer="roads")
        pyogrio.write_dataframe(pd.DataFrame({"a": [1]}), path, layer="notes", append=False)
        with caplog.at_level(logging.INFO, logger="geocobot"):
            _, name = read_vector(VectorSource(path=path))
        assert name == "town"
        assert "reading layer roads, the only one with geometry" in caplog.text

    def test_a_table_is_refused(self, tmp_path):
        path = tmp_path / "table.csv"
        path.write_text("a,b\n1,2\n")
        with pytest.raises(LayerError, match="has no layer with geometry"):
            read_vector(VectorSource(path=path))
        with pytest.raises(LayerError, match=r"no layer 'table'.*no layer with geometry at all"):
            read_vector(VectorSource(path=path, layer="table"))


class TestFields:
    def test_missing_field_lists_the_others(self, labels_factory):
        path = labels_factory([BOX], kind=["a"], width=[3])
        with pytest.raises(FieldError, match=r"has no field 'type'.*fields are kind, width"):
            read_vector(VectorSource(path=path, fields={"--class-field": "type"}))

    def test_no_fields_at_all(self, labels_factory):
        path = labels_factory([BOX], name="bare.geojson", crs="EPSG:4326")
        with pytest.raises(FieldError, match=r"has no fields at all.*Leave --class-field out"):
            read_vector(VectorSource(path=path, fields={"--class-field": "type"}))


class TestRefused:
    def test_missing(self, tmp_path):
        with pytest.raises(MissingFileError, match=r"roads\.shp does not exist"):
            read_vector(VectorSource(path=tmp_path / "roads.shp"))

    def test_a_name_too_long_for_a_file(self):
        with pytest.raises(MissingFileError, match="xxx does not exist"):
            read_vector(VectorSource(path="x" * 300))

    def test_a_shapefile_that_may_not_be_read(self, labels_factory, monkeypatch):
        path = labels_factory([BOX], "EPSG:4326", "roads.shp", a=[1])

        def refused(path, *_, **__):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "open", refused)
        with pytest.raises(UnreadableFileError, match=r"roads\.shp cannot be read .*Permission de"):
            read_vector(VectorSource(path=path))

    def test_folder(self, tmp_path):
        with pytest.raises(UnreadableFileError, match="is a folder"):
            read_vector(VectorSource(path=tmp_path))

    @pytest.mark.parametrize("name", ["a.gpkg", "a.shp", "a.geojson", "a.fgb", "a.txt"])
    def test_rubbish(self, tmp_path, name):
        path = tmp_path / name
        path.write_bytes(b"this is no vector file\n" * 50)
        with pytest.raises(UnreadableFileError, match="cannot be read"):
            read_vector(VectorSource(path=path))

    @pytest.mark.parametrize("name", ["a.gpkg", "a.geojson", "a.fgb"])
    def test_truncated(self, labels_factory, name):
        path = labels_factory([BOX] * 5000, "EPSG:4326", name, a=list(range(5000)))
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(UnreadableFileError, match="cannot be read"):
            read_vector(VectorSource(path=path))

    def test_truncated_shapefile(self, labels_factory):
        path = labels_factory([BOX] * 500, "EPSG:4326", "a.shp", a=list(range(500)))
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(UnreadableFileError, match=r"is truncated \(34050 of 68100 bytes\)"):
            read_vector(VectorSource(path=path))

    def test_shapefile_without_index(self, labels_factory):
        path = labels_factory([BOX], "EPSG:4326", "a.shp", a=[1])
        path.with_suffix(".shx").unlink()
        with pytest.raises(UnreadableFileError, match=r"cannot be read.*\.shx"):
            read_vector(VectorSource(path=path))

    def test_corrupt_water(self, real_data):
        with pytest.raises(UnreadableFileError, match=r"water\.shp cannot be read \(Corrupted"):
            read_vector(VectorSource(path=real_data / "swellendam_roads" / "water.shp"))


class TestParquet:
    def test_without_pyarrow(self, tmp_path, monkeypatch):
        path = tmp_path / "roads.parquet"
        path.write_bytes(b"PAR1")
        real_import = builtins.__import__

        def no_pyarrow(name, *args, **kwargs):
            if name.startswith("pyarrow"):
                raise ImportError(name)
            return real_import(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", no_pyarrow)
        with pytest.raises(UnreadableFileError, match=r"pyarrow is not installed.*pip install"):
            read_vector(VectorSource(path=path))

    def test_with_pyarrow(self, tmp_path):
        pytest.importorskip("pyarrow", reason="GeoParquet needs pyarrow, which is optional")
        path = tmp_path / "roads.parquet"
        gpd.GeoDataFrame({"kind": ["a"], "b": [1]}, geometry=[BOX], crs=4326).to_parquet(path)
        frame, name = read_vector(VectorSource(path=path, fields={"--class-field": "kind"}))
        assert name == "roads"
        assert frame["kind"].tolist() == ["a"]
        with pytest.raises(FieldError, match="fields are kind, b"):
            read_vector(VectorSource(path=path, fields={"--class-field": "type"}))
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(UnreadableFileError, match="cannot be read"):
            read_vector(VectorSource(path=path))


class TestCrs:
    def test_a_truncated_prj_is_told_of_as_such(self, labels_factory):
        path = labels_factory([BOX], "EPSG:4326", "roads.shp", a=[1])
        path.with_suffix(".prj").write_text('PROJCS["x"')
        with pytest.raises(CrsError, match=r"roads\.shp declares a CRS that cannot be read.*\.prj"):
            read_vector(VectorSource(path=path))

    def test_parquet_with_a_broken_one(self, labels_factory, tmp_path):
        parquet = pytest.importorskip("pyarrow.parquet")
        path = tmp_path / "roads.parquet"
        gpd.GeoDataFrame(geometry=[BOX], crs="EPSG:4326").to_parquet(path)
        table = parquet.read_table(path)
        kept = table.schema.metadata
        geo = json.loads(kept[b"geo"])
        geo["columns"]["geometry"]["crs"] = {"nonsense": 1}
        broken = {**kept, b"geo": json.dumps(geo).encode()}
        parquet.write_table(table.replace_schema_metadata(broken), path)
        with pytest.raises(CrsError, match=r"roads\.parquet declares a CRS that cannot be read"):
            read_vector(VectorSource(path=path))


class TestWhere:
    @pytest.mark.parametrize("ending", [".shp", ".gpkg", ".geojson", ".fgb"])
    @pytest.mark.parametrize("condition", ["level = 1", "kind =", "kind LIKE"])
    def test_what_is_no_condition_names_the_fields(self, labels_factory, ending, condition):
        path = labels_factory([BOX], "EPSG:4326", f"roads{ending}", kind=["a"], year=[1])
        with pytest.raises(
            ConfigError,
            match=rf"--where is '{condition}', which roads{ending} cannot be asked .*"
            "fields are kind, year",
        ):
            read_vector(VectorSource(path=path, where=condition))

    def test_a_corrupt_file_is_not_blamed_on_the_condition(self, real_data):
        path = real_data / "swellendam_roads" / "water.shp"
        with pytest.raises(UnreadableFileError, match=r"water\.shp cannot be read"):
            read_vector(VectorSource(path=path, where="fid = 1"))

    def test_parquet_cannot_be_asked(self, tmp_path):
        pytest.importorskip("pyarrow")
        path = tmp_path / "roads.parquet"
        gpd.GeoDataFrame({"kind": ["a"]}, geometry=[BOX], crs="EPSG:4326").to_parquet(path)
        with pytest.raises(ConfigError, match=r"--where cannot be asked of roads\.parquet"):
            read_vector(VectorSource(path=path, where="kind = 'a'"))
