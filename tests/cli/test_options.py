from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from geocobot.cli.app import app
from geocobot.cli.options import command_with_options, gather
from geocobot.config import (
    CheckOptions,
    DemoOptions,
    EvaluateOptions,
    PredictOptions,
    PretrainOptions,
    TrainOptions,
    VectorizeOptions,
)
from geocobot.errors import ConfigError, MissingFileError
from geocobot.settings import make_options, to_yaml

KINDS = [
    TrainOptions,
    PredictOptions,
    VectorizeOptions,
    CheckOptions,
    EvaluateOptions,
    DemoOptions,
    PretrainOptions,
]
FLAG_VALUES = {str: "text", int: "3", float: "0.5"}
NEEDED = ["--raster", "scene.tif", "--labels", "roads.shp"]


def run_train(*arguments: str) -> Any:
    """Run a `train` that only tells which options it was given."""
    echo = typer.Typer()
    echo.command()(command_with_options(TrainOptions, lambda options, progress: options))
    return CliRunner().invoke(echo, [*NEEDED, *arguments, "--json"])


def options_of(*arguments: str) -> dict[str, Any]:
    result = run_train(*arguments)
    assert result.exit_code == 0, result.stderr
    options: dict[str, Any] = json.loads(result.stdout)
    return options


@pytest.mark.parametrize("kind", KINDS)
def test_help_shows_every_option_with_its_default(kind: type[Any]) -> None:
    result = CliRunner().invoke(app, [kind.COMMAND, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for field in fields(kind):
        is_flag = not field.metadata["positional"]
        shown = f"--{field.name.replace('_', '-')}" if is_flag else field.name
        assert shown in result.stdout
        assert field.metadata["help"].split(";")[0].removesuffix(".") in result.stdout
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            assert f"default {field.default:g}." in result.stdout


def test_calibration_is_on_unless_it_is_switched_off() -> None:
    assert options_of()["calibrate"] is True
    assert options_of("--no-calibrate")["calibrate"] is False


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_can_be_said_on_the_command_line(kind: type[Any]) -> None:
    for name, annotation in get_type_hints(kind).items():
        if name == "COMMAND":
            continue
        variants = get_args(annotation) if type(None) in get_args(annotation) else (annotation,)
        said = variants[0]
        if get_origin(said) is tuple:
            item = get_args(said)[0]
            choices = get_args(item) if get_origin(item) is Literal else ()
            flag: Any = [",".join(choices) or ("1,2" if item in {int, float} else "text")]
        elif said is bool:
            flag = False
        else:
            flag = FLAG_VALUES.get(said) or get_args(said)[0]
        needed = {"raster": ["a.tif"], "labels": ["b.shp"], "model": "m.safetensors"}
        needed |= {"scores": "a.tif", "pred": "a.tif"}
        required = {f.name for f in fields(kind) if f.default is MISSING}
        flags = {n: v for n, v in needed.items() if n in required}
        options = gather(kind, {**flags, name: flag})
        assert getattr(options, name) is not None


def test_unsaid_options_keep_their_defaults() -> None:
    said = make_options(TrainOptions, {"raster": "scene.tif", "labels": "roads.shp"}, "test")
    assert options_of() == json.loads(
        json.dumps({f.name: getattr(said, f.name) for f in fields(said)})
    )


def test_numbers_take_commas_and_repeats() -> None:
    assert options_of("--bands", "3,2,1")["bands"] == ["3", "2", "1"]
    assert options_of("--bands", "3", "--bands", "nir")["bands"] == ["3", "nir"]


def test_a_range_of_values_may_be_negative() -> None:
    assert options_of("--value-range", "-25,0.5")["value_range"] == [-25.0, 0.5]


def test_names_take_commas_and_repeats() -> None:
    assert options_of("--targets", "q,k,proj")["targets"] == ["q", "k", "proj"]
    assert options_of("--targets", "q", "--targets", "mlp")["targets"] == ["q", "mlp"]
    assert options_of("--classes", "tree,house=#ff0000")["classes"] == ["tree", "house=#ff0000"]


def test_files_repeat_and_keep_their_commas() -> None:
    assert options_of("--raster", "a,b.tif")["raster"] == ["scene.tif", "a,b.tif"]
    assert options_of("--labelled-area", "a,b.gpkg")["labelled_area"] == ["a,b.gpkg"]


def test_help_tells_names_from_files() -> None:
    shown = CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "200"}).stdout
    assert re.search(r"--classes\s+NAME,NAME", shown)
    assert re.search(r"--labelled-area\s+FILE", shown)
    assert re.search(r"--bands\s+BAND,BAND,BAND", shown)


def test_negative_numbers_are_values() -> None:
    assert options_of("--nodata", "-9999")["nodata"] == -9999


def test_switches_work_both_ways() -> None:
    assert options_of("--no-cobot")["cobot"] is False
    assert options_of("-f")["overwrite"] is True


def test_flags_override_the_file(tmp_path: Path) -> None:
    config = tmp_path / "roads.yaml"
    config.write_text("epochs: 7\nbatch-size: 2\noverwrite: true\nbands: [1, 2, 3]\n")
    options = options_of("-c", str(config), "--epochs", "9", "--no-overwrite", "--bands", "3,2,1")
    assert (options["epochs"], options["batch_size"], options["overwrite"]) == (9, 2, False)
    assert options["bands"] == ["3", "2", "1"]


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        (TrainOptions, {"raster": ["a.tif"], "labels": ["b.shp"]}),
        (PredictOptions, {"raster": ["a.tif"], "model": "m.safetensors"}),
        (VectorizeOptions, {"scores": "a.tif"}),
        (EvaluateOptions, {"pred": "a.gpkg", "labels": ["b.shp"]}),
        (DemoOptions, {}),
    ],
)
def test_a_saved_configuration_gives_the_options_back(
    kind: type[Any], needed: dict[str, Any], tmp_path: Path
) -> None:
    options = gather(kind, needed)
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(options))
    assert gather(kind, {"config": str(path)}) == options


def test_a_check_reads_configurations_of_trainings(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("raster: [a.tif]\nlabels: [b.shp]\nline_width: 8\nadapter: lora\nout: runs/b\n")
    options = gather(CheckOptions, {"config": str(path)})
    assert (options.raster, options.line_width, options.out) == (("a.tif",), 8.0, None)
    path.write_text(path.read_text() + "adaptor: lora\n")
    with pytest.raises(ConfigError, match="'adaptor', which check does not know"):
        gather(CheckOptions, {"config": str(path)})
    path.write_text("raster: [a.tif]\nlabels: [b.shp]\nout: report.html\n")
    assert gather(CheckOptions, {"config": str(path)}).out == "report.html"


def test_a_missing_option_is_named() -> None:
    with pytest.raises(ConfigError, match=r"command line does not say labels.*Add --labels"):
        gather(TrainOptions, {"raster": ["a.tif"], "labels": []})


def test_an_unknown_option_in_the_file_is_named(tmp_path: Path) -> None:
    config = tmp_path / "roads.yaml"
    config.write_text("epoch: 7\n")
    with pytest.raises(ConfigError, match=r"roads\.yaml has the option 'epoch'"):
        gather(TrainOptions, {"raster": ["a"], "labels": ["b"], "config": str(config)})


def test_a_missing_file_is_named() -> None:
    with pytest.raises(MissingFileError, match=r"nowhere\.yaml does not exist"):
        gather(TrainOptions, {"config": "nowhere.yaml"})


@pytest.mark.parametrize("flag", ["--config", "--out", "--checkpoint", "--labels", "--bands"])
def test_an_empty_text_is_refused(flag: str) -> None:
    result = run_train(flag, "")
    assert result.exit_code == 2
    assert "to an empty text" in result.stderr or "is an empty text" in result.stderr


def test_numbers_that_are_none_are_an_error_of_the_user() -> None:
    with pytest.raises(ConfigError, match=r"sets crop_size\.1 to 'red'"):
        gather(PretrainOptions, {"crop_size": ["128,red"]})


def test_an_unknown_choice_is_an_error_of_the_user() -> None:
    result = run_train("--base", "vit_x")
    assert result.exit_code == 2
    assert "vit_b" in result.stderr
