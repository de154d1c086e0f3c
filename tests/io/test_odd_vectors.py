"""Vector files as the field has them: curves, solids, old encodings, endless tables, date line."""

from __future__ import annotations

import resource
import struct
import sys

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import CRS, Transformer
from rasterio.windows import Window

from geocobot.errors import UnreadableFileError
from geocobot.grid import GeoGrid
from geocobot.io.label_files import LabelChoice, read_labels
from geocobot.io.vectors import VectorSource, read_vector

ARC = "CIRCULARSTRING (500120 4999840, 500160 4999880, 500200 4999840)"
STRAIGHT = "(500200 4999840, 500300 4999840)"
RING = (
    "CIRCULARSTRING (500000 4999960, 500040 5000000, 500080 4999960, "
    "500040 4999920, 500000 4999960)"
)
TRIANGLE = "((500000 4999000 0, 500000 4999010 0, 500010 4999000 0, 500000 4999000 0))"


@pytest.fixture
def text_file(tmp_path):
    """Write geometries as text, which GDAL makes of every kind."""

    def write(*shapes):
        path = tmp_path / "shapes.csv"
        rows = [f'{i},"{shape}"' for i, shape in enumerate(shapes)]
        path.write_text("\n".join(["id,WKT", *rows]) + "\n")
        return path

    return write


@pytest.mark.parametrize(
    ("shape", "kind", "size_m"),
    [
        (f"CURVEPOLYGON ({RING})", "Polygon", np.pi * 40**2),
        (f"MULTISURFACE (CURVEPOLYGON ({RING}))", "MultiPolygon", np.pi * 40**2),
        (ARC, "LineString", np.pi * 40),
        (
            f"COMPOUNDCURVE ({ARC}, (500200 4999840, 500300 4999840))",
            "LineString",
            np.pi * 40 + 100,
        ),
        (f"MULTICURVE ({ARC})", "MultiLineString", np.pi * 40),
    ],
)
def test_curves_become_straight_pieces(text_file, shape, kind, size_m):
    frame, _ = read_vector(VectorSource(path=text_file(shape)))
    (geometry,) = frame.geometry
    assert geometry.geom_type == kind
    measured = geometry.area if kind.endswith("Polygon") else geometry.length
    assert measured == pytest.approx(size_m, rel=1e-2)


def test_curves_are_labels(text_file):
    grid = GeoGrid(CRS(32633), Affine(1, 0, 5e5, 0, -1, 5e6), (100, 100))
    labels = read_labels([text_file(f"CURVEPOLYGON ({RING})")], LabelChoice(crs="EPSG:32633"))
    classes = labels.on(grid, "scene").read(Window(0, 0, 100, 100)).classes
    assert classes.sum() == pytest.approx(np.pi * 40**2, rel=1e-2)


@pytest.mark.parametrize("kind", ["TIN", "POLYHEDRALSURFACE", "TRIANGLE"])
def test_solids_are_refused_with_the_way_out(text_file, kind):
    inner = TRIANGLE if kind == "TRIANGLE" else f"({TRIANGLE})"
    path = text_file(f"{kind} Z {inner}")
    with pytest.raises(
        UnreadableFileError,
        match=r"shapes.csv holds solids.*once with: ogr2ogr -nlt MULTIPOLYGON flat.gpkg",
    ):
        read_vector(VectorSource(path=path))


@pytest.fixture
def german(tmp_path):
    """A shapefile with umlauts in Windows' encoding; its .cpg says what the test wants it to."""

    def write(said):
        path = tmp_path / "land.shp"
        boxes = [shapely.box(x, 0, x + 1, 1) for x in range(2)]
        frame = gpd.GeoDataFrame({"art": ["Straße", "Grünfläche"]}, geometry=boxes, crs=32633)
        frame.to_file(path, engine="pyogrio", encoding="cp1252")
        sidecar = path.with_suffix(".cpg")
        sidecar.unlink() if said is None else sidecar.write_text(said)
        return path

    return write


@pytest.mark.parametrize("said", ["cp1252", None, "UTF-8"])
def test_texts_in_an_old_encoding(german, said, caplog):
    path = german(said)
    frame, _ = read_vector(VectorSource(path=path, fields={"--class-field": "art"}))
    assert frame["art"].tolist() == ["Straße", "Grünfläche"]
    assert ("land.shp: its texts are not UTF-8, as it says" in caplog.text) == (said == "UTF-8")


def test_a_field_whose_name_is_in_an_old_encoding(tmp_path):
    path = tmp_path / "land.shp"
    frame = gpd.GeoDataFrame({"größe": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs=32633)
    frame.to_file(path, engine="pyogrio", encoding="cp1252")
    path.with_suffix(".cpg").write_text("UTF-8")
    read, _ = read_vector(VectorSource(path=path, fields={"--class-field": "größe"}))
    assert read["größe"].tolist() == [1]


@pytest.mark.skipif(sys.platform == "win32", reason="needs sparse files and getrusage")
def test_two_gigabytes_of_attributes_are_left_on_the_disk(tmp_path):
    """A table as wide as dBase allows, sparse, so that it takes no room."""
    path, n_rows, n_fields, width = tmp_path / "parcels.shp", 33_200, 255, 254
    boxes = [shapely.box(x, 0, x + 0.5, 1) for x in range(n_rows)]
    gpd.GeoDataFrame({"a": ["x"] * n_rows}, geometry=boxes, crs=32633).to_file(path)
    row = 1 + width * n_fields
    header = struct.pack("<BBBBIHH20x", 3, 126, 1, 1, n_rows, 32 + 32 * n_fields + 1, row)
    header += b"".join(
        struct.pack("<11sc4xBB14x", f"f{k}".encode(), b"C", width, 0) for k in range(n_fields)
    )
    table = path.with_suffix(".dbf")
    with table.open("wb") as sink:
        sink.write(header + b"\r")
        sink.truncate(len(header) + 1 + n_rows * row + 1)
    assert table.stat().st_size > 2 * 2**30
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    frame, _ = read_vector(VectorSource(path=path, fields={"--class-field": "f7"}))
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
    assert len(frame) == n_rows
    assert list(frame.columns) == ["f7", "geometry"]
    assert grown_mib < 500


@pytest.mark.parametrize("labels_crs", [4326, 3832])
def test_labels_on_both_sides_of_the_date_line(tmp_path, labels_crs):
    """Fiji Map Grid runs on through 180 degrees, where longitudes change their sign."""
    to_degrees = Transformer.from_crs(3460, 4326, always_xy=True)
    to_map = Transformer.from_crs(4326, 3460, always_xy=True)
    x, y = to_map.transform(180.0, -16.8)
    grid = GeoGrid(CRS(3460), Affine(10, 0, x - 2000, 0, -10, y + 2000), (400, 400))
    boxes = [shapely.box(x + east, y - 300, x + east + 600, y + 300) for east in (-1500, 900)]
    placed = [
        shapely.transform(b, lambda xy: np.column_stack(to_degrees.transform(*xy.T))) for b in boxes
    ]
    assert sorted(np.sign([p.centroid.x for p in placed])) == [-1, 1]
    frame = gpd.GeoDataFrame(geometry=placed, crs=4326).to_crs(labels_crs)
    path = tmp_path / "both.gpkg"
    frame.to_file(path, engine="pyogrio")
    raster = read_labels([path]).on(grid, "fiji")
    classes = raster.read(Window(0, 0, 400, 400)).classes
    west, east = classes[:, :200].sum(), classes[:, 200:].sum()
    assert west == pytest.approx(3600, rel=0.02)
    assert east == pytest.approx(3600, rel=0.02)


def test_labels_around_a_pole(tmp_path):
    grid = GeoGrid(CRS(3413), Affine(100, 0, -20_000, 0, -100, 20_000), (400, 400))
    disc = gpd.GeoDataFrame(geometry=[shapely.Point(0, 0).buffer(5000)], crs=3413)
    path = tmp_path / "pole.gpkg"
    disc.to_file(path, engine="pyogrio")
    classes = read_labels([path]).on(grid, "pole").read(Window(0, 0, 400, 400)).classes
    assert classes.sum() == pytest.approx(np.pi * 50**2, rel=0.02)
