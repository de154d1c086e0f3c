"""Parts of scenes that polygons or masks bound, from the files to the map."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
from affine import Affine

from geocobot.config import PredictOptions
from geocobot.errors import EmptyLabelsError, OutputError, OverlapError, ResumeError
from geocobot.io.scene import Scene
from geocobot.workflows.predict import predict

from . import untrained
from .untrained import contents, make_model

WEST, NORTH = 500_000.0, 5_000_000.0
SHAPE_HW = (400, 300)
PLACE = Affine(1, 0, WEST, 0, -1, NORTH)


def at(col: float, row: float, width: float, height: float) -> shapely.Polygon:
    return shapely.box(WEST + col, NORTH - row - height, WEST + col + width, NORTH - row)


SHAPES = [
    at(30, 20, 90, 60),
    at(200, 290, 70, 70).difference(at(210, 300, 20, 20)),
    at(201, 289, 3, 3),
]


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture
def scene(scene_factory: Callable[..., Path]) -> Path:
    """Smooth noise, a corner of it without data."""
    coarse = np.random.default_rng(3).integers(30, 226, (3, 40, 30))
    image = np.kron(coarse, np.ones((10, 10))).astype("uint8")
    image[:, -80:, -60:] = 0
    return scene_factory(image=image, nodata=0, tiled=True, blockxsize=64, blockysize=64)


@pytest.fixture
def mask(scene_factory: Callable[..., Path]) -> Path:
    """What the polygons cover, on the scene's grid."""
    return scene_factory("mask.tif", image=burnt())


@pytest.fixture
def areas(labels_factory: Callable[..., Path], mask: Path) -> tuple[Path, Path]:
    """The polygons, and what they cover."""
    return labels_factory(SHAPES, name="area.gpkg"), mask


def burnt() -> Any:
    return rasterio.features.rasterize(SHAPES, SHAPE_HW, transform=PLACE, dtype="uint8")


def options_for(model: Path, scene: Path, out: Path, area: Path, **values: Any) -> PredictOptions:
    return untrained.options_for(model, scene, out, area=[str(area)], **values)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"workers": 2},
        {"devices": 2},
        {"bbox": [WEST + 50, NORTH - 330, WEST + 280, NORTH]},
    ],
    ids=str,
)
def test_a_mask_maps_what_its_polygons_map(
    model: Path, scene: Path, areas: tuple[Path, Path], tmp_path: Path, how: dict[str, Any]
) -> None:
    polygons, mask = areas
    alone = {name: how[name] for name in how if name == "bbox"}
    predict(options_for(model, scene, tmp_path / "drawn", polygons, **alone))
    result = predict(options_for(model, scene, tmp_path / "marked", mask, **how))
    assert contents(tmp_path / "marked") == contents(tmp_path / "drawn")
    assert result.scenes[0].n_polygons > 5


def test_a_resampled_scene(scene: Path, areas: tuple[Path, Path], tmp_path: Path) -> None:
    model = make_model(tmp_path / "model.safetensors", 2.0)
    for name, area in zip(("drawn", "marked"), areas, strict=True):
        predict(options_for(model, scene, tmp_path / name, area, resolution=2.0))
    assert contents(tmp_path / "marked") == contents(tmp_path / "drawn")
    with rasterio.open(tmp_path / "marked" / "map_classes.tif") as classes:
        left, top = (round(v) for v in ~PLACE @ (classes.bounds.left, classes.bounds.top))
        shown = np.s_[top : top + classes.height, left : left + classes.width]
        with rasterio.open(scene) as source:
            expected = (burnt() > 0) & (source.read_masks() > 0).any(axis=0)
        assert np.array_equal(classes.read(1) != 255, expected[shown])


def test_what_is_not_marked_has_no_data(
    model: Path, scene: Path, scene_factory: Callable[..., Path], tmp_path: Path
) -> None:
    """A mask with pixels of 13 m that begins beside the scene, float and with nodata."""
    marks = np.random.default_rng(0).choice([0.0, 0.3, -9.0], (40, 40)).astype("float32")
    mask = scene_factory(
        "coarse.tif", image=marks, res=13.0, origin_xy=(WEST - 40, NORTH + 25), nodata=-9.0
    )
    (result,) = predict(options_for(model, scene, tmp_path, mask)).scenes
    rows, cols = np.indices(SHAPE_HW) + 0.5
    marked = marks[((rows + 25) // 13).astype(int), ((cols + 40) // 13).astype(int)] == np.float32(
        0.3
    )
    with rasterio.open(scene) as source:
        expected = marked & (source.read_masks() > 0).any(axis=0)
    assert result.scores is not None
    assert result.classes is not None
    for path in (result.scores, result.classes):
        with rasterio.open(path) as source:
            window = source.window(*source.bounds)
            assert source.nodata == 255
            left, top = (round(v) for v in ~PLACE @ (source.bounds.left, source.bounds.top))
            mapped = np.zeros(SHAPE_HW, bool)
            part = mapped[top : top + int(window.height), left : left + int(window.width)]
            part[:] = (source.read() != 255).all(axis=0)
        assert np.array_equal(mapped, expected)


def test_tiles_outside_are_neither_read_nor_computed(
    model: Path,
    scene: Path,
    scene_factory: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = np.zeros(SHAPE_HW, "uint8")
    image[:20, :20] = image[-100:-80, -20:] = 1
    mask = scene_factory("corners.tif", image=image)
    read = []
    real = Scene._read_file

    def read_file(self: Scene, source: Any, window: Any) -> Any:
        read.append(window)
        return real(self, source, window)

    monkeypatch.setattr(Scene, "_read_file", read_file)
    (result,) = predict(options_for(model, scene, tmp_path, mask, overlap=0.0)).scenes
    assert result.tiles == 5 * 5
    assert len(read) == 2


class Stop:
    """Progress that interrupts a map after so many tiles."""

    def __init__(self, after: int) -> None:
        self._after = after
        self._done = 0.0

    @contextmanager
    def task(self, label: str, total: float) -> Iterator[Stop]:
        yield self

    def advance(self, steps: float = 1) -> None:
        self._done += steps
        if self._done >= self._after:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        pass


def test_an_interrupted_map_goes_on_with_the_same_mask_alone(
    model: Path, scene: Path, mask: Path, scene_factory: Callable[..., Path], tmp_path: Path
) -> None:
    predict(options_for(model, scene, tmp_path / "whole", mask))
    options = options_for(model, scene, tmp_path / "out", mask)
    with pytest.raises(KeyboardInterrupt):
        predict(options, Stop(20))
    assert (tmp_path / "out" / "map.gpkg.partial").is_dir()
    other = burnt()
    other[25, 35] = 0
    scene_factory("mask.tif", image=other)
    with pytest.raises(ResumeError, match=r"begun with another scene area \(was "):
        predict(replace(options, resume=True))
    # What is marked counts, and not how the file says it.
    scene_factory("mask.tif", image=burnt() * 7, dtype="uint8", compress="deflate")
    predict(replace(options, resume=True))
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_finished_map_is_known_by_what_its_mask_marks(
    model: Path, scene: Path, mask: Path, tmp_path: Path, scene_factory: Callable[..., Path]
) -> None:
    options = options_for(model, scene, tmp_path / "out", mask)
    predict(options)
    again = replace(options, resume=True)
    assert predict(again).scenes[0].is_recalled
    os.utime(mask, ns=(2**62, 2**62))
    assert predict(again).scenes[0].is_recalled
    other = burnt()
    other[25, 35] = 0
    scene_factory(mask.name, image=other)
    os.utime(mask, ns=(0, 0))
    with pytest.raises(ResumeError, match="another scene or model"):
        predict(again)


def test_a_mask_is_not_written_over(model: Path, scene: Path, mask: Path, tmp_path: Path) -> None:
    classes = mask.rename(tmp_path / "map_classes.tif")
    with pytest.raises(OutputError, match=r"map_classes.tif is one of the inputs"):
        predict(options_for(model, scene, tmp_path, classes, overwrite=True))


def test_a_map_made_before_is_a_mask(model: Path, scene: Path, tmp_path: Path) -> None:
    """Class 0 is background, 255 nodata: the classes that were found are mapped again."""
    whole = options_for(model, scene, tmp_path / "whole", scene)
    (first,) = predict(replace(whole, area=None, min_area=0.0)).scenes
    assert first.classes is not None
    (again,) = predict(options_for(model, scene, tmp_path / "again", first.classes)).scenes
    assert again.scores is not None
    with rasterio.open(first.classes) as before, rasterio.open(again.scores) as after:
        found = before.read(1)
        mapped = np.zeros(found.shape, bool)
        window = before.window(*after.bounds).round_offsets().round_lengths()
        mapped[window.toslices()] = after.read(1) != 255
    assert np.array_equal(mapped, (found != 0) & (found != 255))
    assert 0 < mapped.sum() < mapped.size


def test_nothing_to_map(
    model: Path, scene: Path, scene_factory: Callable[..., Path], tmp_path: Path
) -> None:
    ones = np.ones((9, 9), "uint8")
    away = scene_factory("away.tif", image=ones, origin_xy=(WEST + 999, NORTH))
    with pytest.raises(OverlapError, match=r"scene.tif has nothing within --area"):
        predict(options_for(model, scene, tmp_path, away))
    empty = scene_factory("empty.tif", image=0 * ones)
    with pytest.raises(EmptyLabelsError, match=r"empty.tif has nothing but 0"):
        predict(options_for(model, scene, tmp_path, empty))


def test_a_real_scene(real_data: Path, tmp_path: Path) -> None:
    """Where fields are labelled in Flanders, 10 m, burnt onto pixels of 5 m in another CRS."""
    folder = real_data / "flanders_fields"
    squares = gpd.read_file(folder / "labelled_area.gpkg", layer="locations").to_crs(3857)
    with rasterio.open(folder / "scene.tif") as source:
        bounds = rasterio.warp.transform_bounds(source.crs, 3857, *source.bounds)
        place, crs, shape_hw = source.transform, source.crs, source.shape
    transform = Affine(5, 0, bounds[0], 0, -5, bounds[3])
    size = {"height": int((bounds[3] - bounds[1]) / 5), "width": int((bounds[2] - bounds[0]) / 5)}
    marks = rasterio.features.rasterize(
        squares.geometry, (size["height"], size["width"]), transform=transform, dtype="uint8"
    )
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": 3857, "compress": "deflate"}
    with rasterio.open(tmp_path / "squares.tif", "w", transform=transform, **size, **profile) as s:
        s.write(marks, 1)
    model = make_model(tmp_path / "model.safetensors", 10.0, 128)
    options = options_for(model, folder / "scene.tif", tmp_path, tmp_path / "squares.tif")
    (result,) = predict(options).scenes
    drawn = rasterio.features.rasterize(
        squares.to_crs(crs).geometry, shape_hw, transform=place, dtype="uint8"
    )
    assert result.classes is not None
    with rasterio.open(result.classes) as classes:
        left, top = (round(v) for v in ~place @ (classes.bounds.left, classes.bounds.top))
        mapped = np.zeros(shape_hw, bool)
        mapped[top : top + classes.height, left : left + classes.width] = classes.read(1) != 255
    assert mapped.sum() > 20_000
    # The two differ by pixels at the edges of squares of 64 px.
    assert (mapped & (drawn > 0)).sum() / (mapped | (drawn > 0)).sum() > 0.96
