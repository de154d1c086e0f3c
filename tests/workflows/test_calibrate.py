"""From validation blocks to scores that are probabilities, through the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from shapely import box

from geocobot.classes import name_classes
from geocobot.config import TrainOptions
from geocobot.evaluation.scaling_fit import ScalingFit
from geocobot.models.card import read_card
from geocobot.scaling import UNSCALED, Scaling, at_threshold
from geocobot.workflows import calibrate as calibrate_module
from geocobot.workflows.calibrate import Calibrated
from geocobot.workflows.predict import predict
from geocobot.workflows.train import train

from .untrained import make_model, options_for

WEST, NORTH = 500_000.0, 5_000_000.0
SIDE_PX = 320


def rewrite(path: Path, out: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The same weights with another card."""
    with safe_open(path, framework="numpy") as file:
        card = json.loads(file.metadata()["geocobot"])
    change(card)
    save_file(load_file(path), out, metadata={"geocobot": json.dumps(card)})
    return out


def mapped(model: Path, scene: Path, out: Path, **values: Any) -> Path:
    out.mkdir()
    predict(options_for(model, scene, out, **values))
    return out


def pixels(file: Path) -> bytes:
    with rasterio.open(file) as raster:
        return bytes(raster.read().tobytes())


def scores(out: Path) -> Any:
    with rasterio.open(out / "map_scores.tif") as file:
        return file.read()


def outlines(out: Path) -> list[bytes]:
    return [g.normalize().wkb for g in gpd.read_file(out / "map.gpkg", layer="map").geometry]


@pytest.fixture
def scene(scene_factory: Callable[..., Path]) -> Path:
    rng = np.random.default_rng(0)
    image = rng.integers(1, 255, (3, 24, 30)).repeat(8, axis=1).repeat(8, axis=2)
    return scene_factory(image=image.astype("uint8"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model.safetensors")


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OGR_CURRENT_DATE", "2026-01-01T00:00:00Z")


def test_a_model_file_of_before_maps_to_the_byte_as_it_did(
    model: Path, scene: Path, tmp_path: Path
) -> None:
    def as_before(card: dict[str, Any]) -> None:
        card.pop("scaling")
        card["format_version"] = 1

    def unscaled(card: dict[str, Any]) -> None:
        card["scaling"] = [{"temperature": 1.0, "bias": 0.0}] * 2

    old = rewrite(model, tmp_path / "old.safetensors", as_before)
    one = rewrite(model, tmp_path / "one.safetensors", unscaled)
    before = mapped(old, scene, tmp_path / "a")
    for k, other in enumerate([model, one]):
        now = mapped(other, scene, tmp_path / f"b{k}")
        for name in ("map_classes.tif", "map_scores.tif"):
            assert pixels(now / name) == pixels(before / name)
        assert outlines(now) == outlines(before)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_scaled_model_draws_the_same_polygons_with_other_scores(
    model: Path, scene: Path, tmp_path: Path, dtype: str
) -> None:
    scaling = Scaling(2.0, 0.4)

    def scaled(card: dict[str, Any]) -> None:
        spec, in_force = at_threshold(name_classes(["one", "other"])[0], scaling)
        # The other class is never on the map, so that this is one of a single class.
        card["classes"][1]["threshold"] = 1.0
        card["classes"][0]["threshold"] = spec.threshold
        card["scaling"] = [{"temperature": s.temperature, "bias": s.bias} for s in _two(in_force)]

    def alone(card: dict[str, Any]) -> None:
        card["classes"][1]["threshold"] = 1.0

    plain, own = (
        mapped(
            rewrite(model, tmp_path / f"{name}.safetensors", change),
            scene,
            tmp_path / name,
            scores_dtype=dtype,
        )
        for name, change in (("plain", alone), ("scaled", scaled))
    )
    assert outlines(plain)
    assert outlines(own) == outlines(plain)
    assert not np.array_equal(scores(own)[0], scores(plain)[0])
    assert np.array_equal(scores(own)[1], scores(plain)[1])


def _two(scaling: Scaling) -> tuple[Scaling, Scaling]:
    return scaling, UNSCALED


@pytest.fixture
def options(
    scene_factory: Callable[..., Path], labels_factory: Callable[..., Path], tmp_path: Path
) -> TrainOptions:
    """Bright squares, a third of which nobody has labelled: scores cannot be sure."""
    rng = np.random.default_rng(0)
    image = rng.integers(20, 60, (3, SIDE_PX, SIDE_PX)).astype("uint8")
    labels = []
    for row in range(8, SIDE_PX, 32):
        for col in range(8, SIDE_PX, 32):
            image[:, row : row + 16, col : col + 16] += 120
            if rng.random() < 2 / 3:
                labels.append(box(WEST + col, NORTH - row - 16, WEST + col + 16, NORTH - row))
    return TrainOptions(
        raster=(str(scene_factory(image=image)),),
        labels=(str(labels_factory(labels, name="squares.gpkg")),),
        out=str(tmp_path / "run"),
        patch_size=64,
        batch_size=4,
        epochs=2,
        device="cpu",
    )


def test_training_says_what_was_fitted(options: TrainOptions) -> None:
    result = train(options)
    card, metrics = read_card(result.model), json.loads(result.metrics.read_text())
    (found,) = metrics["scaling"]
    assert found["name"] == "squares"
    assert found["method"] in {"none", "temperature", "platt"}
    assert metrics["thresholds"] == {"squares": card.classes[0].threshold}
    assert result.report is not None
    page = result.report.read_text("utf-8")
    assert "Calibration" in page
    if found["method"] == "none":
        assert card.scaling == ()
    else:
        assert card.scaling == (Scaling(**found["scaling"]),)
        assert "blocks left out of the fit" in page


def test_calibration_alone_changes_no_map(options: TrainOptions, tmp_path: Path) -> None:
    with_it = train(options)
    without = train(replace(options, out=str(tmp_path / "plain"), calibrate=False))
    plain = read_card(without.model)
    assert plain.scaling == ()
    assert json.loads(without.metrics.read_text())["scaling"] == []
    assert with_it.scores == without.scores
    first, second = (
        mapped(run.model, Path(options.raster[0]), tmp_path / name)
        for run, name in ((with_it, "m1"), (without, "m2"))
    )
    assert outlines(first) == outlines(second)


@pytest.mark.parametrize("values", [{"calibrate": False}, {"prompt": "boxes"}])
def test_what_is_not_calibrated_is_not_even_looked_at(
    values: dict[str, Any], options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate_module, "fit_blocks", None)
    classes = name_classes(["road"])
    left: Any = None
    found = calibrate_module.calibrate(replace(options, **values), left, left, classes, left)
    assert found == Calibrated(classes)
    assert (found.scaling, found.in_words()) == ((), "none")


def test_a_model_that_tells_objects_apart_is_calibrated_too(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = ScalingFit("road", "platt", "", Scaling(2.0, 0.5), 9, 0.2, 0.05)
    monkeypatch.setattr(calibrate_module, "fit_blocks", lambda *_: (fit,))
    left: Any = None
    asked = replace(options, separate=True)
    found = calibrate_module.calibrate(asked, left, left, name_classes(["road"]), left)
    assert found.scaling[0].temperature == 2.0
    assert found.classes[0].threshold == pytest.approx(0.622, abs=0.003)


def test_a_report_names_every_class() -> None:
    def fit(name: str, method: str, scaling: Scaling) -> ScalingFit:
        return ScalingFit(name, method, "too few pixels", scaling, 9, 0.2, 0.05)

    found = Calibrated(
        name_classes(["road", "roof", "tree"]),
        (
            fit("road", "platt", Scaling(1.5, -0.25)),
            fit("roof", "temperature", Scaling(0.75, 0.01)),
            fit("tree", "none", UNSCALED),
        ),
    )
    road, roof, tree = found.in_words().split("; ")
    after = "expected calibration error 0.200, after it 0.050 on blocks left out of the fit"
    assert road == f"road logits / 1.50 -0.25: {after}"
    assert roof == f"roof logits / 0.75 +0.01: {after}"
    assert tree == "tree none (too few pixels)"
