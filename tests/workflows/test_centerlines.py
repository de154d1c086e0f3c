"""`--centerlines` of `geocobot vectorize` and `geocobot predict`."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pyogrio
import pytest

import geocobot
from geocobot.config import VectorizeOptions
from geocobot.errors import ConfigError
from geocobot.settings import make_options
from geocobot.workflows.vectorize import vectorize
from geocobot.yaml_file import read_yaml

from .stand_in import make_map


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")


@pytest.fixture
def scene(scene_factory):
    """Bright bands of 12 px that cross, with dark ones between them."""
    row, col = np.mgrid[:300, :260]
    is_band = (row % 90 < 12) | (col % 120 < 12)
    image = np.where(is_band, 220, 30).astype("uint8")
    return scene_factory(image=np.stack([image] * 3))


ALL = {"centerlines": True, "min_area": 30.0, "simplify": 1.0}


def lines_of(path) -> gpd.GeoDataFrame:
    if path.suffix == ".gpkg":
        return gpd.read_file(path, layer=f"{path.stem}_centerlines")
    return gpd.read_file(path.with_name(f"{path.stem}_centerlines{path.suffix}"))


@pytest.mark.parametrize("name", ["map.gpkg", "map.geojson"])
def test_a_map_and_its_scores_give_the_same_lines(scene, tmp_path, name):
    mapped = make_map(scene, tmp_path / "map" / name, save_scores=True, **ALL)
    out = tmp_path / "again" / name
    again = geocobot.vectorize(scores=mapped.scores, out=out, **ALL)
    lines = lines_of(out)
    assert again.centerlines.read_bytes() == mapped.centerlines.read_bytes()
    assert again.totals == mapped.totals
    assert sum(total.lines for total in again.totals) == len(lines) > 5
    assert sum(total.length_m for total in again.totals) == pytest.approx(lines["length_m"].sum())
    assert "lines " in again.summary()
    assert (again.centerlines == again.polygons) == (name == "map.gpkg")


def test_areas_too_wide_for_a_line_are_told_of(scene_factory, tmp_path):
    image = np.full((560, 460), 30, dtype="uint8")
    image[:250, :250] = image[300:, :] = image[255:270] = 220
    mapped = make_map(scene_factory(image=np.stack([image] * 3)), tmp_path / "map.gpkg", **ALL)
    assert mapped.totals[0].too_wide == 2
    assert "areas too wide for a line in their middle: 2 of " in mapped.summary()


def test_what_is_dropped_as_faint_has_no_line(scene_factory, tmp_path):
    image = np.full((200, 220), 30, dtype="uint8")
    image[40:52], image[120:132] = 160, 220
    how = ALL | {"threshold": 0.5, "save_scores": True}
    scene = scene_factory(image=np.stack([image] * 3))
    low = make_map(scene, tmp_path / "low" / "map.gpkg", **how, centerline_classes=("bright",))
    drawn = lines_of(low.polygons)
    high = {"high_threshold": float(drawn["score"].mean())}
    mapped = make_map(scene, tmp_path / "map" / "map.gpkg", **how, **high)
    out = tmp_path / "again" / "map.gpkg"
    geocobot.vectorize(scores=low.scores, out=out, **ALL, threshold=0.5, **high)
    assert len(drawn) == 2
    for path in (mapped.polygons, out):
        bright = lines_of(path).query("class_name == 'bright'")
        polygons = gpd.read_file(path, layer="map").query("class_name == 'bright'")
        assert len(bright) == len(polygons) == 1
        assert bright.geometry.iloc[0].within(polygons.geometry.iloc[0].buffer(0.5))


def test_without_the_option_there_are_none(scene, tmp_path):
    mapped = make_map(scene, tmp_path / "map.gpkg")
    assert mapped.centerlines is None
    assert "map_centerlines" not in pyogrio.list_layers(mapped.polygons)[:, 0]


def test_the_saved_options_give_the_lines_again(scene, tmp_path):
    mapped = make_map(scene, tmp_path / "map.gpkg", save_scores=True)
    first = geocobot.vectorize(
        scores=mapped.scores, out=tmp_path / "a.gpkg", bridge_gaps=5.0, **ALL
    )
    saved = read_yaml(first.config)
    again = vectorize(make_options(VectorizeOptions, saved | {"overwrite": True}, "a test"))
    assert again.totals == first.totals


def test_lines_of_named_classes_alone(scene, tmp_path):
    mapped = make_map(scene, tmp_path / "map.gpkg", save_scores=True)
    names = [total.name for total in mapped.totals]
    out = tmp_path / "named.gpkg"
    geocobot.vectorize(scores=mapped.scores, out=out, centerline_classes=names[:1], **ALL)
    assert set(lines_of(out)["class_name"]) == {names[0]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bridge_gaps": 5.0}, r"--bridge-gaps is given, and no centerlines are drawn"),
        ({"centerline_classes": ["x"]}, r"--centerline-classes is given, and no centerlines"),
        ({"centerline_classes": ["x"], "centerlines": True}, r"--centerline-classes names x"),
    ],
)
def test_options_that_do_not_fit_are_refused(scene, tmp_path, options, message):
    mapped = make_map(scene, tmp_path / "map.gpkg", save_scores=True)
    out = tmp_path / "out.gpkg"
    with pytest.raises(ConfigError, match=message):
        geocobot.vectorize(scores=mapped.scores, out=out, **options)
    with pytest.raises(ConfigError, match=message):
        make_map(scene, out, **options)
    assert not out.exists()


def test_a_gap_has_no_negative_length(scene, tmp_path):
    mapped = make_map(scene, tmp_path / "map.gpkg")
    with pytest.raises(ConfigError, match=r"--bridge-gaps is -1"):
        geocobot.vectorize(scores=mapped.scores, centerlines=True, bridge_gaps=-1.0)
