from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from shapely import LineString, box

from geocobot.cli.options import gather
from geocobot.config import PretrainOptions, TrainOptions
from geocobot.models.bases import find_base
from geocobot.models.modelfile import read_card
from geocobot.models.provenance import read_provenance
from geocobot.models.weights import package_path
from geocobot.settings import read_yaml

FOLDER = Path(__file__).resolve().parents[1] / "configs"
PRETRAINING = sorted(FOLDER.glob("*-pretrain*.yaml"))
CONFIGS = sorted(path for path in FOLDER.glob("*.yaml") if path not in PRETRAINING)
SIDE_PX = 320
PATCH_PX = 64


@pytest.fixture
def striped_scene(scene_factory: Callable[..., Path]) -> Path:
    """Dark ground with a bright bar across every 64 rows, one metre per pixel."""
    rng = np.random.default_rng(0)
    image = rng.integers(20, 60, (3, SIDE_PX, SIDE_PX)).astype("uint8")
    for row in range(16, SIDE_PX, 64):
        image[:, row : row + 16] += 120
    return scene_factory(image=image, origin_xy=(500_000.0, 5_000_000.0), res=1.0)


def write_labels(config: str, folder: Path) -> Path:
    """Label the bars: their center lines for roads, themselves for buildings."""
    tops = [5_000_000.0 - row for row in range(16, SIDE_PX, 64)]
    west, east = 500_000.0, 500_000.0 + SIDE_PX
    if config == "roads":
        shapes = [LineString([(west, top - 8), (east, top - 8)]) for top in tops]
    else:
        shapes = [box(west, top - 16, east, top) for top in tops]
    path = folder / f"{config}.gpkg"
    gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32633").to_file(path)
    return path


def test_the_promised_configurations_are_there() -> None:
    assert {path.stem for path in CONFIGS} >= {"buildings", "paper", "roads"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_is_understood(path: Path) -> None:
    flags = {"raster": ["scene.tif"], "labels": ["labels.gpkg"], "config": str(path)}
    options = gather(TrainOptions, flags)
    for name, value in read_yaml(path).items():
        assert getattr(options, name) == value


@pytest.mark.parametrize("path", PRETRAINING, ids=lambda path: path.stem)
def test_the_recipes_of_tiny_are_understood(path: Path) -> None:
    options = gather(PretrainOptions, {"config": str(path)})
    for name, value in read_yaml(path).items():
        assert getattr(options, name) == (tuple(value) if isinstance(value, list) else value)


def test_the_packages_weights_were_made_by_the_recipe() -> None:
    path = package_path(find_base("tiny"))
    assert path is not None
    provenance = read_provenance(path)
    recipe = read_yaml(FOLDER / "tiny-pretrain.yaml")
    assert {name: provenance.recipe[name] for name in recipe} == recipe
    assert path.stat().st_size < 24e6


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_trains(path: Path, striped_scene: Path, tmp_path: Path) -> None:
    from geocobot.workflows.train import train

    flags = {
        "raster": [str(striped_scene)],
        "labels": [str(write_labels(path.stem, tmp_path))],
        "config": str(path),
        "out": str(tmp_path / "run"),
        "base": "tiny",
        "device": "cpu",
        "epochs": 1,
        "patch_size": PATCH_PX,
    }
    train(gather(TrainOptions, flags))
    card = read_card(tmp_path / "run" / "model.safetensors")
    assert [c.name for c in card.classes] == [path.stem]
