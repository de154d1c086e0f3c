"""The reports of training and evaluation, and what their pictures show."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS
from shapely import LineString, box

import geocobot
from geocobot.classes import BACKGROUND, IGNORE, ClassSpec, name_classes
from geocobot.config import TrainOptions
from geocobot.evaluation.blocks import Interval
from geocobot.evaluation.pixels import ClassScore
from geocobot.grid import GeoGrid
from geocobot.io import quicklook as quicklook_module
from geocobot.io.quicklook import Sampling, quicklook
from geocobot.io.scene import Scene
from geocobot.io.scores import ClassWriter, ScoreWriter
from geocobot.tiling import Strip
from geocobot.workflows.examples import Examples
from geocobot.workflows.overview import Overview, colored, compared, paled
from geocobot.workflows.picture import Row
from geocobot.workflows.predict import predict
from geocobot.workflows.quality import in_words, listed
from geocobot.workflows.train import train

from .untrained import make_model, options_for

WEST, NORTH = 500_000.0, 5_000_000.0
SIDE_PX = 320
MOST_BYTES = 5_000_000


def grid_of(height: int, width: int) -> GeoGrid:
    return GeoGrid(CRS.from_epsg(32633), Affine(1, 0, WEST, 0, -1, NORTH), (height, width))


def text_of(page: Path) -> str:
    """A page's text in one line."""
    body = re.sub(r"<style>.*?</style>", "", page.read_text("utf-8"), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


@pytest.fixture
def options(
    scene_factory: Callable[..., Path], labels_factory: Callable[..., Path], tmp_path: Path
) -> TrainOptions:
    """One epoch on bright bars over dark ground, of two classes."""
    rng = np.random.default_rng(0)
    image = rng.integers(20, 60, (3, SIDE_PX, SIDE_PX)).astype("uint8")
    lines = []
    for row in range(16, SIDE_PX, 64):
        image[:, row : row + 16] += 120
        lines.append(LineString([(WEST, NORTH - row - 8), (WEST + SIDE_PX, NORTH - row - 8)]))
    kinds = ["bars <a> & b" if n % 2 else "other" for n in range(len(lines))]
    return TrainOptions(
        raster=(str(scene_factory(image=image)),),
        labels=(str(labels_factory(lines, kind=kinds)),),
        class_field="kind",
        line_width=16.0,
        out=str(tmp_path / "run"),
        base="tiny",
        patch_size=64,
        batch_size=8,
        epochs=1,
        device="cpu",
    )


def test_a_training_ends_with_a_page_that_says_what_its_figures_say(options: TrainOptions) -> None:
    result = train(options)
    assert result.report == result.folder / "report.html"
    assert result.report.stat().st_size < MOST_BYTES
    page = result.report.read_text("utf-8")
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "<a>" not in page
    text = text_of(result.report)
    for score in result.scores.classes:
        assert score.name in text
        if score.iou is not None:
            assert f"{score.iou:.3f}" in text
    for spec in result.classes:
        assert f"{spec.name} {spec.threshold:.2g}" in text
    assert "bootstrap" in text
    assert "patch_size: 64" in text
    assert str(result.report) in result.summary()


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"adapter": "full"}, "Adapter full Weights"),
        ({"adapter": "adaptformer"}, "Adapter adaptformer with COBOT, rank 16 Weights"),
        ({"cobot": False}, "Adapter lora, rank 4 Weights"),
    ],
    ids=str,
)
def test_the_page_says_what_was_trained(
    options: TrainOptions, chosen: dict[str, Any], said: str
) -> None:
    assert said in text_of(train(replace(options, **chosen)).report)


def test_no_report_is_written_where_none_is_wanted(options: TrainOptions) -> None:
    result = train(replace(options, report=False))
    assert result.report is None
    assert not list(result.folder.glob("*.html"))
    assert "preview.png" in result.summary()


def test_an_evaluation_shows_where_a_map_is_wrong(
    scene_factory: Callable[..., Path], labels_factory: Callable[..., Path], tmp_path: Path
) -> None:
    shape = (300, 200)
    image = np.random.default_rng(0).integers(1, 200, (3, *shape)).astype("uint8")
    scene = scene_factory(image=image)
    truth = box(WEST + 20, NORTH - 120, WEST + 120, NORTH - 20)
    labels = labels_factory([truth])
    steps = np.full((1, *shape), 10, np.uint8)
    steps[0, 20:120, 40:140] = 250
    grid = Scene.open(scene).grid
    with ScoreWriter(tmp_path / "scores.tif", grid, name_classes(["roof"])) as sink:
        sink.write(Strip(0, steps))
    out = tmp_path / "judged"
    result = geocobot.evaluate(pred=tmp_path / "scores.tif", labels=labels, raster=scene, out=out)
    assert result.report == out / "report.html"
    text = text_of(result.report)
    assert "80% was found" in text
    assert "found missed mapped, and not there" in text
    assert result.report.stat().st_size < MOST_BYTES
    assert 'class="swipe"' in result.report.read_text("utf-8")


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 25),
    st.lists(st.integers(1, 30), min_size=1, max_size=8),
)
def test_an_overview_is_the_same_however_many_rows_come_at_a_time(
    height: int, width: int, longest: int, heights: list[int]
) -> None:
    labels = np.arange(height * width).reshape(height, width).astype(np.uint8)
    overview = Overview(grid_of(height, width), longest)
    row = k = 0
    while row < height:
        n = min(heights[k % len(heights)], height - row)
        overview.add(row, labels[row : row + n])
        row, k = row + n, k + 1
    step = overview.sampling.step
    expected = labels[step // 2 :: step, step // 2 :: step]
    rows, cols = overview.sampling.shape
    if min(height, width) >= step:
        np.testing.assert_array_equal(overview.labels, expected[:rows, :cols])
    assert max(overview.sampling.shape) <= longest or step == 1


def test_a_quicklook_shows_the_pixels_that_an_overview_shows(
    scene_factory: Callable[..., Path],
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (1, 90, 50)).astype("uint8")
    scene = Scene.open(scene_factory(image=image))
    sampling = Sampling.of(scene.grid, 30)
    picture = quicklook(scene, sampling)
    assert picture is not None
    overview = Overview(scene.grid, 30)
    overview.add(0, image[0])
    assert picture.shape == (*overview.labels.shape, 3)
    order = np.argsort(overview.labels.ravel(), kind="stable")
    assert (np.diff(picture[..., 0].ravel()[order].astype(int)) >= 0).all()


def test_nodata_is_white_and_large_scenes_without_overviews_are_not_read(
    scene_factory: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(0).integers(1, 200, (3, 40, 40)).astype("uint8")
    image[:, :10] = 0
    scene = Scene.open(scene_factory(image=image, nodata=0))
    picture = quicklook(scene, Sampling.of(scene.grid, 40))
    assert picture is not None
    assert (picture[:10] == 255).all()
    assert picture[10:].std() > 40
    with monkeypatch.context() as smaller:
        smaller.setattr(quicklook_module, "MOST_PX", 100)
        assert quicklook(scene, Sampling.of(scene.grid, 40)) is None
    Path(scene.path).unlink()
    assert quicklook(scene, Sampling.of(scene.grid, 40)) is None


def test_a_quicklook_has_data_where_the_scene_has(scene_factory: Callable[..., Path]) -> None:
    """Of bytes that are nodata in all bands; of floats in any, or not a number."""
    rng = np.random.default_rng(0)
    for dtype in ("uint8", "float32"):
        image = rng.integers(0, 3, (3, 40, 40)).astype(dtype) * 100
        scene = Scene.open(scene_factory(f"{dtype}.tif", image=image, nodata=0))
        picture = quicklook(scene, Sampling.of(scene.grid, 40))
        assert picture is not None
        valid = scene.read(scene.grid.window).valid
        assert 0.01 < (~valid).mean() < 0.99
        assert (picture[~valid] == 255).all()
        assert (picture[valid] < 255).any(axis=-1).mean() > 0.5


def test_errors_have_the_colors_of_what_they_are() -> None:
    truth = np.array([[1, 1, 0, 2, IGNORE, 0]], np.uint8)
    prediction = np.array([[1, 0, 1, 1, 1, 0]], np.uint8)
    found, missed, wrong, confused, unknown, nothing = compared(truth, prediction, None)[0].tolist()
    assert found == [0, 158, 115]
    assert missed == [0, 114, 178]
    assert wrong == confused == [213, 94, 0]
    assert unknown == nothing == [255, 255, 255]


def test_a_scene_below_a_map_is_pale_in_its_darkest_places_too() -> None:
    below = np.array([[[0, 0, 0], [1, 1, 1], [255, 255, 255]]], np.uint8)
    black, dark, white = paled((1, 3), below)[0, :, 0].tolist()
    assert 0 < black < dark < black + 1
    assert white == 255


def test_a_map_has_the_colors_of_its_classes() -> None:
    classes = [ClassSpec(3, "a", "#102030")]
    labels = np.array([[3, BACKGROUND, IGNORE]], np.uint8)
    below = np.full((1, 3, 3), 100, np.uint8)
    assert colored(labels, classes, None)[0].tolist() == [[16, 32, 48], [255] * 3, [255] * 3]
    over = colored(labels, classes, below)[0]
    assert over[0].tolist() != over[1].tolist() == over[2].tolist()


@given(st.lists(st.floats(0, 1), max_size=120), st.integers(0, 3))
def test_examples_are_the_best_the_typical_and_the_worst(values: list[float], seed: int) -> None:
    examples = Examples(seed)
    for n, iou in enumerate(values):
        examples.add(iou, Row(np.full((1, 1, 1), n, np.float32), np.zeros((1, 1), np.uint8)))
    chosen = examples.chosen()
    places = [int(e.row.image[0, 0, 0]) for e in chosen]
    assert len(set(places)) == len(places) <= 6
    assert [values[n] for n in places] == [e.iou for e in chosen]
    if len(values) >= 6:
        ordered = sorted(values)
        assert [e.iou for e in chosen if e.kind == "best"] == ordered[:-3:-1]
        assert sorted(e.iou for e in chosen if e.kind == "worst") == ordered[:2]
        typical = [e.iou for e in chosen if e.kind == "typical"]
        assert all(ordered[0] <= iou <= ordered[-1] for iou in typical)
        assert len(typical) == 2


def test_figures_are_said_in_words() -> None:
    score = ClassScore("roads", 0.5, 2 / 3, 0.6, 0.75, truth_px=40, predicted_px=50)
    assert in_words(score, Interval(0.4, 0.61)) == (
        "Of the roads, 75% was found; of what was mapped as roads, 60% is true "
        "(IoU 0.50; other places like these would give 0.40 to 0.61)."
    )
    missing = ClassScore("roads", None, None, None, None, truth_px=0, predicted_px=0)
    assert in_words(missing, None) == "There are no roads, and none were mapped."
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(["a"]) == "a"


def test_a_class_raster_is_judged_without_curves(
    labels_factory: Callable[..., Path], tmp_path: Path
) -> None:
    labels = labels_factory([box(WEST + 20, NORTH - 120, WEST + 120, NORTH - 20)])
    grid = GeoGrid(CRS.from_epsg(32633), Affine(1, 0, WEST, 0, -1, NORTH), (200, 200))
    mapped = np.zeros(grid.shape, np.uint8)
    mapped[20:120, 20:100] = 1
    with ClassWriter(tmp_path / "classes.tif", grid, name_classes(["roof"])) as sink:
        sink.write(0, mapped)
    result = geocobot.evaluate(
        pred=tmp_path / "classes.tif", labels=labels, out=tmp_path / "judged"
    )
    assert result.report is not None
    text = text_of(result.report)
    assert "none, the map has no scores" in text
    assert "100% is true" in text


@pytest.mark.parametrize("cut", [False, True])
def test_a_map_comes_with_a_page_that_shows_it(
    scene_factory: Callable[..., Path], tmp_path: Path, cut: bool
) -> None:
    scene = scene_factory(shape_hw=(130, 90), seed=3)
    model = make_model(tmp_path / "model.safetensors")
    bbox = (WEST + 10, NORTH - 120, WEST + 80, NORTH - 5)
    how = {"threshold": 0.0, "save_scores": False, "save_classes": False}
    found = predict(options_for(model, scene, tmp_path, **how, **({"bbox": bbox} if cut else {})))
    (result,) = found.scenes
    assert result.report == tmp_path / "map_report.html"
    text = text_of(result.report)
    for total in result.totals:
        assert f"{total.name}: {total.polygons:,} polygon" in text
    assert "Nobody has checked this map" in text
    assert "map.gpkg" in text
    assert result.report.stat().st_size < MOST_BYTES
    assert str(result.report) in result.summary()
    # A scene that is cut has no picture: what lies outside is not read.
    assert ('class="swipe"' in result.report.read_text("utf-8")) is not cut


def test_a_map_without_a_page_and_one_with_it_are_the_same(
    scene_factory: Callable[..., Path], tmp_path: Path
) -> None:
    scene = scene_factory(shape_hw=(130, 90), seed=3)
    model = make_model(tmp_path / "model.safetensors")
    made = []
    for report in (True, False):
        out = tmp_path / str(report)
        (result,) = predict(options_for(model, scene, out, report=report)).scenes
        assert (result.report is not None) == (out / "map_report.html").is_file() == report
        made.append([(out / name).read_bytes() for name in ("map_scores.tif", "map_classes.tif")])
    assert made[0] == made[1]


def test_a_map_of_nothing_says_so(scene_factory: Callable[..., Path], tmp_path: Path) -> None:
    scene = scene_factory(shape_hw=(70, 70))
    model = make_model(tmp_path / "model.safetensors")
    (result,) = predict(options_for(model, scene, tmp_path, threshold=1.0)).scenes
    assert result.report is not None
    assert "Nothing was found" in text_of(result.report)


@pytest.mark.parametrize(("model_m", "told"), [(1.05, False), (1.2, True)])
def test_a_page_tells_of_pixels_of_another_size(
    scene_factory: Callable[..., Path], tmp_path: Path, model_m: float, told: bool
) -> None:
    scene = scene_factory(shape_hw=(70, 70))
    model = make_model(tmp_path / "model.safetensors", model_m)
    options = options_for(model, scene, tmp_path, resolution=model_m if told else None)
    (result,) = predict(options).scenes
    assert result.report is not None
    text = text_of(result.report)
    assert ("The model learned from pixels" in text) is told
    said = "pixels of 1.2 x 1.2 m; those of this scene are 1 x 1 m, and were made as large for it"
    assert (said in text) is told
