"""Every kind of bad input, as a user meets it: one paragraph, exit code 2, nothing left behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from affine import Affine
from click.testing import Result
from shapely import LineString, Point, Polygon, box
from typer.testing import CliRunner

from geocobot.adapters.config import AdapterConfig
from geocobot.bands import BandRange
from geocobot.classes import name_classes
from geocobot.cli.app import app
from geocobot.models import bases
from geocobot.models.bases import BaseSpec, WeightsSource
from geocobot.models.checkpoint import official_shapes
from geocobot.models.modelfile import ModelCard, save_model
from geocobot.models.segmenter import build_segmenter

WEST, NORTH = 500_000.0, 5_000_000.0


@dataclass(frozen=True)
class Inputs:
    """Good inputs, of which each test spoils one."""

    folder: Path
    scene: Path
    labels: Path
    model: Path

    def train(self, *more: object, raster: object = None, labels: object = None) -> Result:
        return self._run(
            "train", "--raster", raster or self.scene, "--labels", labels or self.labels,
            "-o", self.folder / "out" / "run", *more,
        )  # fmt: skip

    def predict(self, *more: object, raster: object = None, model: object = None) -> Result:
        return self._run(
            "predict", "--raster", raster or self.scene, "--model", model or self.model,
            "-o", self.folder / "out" / "map.gpkg", *more,
        )  # fmt: skip

    def _run(self, *words: object) -> Result:
        return CliRunner().invoke(app, [str(w) for w in words])


@pytest.fixture
def inputs(
    scene_factory: Callable[..., Path],
    labels_factory: Callable[..., Path],
    model_file: Path,
    tmp_path: Path,
) -> Inputs:
    scene = scene_factory(shape_hw=(256, 256))
    labels = labels_factory([LineString([(WEST, NORTH - 50), (WEST + 256, NORTH - 60)])])
    return Inputs(tmp_path, scene, labels, model_file)


CARD = ModelCard(
    segmenter=build_segmenter("tiny", 1, AdapterConfig()).config,  # type: ignore[arg-type]
    classes=name_classes(["roads"]),
    ranges=tuple(BandRange(n, f"band {n}", "uint8", 0.0, 255.0) for n in (1, 2, 3)),
    ground_pixel_m=(1.0, 1.0),
    patch_px=64,
)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path, build_segmenter("tiny", 1, AdapterConfig()), CARD)
    return path


def assert_refused(result: Result, inputs: Inputs, *parts: str) -> None:
    """One paragraph with all parts, exit code 2, no traceback and no file."""
    message = " ".join(result.stderr.split())
    assert result.exit_code == 2, result.stderr
    assert message.count("Error:") == 1
    assert "Traceback" not in message
    for part in parts:
        assert part in message
    assert result.stdout == ""
    out = inputs.folder / "out"
    assert not out.exists() or not list(out.iterdir())


def test_the_good_inputs_are_good(inputs: Inputs) -> None:
    result = inputs.train("--epochs", 1, "--patch-size", 64, "--batch-size", 1)
    assert result.exit_code == 0, result.stderr
    assert inputs.predict().exit_code == 0


@pytest.mark.parametrize("kind", ["raster", "labels"])
def test_no_such_file(inputs: Inputs, kind: str) -> None:
    missing = {kind: inputs.folder / "missing.tif"}
    assert_refused(inputs.train(**missing), inputs, f"missing.tif does not exist. --{kind} names")


def test_no_such_model(inputs: Inputs) -> None:
    missing = inputs.folder / "missing.safetensors"
    assert_refused(
        inputs.predict(model=missing),
        inputs,
        "missing.safetensors does not exist. geocobot needs the model.safetensors of a training",
    )


def test_not_a_raster(inputs: Inputs) -> None:
    text = inputs.folder / "notes.tif"
    text.write_text("no pixels here")
    for result in (inputs.train(raster=text), inputs.predict(raster=text)):
        assert_refused(
            result, inputs, "notes.tif cannot be opened", "not recognized", "geocobot reads GeoTIFF"
        )


def test_not_a_vector_file(inputs: Inputs) -> None:
    text = inputs.folder / "notes.gpkg"
    text.write_text("no features here")
    assert_refused(
        inputs.train(labels=text), inputs, "notes.gpkg cannot be read", "geocobot reads Shapefile"
    )


def test_truncated_raster(inputs: Inputs) -> None:
    whole = inputs.scene.read_bytes()
    inputs.scene.write_bytes(whole[: len(whole) // 2])
    for result in (inputs.train(), inputs.predict(), inputs.predict("--workers", 1)):
        assert_refused(
            result, inputs, "scene.tif cannot be read at rows", "probably truncated or corrupt"
        )


def test_truncated_labels(inputs: Inputs, labels_factory: Callable[..., Path]) -> None:
    whole = labels_factory([box(WEST, NORTH - 9, WEST + 9, NORTH)] * 9, name="cut.shp", a=range(9))
    whole.write_bytes(whole.read_bytes()[:500])
    assert_refused(inputs.train(labels=whole), inputs, "cut.shp is truncated (500 of", "every feat")


def test_raster_without_crs(inputs: Inputs, scene_factory: Callable[..., Path]) -> None:
    bare = scene_factory("bare.tif", crs=None)
    for result in (inputs.train(raster=bare), inputs.predict(raster=bare)):
        assert_refused(result, inputs, "bare.tif has no CRS", "how large its pixels are", "-a_srs")


def test_labels_without_crs(inputs: Inputs, labels_factory: Callable[..., Path]) -> None:
    bare = labels_factory([box(WEST, NORTH - 9, WEST + 9, NORTH)], crs=None, name="bare.shp")
    assert_refused(
        inputs.train(labels=bare),
        inputs,
        "bare.shp has no CRS (bare.prj is missing)",
        "to place the polygons on scene.tif (EPSG:32633)",
        "--labels-crs",
    )


def test_labels_elsewhere(inputs: Inputs, labels_factory: Callable[..., Path]) -> None:
    away = labels_factory([box(0, 0, 9, 9)], name="away.gpkg")
    assert_refused(
        inputs.train(labels=away),
        inputs,
        "away.gpkg covers x 0 to 9",
        "nothing of it lies on scene",
        "Labels and scene have to show the same place",
    )


def test_labels_on_nodata(
    inputs: Inputs, scene_factory: Callable[..., Path], labels_factory: Callable[..., Path]
) -> None:
    image = np.full((3, 256, 256), 9, dtype=np.uint8)
    image[:, :32] = 0
    holey = scene_factory("holey.tif", image=image, nodata=0)
    labels = labels_factory([box(WEST, NORTH - 30, WEST + 30, NORTH)], name="lost.gpkg")
    assert_refused(
        inputs.train(raster=holey, labels=labels),
        inputs,
        "lost.gpkg labels no pixel with data on holey",
        "--nodata",
    )


def test_labels_of_points(inputs: Inputs, labels_factory: Callable[..., Path]) -> None:
    points = labels_factory([Point(WEST + 9, NORTH - 9)], name="points.gpkg")
    assert_refused(
        inputs.train(labels=points), inputs, "points.gpkg has 1 points", "such as --point-radius 3"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--where", "width >"], "--where is 'width >', which labels.gpkg cannot be asked"),
        (["--where", "fid > 99"], "labels.gpkg has no usable feature with fid > 99"),
        (["--width-field", "lanes"], "labels.gpkg has no field 'lanes'. It has no fields at all"),
        (["--classes", "roads"], "has nothing of class roads. Its classes are labels."),
        (["--classes", "labels=#red"], "--classes gives labels the color #red."),
        (["--labelled-area", "nowhere.gpkg"], "nowhere.gpkg does not exist. --labelled-area names"),
        (["--val-area", "nowhere.gpkg"], "nowhere.gpkg does not exist. --val-area names"),
        (
            ["--val-raster", "nowhere.tif"],
            "nowhere.tif does not exist. --val-raster names",
        ),
        (["--val-raster", "nowhere/*.tif"], "matches no file. --val-raster names files"),
        (["--raster", "nowhere/*.tif"], "matches no file. --raster names files"),
        (["--bands", "red,green,nir"], "has no band named 'nir', or several of them"),
        (["--point-radius", "0"], "--point-radius is 0. It has to be"),
        (["--ignore-boundary", "99"], "--ignore-boundary is 99. It has to lie from 0 to 32"),
    ],
)
def test_choices_that_make_no_sense(inputs: Inputs, words: list[str], said: str) -> None:
    assert_refused(inputs.train(*words), inputs, said)


def test_labels_that_are_the_scene(inputs: Inputs) -> None:
    assert_refused(inputs.train(labels=inputs.scene), inputs, "scene.tif has 3 bands. A raster of")


def test_a_folder_without_anything(inputs: Inputs) -> None:
    empty = inputs.folder / "empty"
    empty.mkdir()
    assert_refused(
        inputs.train(raster=empty), inputs, "is a folder without a raster file (no file)"
    )
    assert_refused(
        inputs.train(labels=empty), inputs, "is a folder without a vector file (no file)"
    )


def test_no_label_left(inputs: Inputs, labels_factory: Callable[..., Path]) -> None:
    empty = labels_factory([], name="empty.gpkg")
    assert_refused(inputs.train(labels=empty), inputs, "empty.gpkg has no usable feature")


def test_no_label_left_after_filtering(inputs: Inputs, labels_factory: Callable[..., Path]) -> None:
    shapes = [None, Polygon(), box(WEST, NORTH - 9, WEST + 9, NORTH)]
    labels = labels_factory(shapes, name="few.gpkg", kind=["road", "road", None])
    assert_refused(
        inputs.train("--class-field", "kind", labels=labels),
        inputs,
        "few.gpkg has no usable feature",
        "digitize something",
    )


def test_no_value_in_the_class_field(inputs: Inputs, labels_factory: Callable[..., Path]) -> None:
    shape = box(WEST, NORTH - 9, WEST + 9, NORTH)
    labels = labels_factory([shape], name="mute.gpkg", kind=[" "])
    result = inputs.train("--class-field", "kind", labels=labels)
    assert_refused(result, inputs, "mute.gpkg has no value in the field 'kind'")


def test_no_such_class_field(inputs: Inputs) -> None:
    result = inputs.train("--class-field", "kind")
    assert_refused(result, inputs, "labels.gpkg has no field 'kind'", "Leave --class-field out")


def test_rotated_raster(inputs: Inputs, scene_factory: Callable[..., Path]) -> None:
    turned = Affine(1, 0.3, WEST, 0.3, -1, NORTH)
    rotated = scene_factory("rotated.tif", transform=turned)
    for result in (inputs.train(raster=rotated), inputs.predict(raster=rotated)):
        assert_refused(result, inputs, "rotated.tif is rotated or sheared", "gdalwarp -r cubic")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"bands": 3}, ["area.tif has 3 bands. A mask has one", "gdal_translate -b"]),
        ({"image": np.zeros((9, 9), "uint8")}, ["area.tif has nothing but 0. --area is what is"]),
        ({"bands": 1, "crs": None}, ["area.tif has no CRS", "gdal_edit.py -a_srs"]),
        (
            {"bands": 1, "transform": Affine(1, 0.3, WEST, 0.3, -1, NORTH)},
            ["area.tif is rotated or sheared", "gdalwarp -r near"],
        ),
        ({"bands": 1, "origin_xy": (WEST, NORTH + 900)}, ["scene.tif has nothing within --area"]),
    ],
)
def test_masks_that_say_nothing(
    inputs: Inputs, scene_factory: Callable[..., Path], how: dict[str, Any], said: list[str]
) -> None:
    mask = scene_factory("area.tif", **how)
    assert_refused(inputs.predict("--area", mask), inputs, *said)


def test_areas_that_are_not_there(inputs: Inputs, scene_factory: Callable[..., Path]) -> None:
    gone = inputs.folder / "gone.tif"
    assert_refused(
        inputs.predict("--area", gone), inputs, "gone.tif does not exist. --area names a raster"
    )
    assert_refused(
        inputs.train("--labelled-area", scene_factory("area.tif", bands=1)),
        inputs,
        "area.tif is a raster. --labelled-area is drawn with polygons",
        "gdal_polygonize.py -mask",
    )


def test_too_few_bands(inputs: Inputs, scene_factory: Callable[..., Path]) -> None:
    gray = scene_factory("gray.tif", bands=1)
    assert_refused(
        inputs.predict(raster=gray),
        inputs,
        "gray.tif has no band 2. The model reads band 1, band 2, band 3. It has band 1 only",
    )
    assert_refused(
        inputs.train("--bands", "1,2,9"), inputs, "scene.tif has no band 9. It has bands 1 to 3"
    )


def test_other_data_type(inputs: Inputs, scene_factory: Callable[..., Path]) -> None:
    deep = scene_factory("deep.tif", dtype="uint16")
    assert_refused(
        inputs.predict(raster=deep),
        inputs,
        "deep.tif holds uint16 values. The model was trained on uint8",
        "gdal_translate",
    )


def test_other_pixel_size(inputs: Inputs, scene_factory: Callable[..., Path]) -> None:
    coarse = scene_factory("coarse.tif", res=1.2)
    assert_refused(
        inputs.predict(raster=coarse),
        inputs,
        "coarse.tif has pixels of 1.2 m on the ground. The model was trained on 1 m",
        "10 % off is allowed",
        "--resolution 1 to have it resampled",
    )
    almost = scene_factory("almost.tif", res=1.08, shape_hw=(64, 64))
    assert inputs.predict(raster=almost).exit_code == 0


def test_machines_that_are_not_as_the_command_says(inputs: Inputs) -> None:
    assert_refused(
        inputs.predict("--max-memory", "0.05"),
        inputs,
        "px wide. A map of it, of 1 class in tiles of",
        "and --max-memory is 0.05 GiB. Allow that much",
        "or map the scene in parts with --bbox",
    )
    assert_refused(
        inputs.predict("--address", "10.0.0.1:6379"),
        inputs,
        "--address 10.0.0.1:6379 comes without --engine ray",
        "Add --engine ray, or leave --address out",
    )
    assert_refused(
        inputs.predict("--overlap", "0.7"),
        inputs,
        "--overlap is 0.7. It is a share of the tile from 0 to 0.5, or whole pixels",
        "Pass 0.25 for a quarter, or a number of pixels such as 64",
    )


def test_truncated_model(inputs: Inputs) -> None:
    short = inputs.folder / "short.safetensors"
    short.write_bytes(inputs.model.read_bytes()[:5000])
    assert_refused(
        inputs.predict(model=short),
        inputs,
        "short.safetensors cannot be read as a model file",
        "the file may be truncated",
    )


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two files of weights of the same small base, in the official format."""
    source = WeightsSource("https://example.org/mini.pth", "mini.pth", "0" * 64, 1)
    mini = BaseSpec("mini", 24, 2, 2, (1,), 3, image_px=128, out_channels=32, weights=source)
    monkeypatch.setitem(bases.BASES, "mini", mini)  # type: ignore[arg-type]
    paths = tmp_path / "first.pth", tmp_path / "other.pth"
    for path in paths:
        torch.save({n: torch.randn(shape) for n, shape in official_shapes(mini).items()}, path)
    return paths


@pytest.fixture
def adapted(weights: tuple[Path, Path], tmp_path: Path) -> Path:
    """A model file that was trained on the first weights."""
    segmenter = build_segmenter("mini", 1, AdapterConfig(), checkpoint=weights[0])
    assert segmenter.config is not None
    path = tmp_path / "adapted.safetensors"
    save_model(path, segmenter, replace(CARD, segmenter=segmenter.config))
    return path


def test_model_of_another_base(inputs: Inputs, weights: tuple[Path, Path], adapted: Path) -> None:
    first, other = weights
    assert_refused(
        inputs.predict("--checkpoint", other, model=adapted),
        inputs,
        "adapted.safetensors was trained on mini weights with the SHA-256",
        "and these have",
        "Adapters fit only the weights that they were trained on",
    )
    assert inputs.predict("--checkpoint", first, model=adapted).exit_code == 0


@pytest.mark.usefixtures("weights")
def test_model_of_a_base_nobody_knows(
    inputs: Inputs, adapted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(bases.BASES, "mini")  # type: ignore[arg-type]
    assert_refused(
        inputs.predict(model=adapted),
        inputs,
        "adapted.safetensors was trained on the base mini. This geocobot",
        "knows vit_b, vit_l, vit_h, tiny",
    )


def test_weights_that_are_none(inputs: Inputs, adapted: Path) -> None:
    broken = inputs.folder / "broken.pth"
    broken.write_bytes(b"not a checkpoint")
    assert_refused(
        inputs.predict("--checkpoint", broken, model=adapted),
        inputs,
        "broken.pth cannot be read as PyTorch weights",
        "official checkpoint of mini, whole",
    )


def test_existing_output(inputs: Inputs) -> None:
    inputs.folder.joinpath("out").mkdir()
    kept = inputs.folder / "out" / "map.gpkg"
    kept.write_text("kept")
    result = inputs.predict()
    assert result.exit_code == 2
    assert "map.gpkg exists already" in result.stderr
    assert "--overwrite" in result.stderr
    assert kept.read_text() == "kept"


def test_existing_run(inputs: Inputs) -> None:
    kept = inputs.folder / "out" / "run" / "config.yaml"
    kept.parent.mkdir(parents=True)
    kept.write_text("kept")
    result = inputs.train()
    assert result.exit_code == 2
    assert "run exists already" in result.stderr
    assert "--overwrite" in result.stderr
    assert kept.read_text() == "kept"


def test_no_write_permission(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    # The tests may run as root, whom no permission stops: ask os.access, as geocobot does.
    monkeypatch.setattr(os, "access", lambda *_: False)
    for result in (inputs.train(), inputs.predict()):
        assert_refused(
            result, inputs, f"lies in {inputs.folder}, where you may not write", "permissions of"
        )


def test_a_corrupt_real_label_file(inputs: Inputs, real_data: Path) -> None:
    result = inputs.train(
        raster=real_data / "swellendam_roads" / "scene.tif",
        labels=real_data / "swellendam_roads" / "water.shp",
    )
    assert_refused(result, inputs, "water.shp cannot be read (Corrupted .shp file", "export it")


def test_labels_in_another_crs_than_they_say(inputs: Inputs, real_data: Path) -> None:
    result = inputs.train(
        raster=real_data / "landsat_fields" / "scene.tif",
        labels=real_data / "landsat_fields" / "labels_bad_crs.geojson",
    )
    assert_refused(
        result,
        inputs,
        "labels_bad_crs.geojson covers x -663347",
        "fit the scene's CRS, which has no code: pass the scene's file name as --labels-crs",
    )
