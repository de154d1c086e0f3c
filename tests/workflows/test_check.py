"""What `geocobot check` says of scenes and labels."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from typer.testing import CliRunner

import geocobot
from geocobot.cli.app import app
from geocobot.config import TrainOptions
from geocobot.errors import ConfigError, MissingFileError, OutputError
from geocobot.settings import make_options, to_flags
from geocobot.workflows.check import CheckResult

WEST, NORTH = 500_000.0, 5_000_000.0
SIDE = 512


def at(col: float, row: float, width: float = 24, height: float = 24) -> shapely.Polygon:
    return shapely.box(WEST + col, NORTH - row - height, WEST + col + width, NORTH - row)


ROOFS = [at(32 + 64 * k, 24 + 64 * n) for k in range(7) for n in range(7)]


@pytest.fixture
def town(scene_factory: Callable[..., Path]) -> Path:
    """Bright roofs in a grid."""
    rng = np.random.default_rng(0)
    image = rng.integers(60, 90, (3, SIDE, SIDE)).astype(np.uint8)
    for roof in ROOFS:
        left, _, _, top = roof.bounds
        row, col = round(NORTH - top), round(left - WEST)
        image[:, row : row + 24, col : col + 24] += 90
    return scene_factory("town.tif", image=image)


@pytest.fixture
def roofs(labels_factory: Callable[..., Path]) -> Path:
    return labels_factory(ROOFS, name="roofs.gpkg")


def look(raster: object, labels: object, **options: object) -> CheckResult:
    """Check as if for a training of few steps."""
    given = {"device": "cpu", "patch_size": 64, "crop_size": 64, "batch_size": 2, **options}
    return geocobot.check(raster=raster, labels=labels, **given)


def said(result: CheckResult, level: str) -> list[str]:
    return [f.text for f in result.findings if f.level == level]


def test_what_is_fit_to_train_on(town: Path, roofs: Path) -> None:
    result = look(town, roofs)
    assert result.is_trainable
    assert result.exit_code == 0
    assert said(result, "stop") == said(result, "warning") == []
    assert said(result, "note") == ["roofs.gpkg: 49 polygons in 1 class (roofs)."]
    background, roof = result.classes
    assert (roof.name, roof.features, roof.pixels) == ("roofs", 49, 49 * 24 * 24)
    assert background.pixels + roof.pixels == SIDE * SIDE
    assert result.shift is not None
    assert result.shift.is_certain
    assert not result.shift.is_worth_naming
    assert result.headline() == "Fit to train on."
    for text in ("Scene town", "EPSG:32633", "polygon areas", "Next:    geocobot train"):
        assert text in result.summary()


def test_the_advised_command_is_what_was_given(town: Path, roofs: Path) -> None:
    result = look(town, roofs, class_field=None, line_width=7.5, where="fid < 40")
    words = shlex.split(result.command or "")
    assert words[:6] == ["geocobot", "train", "--raster", str(town), "--labels", str(roofs)]
    assert words[words.index("--where") + 1] == "fid < 40"
    assert words[words.index("--line-width") + 1] == "7.5"
    assert words[words.index("--patch-size") + 1] == "64"


def test_the_forecast_is_of_the_split_that_training_has(town: Path, roofs: Path) -> None:
    result = look(town, roofs, epochs=3)
    forecast = result.forecast
    assert forecast is not None
    assert (forecast.base, forecast.device) == ("tiny", "cpu")
    assert (forecast.patch_px, forecast.crop_px, forecast.batch_size) == (64, 64, 2)
    assert forecast.validation_blocks >= 2
    assert forecast.steps_per_epoch >= 20
    # tiny's adapters and dense head, float32.
    assert forecast.model_mb == pytest.approx(2.27, abs=0.1)
    assert forecast.train_minutes > 0
    assert 0.2 < forecast.train_memory_gib < 24
    assert forecast.predict_km2_per_minute > 0


def test_as_many_epochs_as_were_asked_for_are_foreseen(town: Path, roofs: Path) -> None:
    """More of them than training would choose itself."""
    few, many = (look(town, roofs, epochs=n).forecast for n in (1000, 8000))
    assert few is not None
    assert many is not None
    assert many.train_minutes > 4 * few.train_minutes


def test_a_planted_shift_is_told_with_its_direction(
    town: Path, labels_factory: Callable[..., Path]
) -> None:
    moved = [shapely.affinity.translate(roof, 5.0, -3.0) for roof in ROOFS]
    result = look(town, labels_factory(moved))
    assert result.is_trainable
    (warning,) = said(result, "warning")
    assert warning.startswith("The labels lie about 5.")
    assert "m east and " in warning
    assert "m south of the edges" in warning


def test_what_does_not_meet_is_pointless_and_the_reason_is_given(
    town: Path, labels_factory: Callable[..., Path]
) -> None:
    away = labels_factory([at(10_000, 0)])
    result = look(town, away)
    assert (result.is_trainable, result.exit_code, result.command) == (False, 1, None)
    (reason,) = said(result, "stop")
    assert "nothing of it lies on town" in reason
    assert result.scenes[0].crs == "EPSG:32633"
    assert result.features is not None
    assert result.features.outside == 1
    assert result.headline() == "Training would be pointless."


@pytest.mark.parametrize(
    ("shapes", "crs", "reason"),
    [
        ([shapely.Polygon()], "EPSG:32633", "has no usable feature"),
        ([at(5, 5)], None, "has no CRS"),
        ([shapely.Point(WEST + 5, NORTH - 5)], "EPSG:32633", "points"),
        ([at(-10, -10, 600, 600)], "EPSG:32633", "All that is labelled is labels"),
    ],
)
def test_other_labels_that_training_is_pointless_with(
    town: Path, labels_factory: Callable[..., Path], shapes: list, crs: str | None, reason: str
) -> None:
    result = look(town, labels_factory(shapes, crs=crs))
    assert result.exit_code == 1
    assert any(reason in text for text in said(result, "stop"))


def test_scenes_that_training_is_pointless_with(
    scene_factory: Callable[..., Path], labels_factory: Callable[..., Path]
) -> None:
    labels = labels_factory([at(5, 5)])
    small = look(scene_factory("small.tif", shape_hw=(70, 70)), labels)
    (reason,) = said(small, "stop")
    assert "has no room for a training patch" in reason
    assert small.classes[1].pixels == 24 * 24
    empty = scene_factory("empty.tif", image=np.zeros((3, 128, 128), np.uint8), nodata=0)
    (reason,) = said(look(empty, labels), "stop")
    assert "has no pixel with data" in reason


def test_borders_and_rare_classes_change_the_command(
    scene_factory: Callable[..., Path], labels_factory: Callable[..., Path]
) -> None:
    image = np.random.default_rng(0).integers(1, 200, (3, SIDE, SIDE)).astype(np.uint8)
    image[:, 400:] = 0
    labels = labels_factory([*ROOFS, at(4, 4, 6, 6)], kind=["roof"] * 49 + ["well"])
    result = look(scene_factory(image=image), labels, class_field="kind")
    assert result.is_trainable
    words = shlex.split(result.command or "")
    assert words[words.index("--nodata") + 1] == "0"
    assert words[words.index("--sampling") + 1] == "classes"
    assert any("pass --nodata 0" in text for text in said(result, "warning"))
    assert any(text.startswith("Rare: well (0.0") for text in said(result, "note"))


def test_doubles_and_features_elsewhere_are_counted(
    town: Path, labels_factory: Callable[..., Path]
) -> None:
    far = [at(10_000 + 30 * k, 0) for k in range(60)]
    result = look(town, labels_factory([*ROOFS, ROOFS[0], *far]))
    assert result.features is not None
    assert (result.features.duplicates, result.features.outside) == (1, 60)
    assert any("1 features have the geometry of another" in t for t in said(result, "warning"))
    assert any("60 of 110 features lie on no scene" in t for t in said(result, "note"))


def test_slips_of_the_command_are_errors(town: Path, roofs: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        look(tmp_path / "none.tif", roofs)
    with pytest.raises(ConfigError, match="multiple of 64"):
        look(town, roofs, patch_size=100)
    with pytest.raises(ConfigError, match="which check does not know"):
        geocobot.check(raster=town, labels=roofs, rank=4)


def test_the_report_is_one_page_with_pictures(town: Path, roofs: Path, tmp_path: Path) -> None:
    out = tmp_path / "reports" / "town.html"
    result = look(town, roofs, out=out)
    assert result.report == out
    page = out.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "data:image/png;base64," in page
    assert page.count("<path") == 1 + 49 + (
        result.forecast.validation_blocks if result.forecast else 0
    )
    assert "geocobot train --raster" in page
    assert "http://www.w3.org/2000/svg" in page
    assert 'src="http' not in page
    assert [p.name for p in out.parent.iterdir()] == ["town.html"]
    with pytest.raises(OutputError, match="exists already"):
        look(town, roofs, out=out)
    look(town, roofs, out=out, overwrite=True)


def test_a_report_never_takes_the_place_of_a_scene(town: Path, roofs: Path) -> None:
    before = town.read_bytes()
    with pytest.raises(ConfigError, match=r"--out is .*tif, which is no name of a page"):
        look(town, roofs, out=town, overwrite=True)
    assert town.read_bytes() == before


def test_a_report_of_what_does_not_meet_shows_where_both_are(
    town: Path, labels_factory: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "report.html"
    look(town, labels_factory([at(3_000, 0)]), out=out)
    page = out.read_text(encoding="utf-8")
    assert page.count("<path") == 2
    assert "data:image/png" not in page
    assert "Training would be pointless" in page


class TestCommandLine:
    """Exit codes and JSON."""

    FEW = ("--patch-size", "64", "--crop-size", "64", "--batch-size", "2", "--device", "cpu")

    def test_json_and_exit_codes(
        self, town: Path, roofs: Path, labels_factory: Callable[..., Path]
    ) -> None:
        run = CliRunner().invoke(
            app, ["check", "--raster", str(town), "--labels", str(roofs), "--json", *self.FEW]
        )
        assert run.exit_code == 0
        content = json.loads(run.stdout)
        assert content["is_trainable"] is True
        assert content["shift"]["is_certain"] is True
        assert content["classes"][1]["features"] == 49
        away = labels_factory([at(10_000, 0)], name="away.gpkg")
        run = CliRunner().invoke(app, ["check", "--raster", str(town), "--labels", str(away)])
        assert run.exit_code == 1
        assert "Training would be pointless." in run.stdout
        run = CliRunner().invoke(app, ["check", "--raster", "none.tif", "--labels", str(away)])
        assert run.exit_code == 2
        assert run.stdout == ""

    def test_what_is_advised_can_be_typed(self, town: Path, roofs: Path) -> None:
        options = make_options(
            TrainOptions,
            {
                "raster": [str(town), "b c.tif"],
                "labels": [str(roofs)],
                "classes": ["tree", "roof=#e31a1c"],
                "bands": [3, 2, 1],
                "cobot": False,
                "line_width": 7.25,
                "recompute": True,
            },
            "a test",
        )
        words = to_flags(options)
        assert words.count("--raster") == 2
        for word in ("--no-cobot", "tree,roof=#e31a1c", "3,2,1", "7.25", "--recompute"):
            assert word in words
        # All of it is understood: what stops the run is the last option.
        run = CliRunner().invoke(app, ["train", *words, "--epochs", "0"])
        assert run.exit_code == 2
        assert "--epochs is 0. It has to be at least 1." in run.output


class TestRealScenes:
    """Scenes as they come."""

    def test_kampala_is_fit(self, real_data: Path) -> None:
        kampala = real_data / "kampala_buildings"
        result = look(kampala / "scene_b.tif", kampala / "labels.geojson")
        assert result.is_trainable
        assert result.features is not None
        assert result.features.kinds == {"polygons": 256}
        assert 1.0 < result.features.areas_m2.least < 2.0
        assert result.classes[1].share == pytest.approx(0.592, abs=0.005)
        assert "1 invalid polygons were repaired" in result.summary()

    def test_labels_with_a_wrong_crs_are_pointless(self, real_data: Path) -> None:
        kampala, vegas = real_data / "kampala_buildings", real_data / "vegas_roads"
        result = look(kampala / "scene_b.tif", vegas / "roads.geojson")
        assert result.exit_code == 1
        assert gpd.read_file(vegas / "roads.geojson").shape[0] >= result.features.outside > 0

    def test_rio_has_black_borders(self, real_data: Path) -> None:
        rio = real_data / "rio_buildings"
        result = look(rio / "3band", rio / "vectorData" / "geoJson")
        assert result.is_trainable
        assert "--nodata 0" in (result.command or "")
        assert len(said(result, "warning")) == 2
