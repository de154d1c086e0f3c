"""Scenes and labels that nobody would think of: a sentence or a result, never a traceback."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from geocobot.cli.app import app
from geocobot.workflows import inspected

CRS_CODES = (
    "EPSG:32633", "EPSG:4326", "EPSG:3857", "EPSG:2056", "EPSG:3413", "EPSG:3031", "EPSG:4978",
    "EPSG:27700", "EPSG:2154", "EPSG:4807", "EPSG:5773", "EPSG:7415", "EPSG:2263", None,
)  # fmt: skip
DTYPES = ("uint8", "int16", "uint16", "int32", "float32", "float64", "complex64")
ORIGINS = (
    (500_000.0, 5_000_000.0), (15.0, 45.0), (0.0, 0.0), (179.999, 10.0), (-180.0, 90.0),
    (2_600_000.0, 1_200_000.0), (-1e6, -1e6), (1e12, -1e12), (400_000.0, 100_000.0),
)  # fmt: skip
SIZES = (1.0, 0.3, 30.0, 1e-5, 3e-6, 0.5, 1e4, 1e-12)


@st.composite
def rasters(draw: st.DrawFn) -> dict[str, Any]:
    """What a raster is made of."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 260), st.integers(1, 260)))
    image = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 120, shape).astype(dtype)
    kind = draw(st.sampled_from(("noise", "flat", "not a number", "black border", "huge")))
    if kind == "flat":
        image[:] = image.flat[0]
    elif kind == "not a number" and image.dtype.kind == "f":
        image[:, ::2] = np.nan
    elif kind == "black border":
        image[:, : shape[1] // 2] = 0
    elif kind == "huge" and image.dtype.kind == "f":
        image[:, :, ::3] *= np.array(1e30, dtype=dtype)
    x, y = draw(st.sampled_from(ORIGINS))
    size = draw(st.sampled_from(SIZES))
    turn = draw(st.sampled_from((0.0, 0.0, 0.0, 0.1)))
    down = draw(st.sampled_from((-1, -1, -1, 1)))
    return {
        "image": image,
        "crs": draw(st.sampled_from(CRS_CODES)),
        "transform": Affine(size, turn * size, x, turn * size, down * size, y),
        "nodata": draw(st.sampled_from((None, None, 0, 7))),
    }


@st.composite
def shapes(draw: st.DrawFn, raster: dict[str, Any]) -> shapely.Geometry | None:
    """A geometry, mostly on the raster."""
    _, height, width = raster["image"].shape
    near = st.tuples(st.floats(-0.2 * width, 1.2 * width), st.floats(-0.2 * height, 1.2 * height))
    wild = st.tuples(*[st.sampled_from((0.0, -1e30, 1e308, 90.0, 200.0, np.inf, np.nan))] * 2)
    point = near if draw(st.integers(0, 9)) else wild

    def place(n: int) -> list[tuple[float, float]]:
        return [raster["transform"] @ draw(point) for _ in range(n)]

    kind = draw(st.sampled_from(("box", "box", "box", "polygon", "line", "point", "other", "none")))
    # shapely itself refuses a ring without an end.
    with contextlib.suppress(shapely.errors.GEOSException), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of coordinates that are no numbers
        if kind == "box":
            (x0, y0), (x1, y1) = place(2)
            return shapely.box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        if kind == "polygon":
            return shapely.Polygon(place(draw(st.integers(3, 7))))
        if kind == "line":
            return shapely.LineString(place(draw(st.integers(2, 5))))
        if kind == "point":
            return shapely.Point(*place(1))
        if kind == "other":
            return shapely.GeometryCollection([shapely.Point(*place(1)), shapely.box(0, 0, 1, 1)])
    return None


@st.composite
def inputs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """A raster, labels and options."""
    raster = draw(rasters())
    geometry = draw(st.lists(shapes(raster), max_size=6))
    texts = st.sampled_from(("a", "b", "", "ä ß", "<b>", "=1+1", "a,b", "\u202eabc", "x" * 300))
    kinds = draw(
        st.lists(st.one_of(st.none(), texts), min_size=len(geometry), max_size=len(geometry))
    )
    labels = {
        "geometry": geometry,
        "crs": draw(st.sampled_from((raster["crs"], raster["crs"], "EPSG:4326", None))),
        "kind": kinds,
        "name": draw(st.sampled_from(("l.gpkg", "l.geojson", "l.fgb", "l.shp"))),
    }
    offered = (
        ["--point-radius", "3"], ["--class-field", "kind"], ["--line-width", "0.01"],
        ["--ignore-boundary", "2"], ["--nodata", "0"], ["--bands", "1,1,1"],
        ["--where", "kind = 'a'"],
        ["--labels-crs", "EPSG:4326"], ["--classes", "a,b", "--class-field", "kind"],
        ["--stretch", "deviations"], ["--patch-size", "64"], ["--bands", "all"],
        ["--resolution", "2"], ["--resolution", "0.4"], ["--resolution", "1e-7"],
        ["--resolution", "1e5"],
    )  # fmt: skip
    options = draw(st.lists(st.sampled_from(offered), max_size=3, unique_by=lambda o: o[0]))
    return raster, labels, [word for option in options for word in option]


def write(folder: Path, raster: dict[str, Any], labels: dict[str, Any]) -> tuple[Path, Path] | None:
    """The files; None where the labels' format refuses them."""
    image, scene, label = raster["image"], folder / "scene.tif", folder / labels["name"]
    profile = {"driver": "GTiff", "dtype": image.dtype.name, "count": image.shape[0]}
    profile |= {"height": image.shape[1], "width": image.shape[2]}
    profile |= {name: raster[name] for name in ("crs", "transform", "nodata")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(scene, "w", **profile) as sink:
            sink.write(image)
        frame = gpd.GeoDataFrame(
            {"kind": labels["kind"]}, geometry=labels["geometry"], crs=labels["crs"]
        )
        try:
            frame.to_file(label, engine="pyogrio")
        except Exception:  # shapefiles hold one kind of geometry, others no missing one
            return None
    return scene, label


@pytest.fixture
def unforecast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes a network."""
    monkeypatch.setattr(inspected, "forecast", lambda *_args, **_how: None)


def never_a_traceback(case: tuple[dict[str, Any], dict[str, Any], list[str]]) -> None:
    raster, labels, options = case
    folder = Path(tempfile.mkdtemp())
    try:
        files = write(folder, raster, labels)
        if files is None:
            return
        words = ["--raster", str(files[0]), "--labels", str(files[1]), "-o", str(folder / "r.html")]
        result = CliRunner().invoke(app, ["check", "--device", "cpu", "--debug", *words, *options])
        assert result.exit_code in {0, 1, 2}, result.output
        assert "met something it did not expect" not in result.output, result.output
        assert (folder / "r.html").exists() == (result.exit_code != 2)
    finally:
        shutil.rmtree(folder)


RELAXED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.mark.usefixtures("unforecast")
@settings(max_examples=60, suppress_health_check=RELAXED)
@given(inputs())
def test_any_input_gives_a_sentence_or_a_report(
    case: tuple[dict[str, Any], dict[str, Any], list[str]],
) -> None:
    never_a_traceback(case)


@pytest.mark.slow
@pytest.mark.usefixtures("unforecast")
@settings(max_examples=600, suppress_health_check=RELAXED)
@given(inputs())
def test_many_inputs_give_a_sentence_or_a_report(
    case: tuple[dict[str, Any], dict[str, Any], list[str]],
) -> None:
    never_a_traceback(case)
