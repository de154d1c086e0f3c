"""Every kind of bad input, as a user meets it: one paragraph, exit code 2, nothing left behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from affine import Affine
from click.testing import Result
from shapely import LineString, Point, box
from typer.testing import CliRunner

from geocobot.adapters.config import AdapterConfig
from geocobot.bands import BandRange
from geocobot.classes import name_classes
from geocobot.cli.app import app
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
    assert_refused(inputs.train(**missing), inputs, "missing.tif does not exist")


def test_no_such_model(inputs: Inputs) -> None:
    missing = inputs.folder / "missing.safetensors"
    assert_refused(inputs.predict(model=missing), inputs, "missing.safetensors does not exist")


def test_not_a_raster(inputs: Inputs) -> None:
    text = inputs.folder / "notes.tif"
    text.write_text("no pixels here")
    assert_refused(inputs.train(raster=text), inputs, "notes.tif")


def test_truncated_raster(inputs: Inputs) -> None:
    whole = inputs.scene.read_bytes()
    inputs.scene.write_bytes(whole[: len(whole) // 2])
    for result in (inputs.train(), inputs.predict()):
        assert_refused(result, inputs, "scene.tif")


def test_raster_without_crs(inputs: Inputs, scene_factory: Callable[..., Path]) -> None:
    bare = scene_factory("bare.tif", crs=None)
    assert_refused(inputs.train(raster=bare), inputs, "bare.tif has no CRS")


def test_labels_without_crs(inputs: Inputs, labels_factory: Callable[..., Path]) -> None:
    bare = labels_factory([box(WEST, NORTH - 9, WEST + 9, NORTH)], crs=None, name="bare.shp")
    assert_refused(
        inputs.train(labels=bare), inputs, "bare.shp has no CRS", "scene.tif", "--labels-crs"
    )


def test_labels_elsewhere(inputs: Inputs, labels_factory: Callable[..., Path]) -> None:
    away = labels_factory([box(0, 0, 9, 9)], name="away.gpkg")
    assert_refused(inputs.train(labels=away), inputs, "away", "scene")


def test_labels_of_points(inputs: Inputs, labels_factory: Callable[..., Path]) -> None:
    points = labels_factory([Point(WEST + 9, NORTH - 9)], name="points.gpkg")
    assert_refused(inputs.train(labels=points), inputs, "points.gpkg")


def test_no_label_left(inputs: Inputs, labels_factory: Callable[..., Path]) -> None:
    empty = labels_factory([], name="empty.gpkg")
    assert_refused(inputs.train(labels=empty), inputs, "empty.gpkg")


def test_no_such_class_field(inputs: Inputs) -> None:
    result = inputs.train("--class-field", "kind")
    assert_refused(result, inputs, "labels.gpkg", "kind")


def test_rotated_raster(inputs: Inputs, scene_factory: Callable[..., Path]) -> None:
    turned = Affine(1, 0.3, WEST, 0.3, -1, NORTH)
    rotated = scene_factory("rotated.tif", transform=turned)
    for result in (inputs.train(raster=rotated), inputs.predict(raster=rotated)):
        assert_refused(result, inputs, "rotated.tif is rotated", "gdalwarp")


def test_too_few_bands(inputs: Inputs, scene_factory: Callable[..., Path]) -> None:
    gray = scene_factory("gray.tif", bands=1)
    assert_refused(inputs.predict(raster=gray), inputs, "gray.tif", "band 3")
    assert_refused(inputs.train("--bands", "1,2,9"), inputs, "scene.tif")


def test_other_data_type(inputs: Inputs, scene_factory: Callable[..., Path]) -> None:
    deep = scene_factory("deep.tif", dtype="uint16")
    assert_refused(inputs.predict(raster=deep), inputs, "deep.tif holds uint16", "uint8")


def test_other_pixel_size(inputs: Inputs, scene_factory: Callable[..., Path]) -> None:
    coarse = scene_factory("coarse.tif", res=1.2)
    assert_refused(inputs.predict(raster=coarse), inputs, "coarse.tif", "1.2 m", "gdalwarp")


def test_truncated_model(inputs: Inputs) -> None:
    short = inputs.folder / "short.safetensors"
    short.write_bytes(inputs.model.read_bytes()[:5000])
    assert_refused(inputs.predict(model=short), inputs, "short.safetensors")


def test_model_of_another_base(inputs: Inputs) -> None:
    segmenter = build_segmenter("tiny", 1, AdapterConfig())
    assert segmenter.config is not None
    segmenter.config = replace(
        segmenter.config, base="vit_b", encoder_trained=False, base_sha256="0" * 64
    )
    foreign = inputs.folder / "foreign.safetensors"
    save_model(foreign, segmenter, replace(CARD, segmenter=segmenter.config))
    broken = inputs.folder / "vit_b.pth"
    broken.write_bytes(b"not a checkpoint")
    assert_refused(inputs.predict("--checkpoint", broken, model=foreign), inputs, "vit_b.pth")


def test_existing_output(inputs: Inputs) -> None:
    inputs.folder.joinpath("out").mkdir()
    kept = inputs.folder / "out" / "map.gpkg"
    kept.write_text("kept")
    result = inputs.predict()
    assert result.exit_code == 2
    assert "--overwrite" in result.stderr
    assert kept.read_text() == "kept"


def test_no_write_permission(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    # The tests may run as root, whom no permission stops: ask os.access, as geocobot does.
    monkeypatch.setattr(os, "access", lambda *_: False)
    for result in (inputs.train(), inputs.predict()):
        assert_refused(result, inputs, "you may not write")


def test_a_corrupt_real_label_file(inputs: Inputs, real_data: Path) -> None:
    result = inputs.train(
        raster=real_data / "swellendam_roads" / "scene.tif",
        labels=real_data / "swellendam_roads" / "water.shp",
    )
    assert_refused(result, inputs, "water.shp")


def test_labels_in_another_crs_than_they_say(inputs: Inputs, real_data: Path) -> None:
    result = inputs.train(
        raster=real_data / "landsat_fields" / "scene.tif",
        labels=real_data / "landsat_fields" / "labels_bad_crs.geojson",
    )
    assert_refused(result, inputs, "labels_bad_crs", "--labels-crs")
