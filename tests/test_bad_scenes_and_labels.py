"""The table of docs/bad-input.md, row by row: one paragraph, exit code 1 or 2, no traceback."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import Result
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from typer.testing import CliRunner

from geocobot.cli.app import app
from geocobot.io import remote

WEST, NORTH = 500_000.0, 5_000_000.0
DOCS = Path(__file__).resolve().parents[1] / "docs" / "bad-input.md"


def at(col: float, row: float, width: float = 20, height: float = 20) -> shapely.Polygon:
    return shapely.box(WEST + col, NORTH - row - height, WEST + col + width, NORTH - row)


ROOFS = [at(20 + 60 * k, 20 + 60 * n) for k in range(4) for n in range(4)]


@dataclass(frozen=True)
class Kit:
    """What the cases make their files with."""

    folder: Path
    scene: Callable[..., Path]
    labels: Callable[..., Path]

    def good_scene(self, name: str = "scene.tif", **how: Any) -> Path:
        return self.scene(name, **{"shape_hw": (256, 256)} | how)

    def good_labels(self, **columns: Any) -> Path:
        return self.labels(ROOFS, **columns)

    def text(self, name: str, content: str = "this is prose, and no map") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    def bare(self, name: str, image: np.ndarray | None = None, **profile: Any) -> Path:
        """A raster without any georeference of its own."""
        image = np.full((3, 64, 64), 9, np.uint8) if image is None else image
        path = self.folder / name
        shape = {"count": len(image), "height": image.shape[1], "width": image.shape[2]}
        how = {"driver": "GTiff", "dtype": image.dtype.name, **shape, **profile}
        with rasterio.open(path, "w", **how) as sink:
            sink.write(image)
        return path

    def cut(self, path: Path, share: float) -> Path:
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        return path


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        row: its first column.
        code: exit code of `geocobot check`.
        said: a part of what is said.
        words: makes the command's words.
    """

    row: str
    code: int
    said: str
    words: Callable[[Kit], list[object]]


def scene(row: str, said: str, make: Callable[[Kit], object], code: int = 1) -> Case:
    """A bad scene beside good labels."""
    return Case(row, code, said, lambda kit: ["--raster", make(kit), "--labels", kit.good_labels()])


def labels(
    row: str, said: str, make: Callable[[Kit], object], *more: object, code: int = 1
) -> Case:
    """Bad labels beside a good scene."""
    return Case(
        row, code, said, lambda kit: ["--raster", kit.good_scene(), "--labels", make(kit), *more]
    )


def option(row: str, said: str, *more: object, code: int = 2) -> Case:
    """A bad option beside good files."""
    return Case(
        row,
        code,
        said,
        lambda kit: [
            "--raster", kit.good_scene(), "--labels", kit.good_labels(kind=["a", "b"] * 8), *more
        ],
    )  # fmt: skip


def scenes(row: str, said: str, *others: dict[str, Any]) -> Case:
    """Two scenes that do not go together."""

    def words(kit: Kit) -> list[object]:
        other = kit.scene("other.tif", **others[0])
        return ["--raster", kit.good_scene(), "--raster", other, "--labels", kit.good_labels()]

    return Case(row, 1, said, words)


def corrupt_block(kit: Kit) -> Path:
    """Noise in the middle of what the file has compressed."""
    path = kit.good_scene(tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = os.urandom(2000)
    path.write_bytes(bytes(content))
    return path


def with_gcps(kit: Kit) -> Path:
    path = kit.bare("gcps.tif")
    points = [
        GroundControlPoint(r, c, WEST + c, NORTH - r)
        for r, c in ((0, 0), (0, 63), (63, 0), (63, 63))
    ]
    with rasterio.open(path, "r+") as sink:
        sink.gcps = points, rasterio.crs.CRS.from_epsg(32633)
    return path


def with_rpcs(kit: Kit) -> Path:
    path = kit.bare("rpcs.tif")
    ones = [1.0, *[0.0] * 19]
    with rasterio.open(path, "r+") as sink:
        sink.rpcs = RPC(
            height_off=0, height_scale=1, lat_off=45, lat_scale=0.1, line_den_coeff=ones,
            line_num_coeff=ones, line_off=32, line_scale=32, long_off=15, long_scale=0.1,
            samp_den_coeff=ones, samp_num_coeff=ones, samp_off=32, samp_scale=32, err_bias=None,
            err_rand=None,
        )  # fmt: skip
    return path


def cut_shapefile(kit: Kit) -> Path:
    path = kit.labels(ROOFS, name="roofs.shp")
    return kit.cut(path, 0.5)


def two_layers(kit: Kit) -> Path:
    path = kit.labels(ROOFS, layer="a")
    gpd.GeoDataFrame(geometry=ROOFS, crs="EPSG:32633").to_file(path, layer="b", engine="pyogrio")
    return path


def number_raster(kit: Kit, dtype: str = "uint8", bands: int = 1, east: float = 0.0) -> Path:
    image = np.ones((bands, 64, 64), dtype=dtype) * (1 if dtype == "uint8" else 0.5)
    return kit.scene("classes.tif", image=image.astype(dtype), origin_xy=(WEST + east, NORTH))


def no_numbers(kit: Kit) -> Path:
    """As some programs write them; shapely makes none."""
    ring = "[[[NaN, 1.0], [2.0, Infinity], [3.0, 3.0], [NaN, 1.0]]]"
    return kit.text(
        "a.geojson",
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, '
        f'"geometry": {{"type": "Polygon", "coordinates": {ring}}}}}]}}',
    )


def swapped(kit: Kit) -> Path:
    flipped = [shapely.transform(r, lambda xy: xy[:, ::-1]) for r in ROOFS]
    return kit.labels(flipped)


def items(kit: Kit, *assets: str) -> Path:
    """A STAC item with GeoTIFFs for assets."""
    kind = {"type": "image/tiff; application=geotiff", "roles": ["data"]}
    item = {
        "type": "Feature", "stac_version": "1.0.0", "id": "S2A_1", "geometry": None, "links": [],
        "properties": {"datetime": "2025-06-01T00:00:00Z"},
        "assets": {name: {"href": f"{name}.tif"} | kind for name in assets},
    }  # fmt: skip
    return kit.text("items.json", json.dumps(item))


SOLID = "((500000 4999900 0, 500000 4999910 0, 500010 4999900 0, 500000 4999900 0))"
DEGREES = gpd.GeoSeries(ROOFS, crs="EPSG:32633").to_crs("EPSG:4326").tolist()

CASES = [
    scene("a raster that is not there", "does not exist", lambda kit: kit.folder / "a.tif", 2),
    scene("a raster that is something else", "GDAL", lambda kit: kit.text("a.tif"), 2),
    scene("an empty file", "a.tif", lambda kit: kit.text("a.tif", ""), 2),
    scene("a truncated raster", "a.tif", lambda kit: kit.cut(kit.good_scene("a.tif"), 0.6), 2),
    scene("a raster with a corrupt block", "scene.tif", corrupt_block, 2),
    scene("a folder without rasters", "raster", lambda kit: kit.text("x/a.txt").parent, 2),
    scene("a pattern that nothing fits", "*.tif", lambda kit: kit.folder / "none" / "*.tif", 2),
    scene("JSON that is no STAC", "is no STAC", lambda kit: kit.text("a.json", "{}"), 2),
    scene("a STAC item without a raster", "has no raster among its assets", items, 2),
    scene("a STAC item with several rasters", "Say which of them is the scene",
        lambda kit: items(kit, "red", "nir"), 2),
    scene("a server that is not there", "cannot be opened",
        lambda _: "http://127.0.0.1:9/scene.tif", 2),
    scene("a raster without CRS", "has no CRS", lambda kit: kit.good_scene(crs=None)),
    scene(
        "a raster in a CRS of no place on the earth",
        "CRS",
        lambda kit: kit.good_scene(crs='LOCAL_CS["site",UNIT["metre",1]]'),
    ),
    scene("a raster without a place", "bare.tif",
        lambda kit: kit.bare("bare.tif", crs="EPSG:32633")),
    scene("a rotated raster", "gdalwarp", lambda kit: kit.good_scene(
        transform=Affine(1, 0.5, WEST, 0.5, -1, NORTH))),
    scene("a raster that has ground control points alone", "gdalwarp", with_gcps),
    scene("a raster that has RPCs alone", "gdalwarp", with_rpcs),
    scene("a raster in the wrong CRS", "CRS", lambda kit: kit.good_scene(
        crs="EPSG:4326", origin_xy=(5e5, 5e6))),
    scene("a raster of nodata", "has no pixel with data", lambda kit: kit.good_scene(
        image=np.zeros((3, 256, 256), np.uint8), nodata=0)),
    scene("a raster of not-a-number", "has no pixel with data", lambda kit: kit.good_scene(
        image=np.full((3, 256, 256), np.nan, np.float32))),
    scene("a raster of complex numbers", "complex", lambda kit: kit.good_scene(dtype="complex64")),
    scene("a raster too small to split", "has no room",
        lambda kit: kit.good_scene(shape_hw=(90, 90))),
    scene("a raster with a palette", "-expand rgb", lambda kit: kit.bare(
        "p.tif", np.ones((1, 64, 64), np.uint8), photometric="palette", crs="EPSG:32633",
        transform=Affine(1, 0, WEST, 0, -1, NORTH))),
    scenes("scenes with different numbers of bands", "bands", {
        "bands": 1, "shape_hw": (256, 256), "origin_xy": (WEST + 256, NORTH)}),
    scenes("scenes with different pixel sizes", "pixels of", {
        "res": 2.0, "shape_hw": (256, 256), "origin_xy": (WEST + 256, NORTH)}),
    option("a band that is not there", "has no band 7", "--bands", "1,2,7", code=1),
    Case("more bands than a model reads", 1, "A model reads 14 at most", lambda kit: [
        "--raster", kit.good_scene(bands=15), "--labels", kit.good_labels(), "--bands", "all"]),
    option("pixels much finer than the scene's", "4 times finer", "--resolution", "0.1", code=1),
    option("pixels much coarser than the scene's", "-r average", "--resolution", "500", code=1),
    option("a range that is none", "It has a low and a higher high", "--value-range", "9,3"),
    option("no number where one is needed", "nodata", "--nodata", "none"),
    labels("labels that are not there", "does not exist", lambda kit: kit.folder / "a.shp", code=2),
    labels("labels that are something else", "a.geojson",
        lambda kit: kit.text("a.geojson"), code=2),
    labels("truncated GeoJSON", "a.geojson", lambda kit: kit.cut(
        kit.labels(ROOFS, name="a.geojson"), 0.6), code=2),
    labels("a truncated GeoPackage", "labels.gpkg",
        lambda kit: kit.cut(kit.good_labels(), 0.4), code=2),
    labels("a truncated shapefile", "roofs.shp", cut_shapefile, code=2),
    labels("a table without geometry", "t.csv",
        lambda kit: kit.text("t.csv", "a,b\n1,2\n"), code=2),
    labels("an empty layer", "has no usable feature", lambda kit: kit.labels([])),
    labels("features without geometry", "has no usable feature",
        lambda kit: kit.labels([None, None])),
    labels("geometry without size", "has no usable feature", lambda kit: kit.labels(
        [shapely.Polygon([(WEST, NORTH), (WEST + 9, NORTH), (WEST, NORTH)])])),
    labels("coordinates that are no numbers", "has no usable feature", no_numbers),
    labels("solids in place of areas", "-nlt MULTIPOLYGON", lambda kit: kit.text(
        "b.csv", f'id,WKT\n1,"TIN Z ({SOLID})"\n'), "--labels-crs", "EPSG:32633", code=2),
    labels("coordinates beyond the earth", "nothing of it lies on", lambda kit: kit.labels(
        [shapely.box(1e30, 1e30, 2e30, 2e30)])),
    labels("labels without CRS", "has no CRS (roofs.prj is missing)", lambda kit: kit.labels(
        ROOFS, crs=None, name="roofs.shp")),
    labels("points without a radius", "--point-radius", lambda kit: kit.labels(
        [shapely.Point(WEST + 9, NORTH - 9)])),
    labels("labels elsewhere", "nothing of it lies on", lambda kit: kit.labels([at(9_000, 0)])),
    labels("labels in degrees that say metres", "--labels-crs EPSG:4326",
        lambda kit: kit.labels(DEGREES)),
    labels("labels in the scene's metres that say others", "--labels-crs EPSG:32633",
           lambda kit: kit.labels(ROOFS, crs="EPSG:3857")),
    labels("labels whose x and y are swapped", "x and y look swapped", swapped),
    labels("labels that cover all of the scene", "All that is labelled is", lambda kit: kit.labels(
        [at(-9, -9, 300, 300)])),
    labels("several layers", "--labels-layer", two_layers, code=2),
    labels("class numbers with fractions", "Class numbers are whole",
        lambda kit: number_raster(kit, "float32")),
    labels("a class raster of several bands", "band", lambda kit: number_raster(kit, bands=3)),
    labels("a class raster elsewhere", "nothing of it lies on", lambda kit: number_raster(
        kit, east=9_000)),
    option("a layer that is not there", "x", "--labels-layer", "x"),
    option("an attribute that is not there", "species", "--class-field", "species"),
    option("a width that is no attribute", "width", "--width-field", "width"),
    option("a class that is not there", "ash", "--class-field", "kind", "--classes", "ash"),
    option("a condition that is no SQL", "--where", "--where", "kind = = 'a'"),
    option("a condition that nothing meets", "has no usable feature",
        "--where", "kind = 'z'", code=1),
    option("a CRS that is none", "which is no CRS", "--labels-crs", "EPSG:nonsense"),
    option("a negative width", "--line-width is -8", "--line-width", "-8"),
    option("a labelled area that is not there", "area.gpkg", "--labelled-area", "area.gpkg"),
    Case("a labelled area elsewhere", 1, "labelled-area", lambda kit: [
        "--raster", kit.good_scene(), "--labels", kit.good_labels(),
        "--labelled-area", kit.labels([at(9_000, 0)], name="area.gpkg")]),
    Case("a labelled area that is a raster", 1, "is drawn with polygons", lambda kit: [
        "--raster", kit.good_scene(), "--labels", kit.good_labels(),
        "--labelled-area", number_raster(kit)]),
    Case("a validation area elsewhere", 1, "has no polygon on", lambda kit: [
        "--raster", kit.good_scene(), "--labels", kit.good_labels(),
        "--val-area", kit.labels([at(9_000, 0)], name="area.gpkg")]),
    Case("a scene to learn from and to validate with", 2, "names", lambda kit: [
        "--raster", kit.good_scene(), "--val-raster", kit.good_scene(), "--labels",
        kit.good_labels()]),
    Case("labels of both kinds", 2, "names the raster", lambda kit: [
        "--raster", kit.good_scene(), "--labels", kit.good_labels(), "--labels",
        number_raster(kit)]),
]  # fmt: skip


def run(kit: Kit, case: Case) -> Result:
    words = [str(word) for word in case.words(kit)]
    return CliRunner().invoke(app, ["check", "--device", "cpu", *words])


@pytest.mark.parametrize("case", CASES, ids=[case.row.replace(" ", "_") for case in CASES])
def test_every_row(
    case: Case,
    scene_factory: Callable[..., Path],
    labels_factory: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote, "DELAYS_S", (0.001,))
    kit = Kit(tmp_path, scene_factory, labels_factory)
    result = run(kit, case)
    said = " ".join(result.output.split())
    assert isinstance(result.exception, SystemExit), said
    assert result.exit_code == case.code, said
    assert case.said in said
    assert "Traceback" not in said
    assert "met something it did not expect" not in said
    if case.code == 2:
        assert result.stdout == ""


def test_the_table_has_these_rows_and_no_other() -> None:
    text = DOCS.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?!---|What you have)([^|]+?) \|", text, flags=re.MULTILINE)
    assert sorted(rows) == sorted(case.row for case in CASES)
    assert len(rows) >= 40
