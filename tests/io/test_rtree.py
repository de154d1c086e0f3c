"""The spatial index that is built at the end is the one that GDAL would have made."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from geocobot.io import rtree
from geocobot.io.rtree import LateIndex, can_build

pytestmark = pytest.mark.skipif(not can_build(), reason="this SQLite has no R*Tree")


def boxes(n, seed=0):
    rng = np.random.default_rng(seed)
    west, south = rng.uniform(0, 1000, (2, n)) + np.array([[500_000], [5_000_000]])
    width, height = rng.exponential(20, (2, n))
    return shapely.box(west, south, west + width, south + height)


def frame_of(shapes):
    return gpd.GeoDataFrame({"n": np.arange(len(shapes))}, geometry=shapes, crs=32633)


def write(path, shapes, layer="a", *, late=True, batches=3):
    options = {"GEOMETRY_NAME": "geom", "SPATIAL_INDEX": "YES"}
    how = {"layer": layer, "driver": "GPKG", "geometry_type": "Polygon"}
    path.unlink(missing_ok=True)
    pyogrio.write_dataframe(frame_of(shapes[:0]), path, layer_options=options, **how)
    index = LateIndex(path, layer) if late else None
    for part in np.array_split(shapes, batches):
        pyogrio.write_dataframe(frame_of(part), path, append=True, **how)
        if index:
            index.add(shapely.bounds(part))
    if index:
        index.build(len(shapes))


def found_in(db, layer, window):
    west, south, east, north = window
    sql = f'SELECT id FROM "rtree_{layer}_geom" WHERE maxx>=? AND minx<=? AND maxy>=? AND miny<=?'
    return {row[0] for row in db.execute(sql, (west, east, south, north))}


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 400), st.integers(0, 2**31))
@example(51, 0)  # as much as a node holds
@example(52, 0)
@example(51 * 51 + 1, 1)  # three levels
def test_it_is_sound_and_finds_what_is_there(tmp_path, n, seed):
    path = tmp_path / "a.gpkg"
    shapes = boxes(n, seed)
    write(path, shapes)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT rtreecheck('rtree_a_geom')").fetchone() == ("ok",)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        bounds = shapely.bounds(shapes).reshape(-1, 4)
        for window in shapely.bounds(boxes(5, seed + 1)):
            west, south, east, north = window
            meets = (
                (bounds[:, 2] >= west)
                & (bounds[:, 0] <= east)
                & (bounds[:, 3] >= south)
                & (bounds[:, 1] <= north)
            )
            exact = set((np.flatnonzero(meets) + 1).tolist())
            found = found_in(db, "a", window)
            # Single precision may add what lies a few decimetres beside the window.
            assert exact <= found
            near = window + np.array([-1, -1, 1, 1])
            assert found <= found_in(db, "a", near)
            assert len(found) <= len(exact) + 5


def test_it_holds_what_gdal_puts_into_its_own(tmp_path):
    shapes = boxes(3000)
    contents, schemas = [], []
    for late in (True, False):
        path = tmp_path / f"{late}.gpkg"
        write(path, shapes, late=late)
        with closing(sqlite3.connect(path)) as db:
            contents.append(db.execute("SELECT * FROM rtree_a_geom ORDER BY id").fetchall())
            named = "SELECT type, name, sql FROM sqlite_master WHERE name LIKE 'rtree_%'"
            schemas.append(set(db.execute(named)))
            schemas[-1] |= set(db.execute("SELECT * FROM gpkg_extensions"))
    mine, of_gdal = map(np.array, contents)
    assert (mine[:, 0] == of_gdal[:, 0]).all()
    # SQLite rounds outwards twice, by half a metre at most so far north.
    assert np.abs(mine - of_gdal).max() <= 1
    exact = shapely.bounds(shapes)[:, [0, 2, 1, 3]]
    assert ((mine[:, 1:] - exact) * [-1, 1, -1, 1] >= 0).all()
    assert schemas[0] == schemas[1]


def test_gdal_reads_by_it_and_keeps_it_up_to_date(tmp_path):
    path = tmp_path / "a.gpkg"
    shapes = boxes(3000)
    write(path, shapes)
    window = (500_100, 5_000_100, 500_300, 5_000_200)
    found = pyogrio.read_dataframe(path, bbox=window, fid_as_index=True)
    expected = np.flatnonzero(shapely.intersects(shapes, shapely.box(*window)))
    assert sorted(found.index - 1) == expected.tolist()
    more = boxes(500, 9)
    pyogrio.write_dataframe(frame_of(more), path, layer="a", append=True)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT rtreecheck('rtree_a_geom')").fetchone() == ("ok",)
        assert db.execute("SELECT count(*) FROM rtree_a_geom").fetchone() == (3500,)


@pytest.mark.parametrize("layer", ['it\'s "here"; a.b', "Gebäude 屋根", "a b"])
def test_a_layer_may_have_any_name(tmp_path, layer):
    path = tmp_path / "a.gpkg"
    write(path, boxes(60), layer)
    assert len(pyogrio.read_dataframe(path, bbox=(5e5, 5e6, 5e5 + 2000, 5e6 + 2000))) == 60


def test_missing_features_are_an_error(tmp_path):
    path = tmp_path / "a.gpkg"
    write(path, boxes(0), batches=1)
    index = LateIndex(path, "a")
    index.add(shapely.bounds(boxes(3)))
    with pytest.raises(OSError, match="features are missing"):
        index.build(3)


def test_without_rtrees_it_cannot_be_built(monkeypatch):
    def refuse(*_):
        raise sqlite3.OperationalError("no such module: rtree")

    monkeypatch.setattr(sqlite3, "connect", refuse)
    can_build.cache_clear()
    assert not rtree.can_build()
    can_build.cache_clear()
