"""Objects that touch, kept apart from training to polygons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from geocobot.config import TrainOptions
from geocobot.errors import ConfigError
from geocobot.workflows.train import train

WEST, NORTH = 500_000.0, 5_000_000.0
SIDE_PX, HOUSE_PX = 256, 20
ROWS, HOUSES_IN_ROW = 6, 11


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")


def terraces() -> list[shapely.Polygon]:
    """Rows of houses, wall to wall."""
    return [
        shapely.box(WEST + x, NORTH - y - HOUSE_PX, WEST + x + HOUSE_PX, NORTH - y)
        for y in range(10, 10 + 40 * ROWS, 40)
        for x in range(16, 16 + HOUSE_PX * HOUSES_IN_ROW, HOUSE_PX)
    ]


@pytest.fixture
def scene(scene_factory: Callable[..., Path]) -> Path:
    """Bright roofs of the same color, a ridge along the middle of each."""
    rng = np.random.default_rng(0)
    image = rng.integers(20, 50, (3, SIDE_PX, SIDE_PX)).astype("uint8")
    for house in terraces():
        west, _, _, north = house.bounds
        row, col = int(NORTH - north), int(west - WEST)
        ramp = 1 - np.abs(np.arange(HOUSE_PX) - HOUSE_PX / 2 + 0.5) / (HOUSE_PX / 2)
        image[:, row : row + HOUSE_PX, col : col + HOUSE_PX] += (90 + 100 * ramp).astype("uint8")
    return scene_factory(image=image)


@pytest.fixture
def options(scene: Path, labels_factory: Callable[..., Path], tmp_path: Path) -> TrainOptions:
    return TrainOptions(
        raster=(str(scene),),
        labels=(str(labels_factory(terraces(), name="houses.gpkg")),),
        out=str(tmp_path / "run"),
        separate=True,
        patch_size=64,
        batch_size=2,
        epochs=3,
        workers=0,
        device="cpu",
        precision="float32",
    )


def test_raster_labels_tell_no_objects_apart(
    options: TrainOptions, scene_factory: Callable[..., Path]
) -> None:
    classes = np.zeros((SIDE_PX, SIDE_PX), "uint8")
    classes[40:90, 40:90] = 1
    raster = scene_factory("classes.tif", image=classes)
    with pytest.raises(ConfigError, match=r"--separate is asked for.*raster.*classes\.tif"):
        train(replace(options, labels=(str(raster),)))
    assert not Path(str(options.out)).exists()


def test_lines_are_no_objects(options: TrainOptions, labels_factory: Callable[..., Path]) -> None:
    line = shapely.LineString([(WEST, NORTH - 30), (WEST + SIDE_PX, NORTH - 30)])
    labels = labels_factory([line], name="roads.gpkg")
    with pytest.raises(ConfigError, match=r"--separate is asked for.*lines.*roads\.gpkg"):
        train(replace(options, labels=(str(labels),), line_width=6.0))


def test_boxes_tell_objects_apart_already(options: TrainOptions) -> None:
    with pytest.raises(ConfigError, match=r"--separate is asked for with --prompt boxes"):
        train(replace(options, prompt="boxes"))
