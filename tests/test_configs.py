from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from shapely import LineString, Point, box
from typer.testing import CliRunner

from geocobot.cli.app import app
from geocobot.cli.options import gather
from geocobot.config import PretrainOptions, TrainOptions
from geocobot.models.bases import find_base
from geocobot.models.modelfile import read_card
from geocobot.models.provenance import read_provenance
from geocobot.models.weights import package_path
from geocobot.yaml_file import read_yaml

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
    """Label the bars: center lines for roads, points for trees, else themselves."""
    tops = [5_000_000.0 - row for row in range(16, SIDE_PX, 64)]
    west, east = 500_000.0, 500_000.0 + SIDE_PX
    if config == "roads":
        shapes = [LineString([(west, top - 8), (east, top - 8)]) for top in tops]
    elif config == "trees":
        middle = [west + 8 + x for x in range(0, SIDE_PX, 16)]
        shapes = [Point(x, top - 8) for top in tops for x in middle]
    else:
        shapes = [box(west, top - 16, east, top) for top in tops]
    path = folder / f"{config}.gpkg"
    gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32633").to_file(path)
    return path


def test_the_promised_configurations_are_there() -> None:
    assert {path.stem for path in CONFIGS} >= {
        *("buildings", "fields", "paper", "roads", "trees", "water")
    }


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


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_says_how_it_is_used(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    header = text.partition("\n\n")[0]
    assert f"geocobot train -c configs/{path.name} --raster" in header
    for line in text.splitlines():
        assert len(line) <= 100
    # Each option has its reason above it; those that belong together share one.
    for paragraph in text.split("\n\n"):
        assert paragraph.startswith("# ")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_what_a_configuration_recommends_in_comments_is_an_option(
    path: Path, tmp_path: Path
) -> None:
    text = path.read_text(encoding="utf-8")
    recommended = re.findall(r"^# ([a-z-]+: \S.*)$", text, flags=re.MULTILINE)
    assert recommended
    (tmp_path / path.name).write_text("\n".join(recommended))
    options = gather(
        TrainOptions, {"raster": ["a"], "labels": ["b"], "config": str(tmp_path / path.name)}
    )
    for name, value in read_yaml(tmp_path / path.name).items():
        found = getattr(options, name)
        assert (list(found) if isinstance(value, list) else found) == value


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_commands_of_a_header_are_understood(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("\\\n#", " ")
    commands = re.findall(r"^#   geocobot (\w+) (.*)$", text, flags=re.MULTILINE)
    assert commands[0][0] == "train"
    for name, arguments in commands:
        known = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).stdout
        for flag in re.findall(r"--[a-z-]+", arguments):
            assert flag in known


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_trains_for_two_steps(
    path: Path, striped_scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from geocobot.data import module
    from geocobot.workflows.train import train

    monkeypatch.setattr(module, "_steps_for", lambda *_: 2)
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
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["training"]["steps"] == 2
    saved = read_yaml(tmp_path / "run" / "config.yaml")
    for name, value in read_yaml(path).items():
        if name not in {"base", "epochs"}:
            assert saved[name] == value, name
