from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import geocobot
from geocobot.cli.app import app

HEAVY = [
    "geopandas",
    "lightning",
    "numpy",
    "pandas",
    "pyogrio",
    "pyproj",
    "rasterio",
    "segment_anything",
    "shapely",
    "torch",
    "torchgeo",
    "yaml",
]
LIST_HEAVY = f"print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("command", [[], ["train"], ["predict"], ["vectorize"]])
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    arguments = [*command, "--help"]
    code = (
        "import sys\n"
        "from geocobot.cli import main\n"
        f"sys.argv = ['geocobot', *{arguments}]\n"
        "try:\n    main()\n"
        f"finally:\n    {LIST_HEAVY}\n"
    )
    result = run("-c", code)
    assert result.returncode == 0
    assert result.stderr == "[]\n"
    assert "Usage: geocobot" in result.stdout


def test_the_package_imports_nothing_heavy() -> None:
    result = run("-c", f"import sys, geocobot; geocobot.train; {LIST_HEAVY}")
    assert (result.returncode, result.stderr) == (0, "[]\n")


def test_the_module_runs() -> None:
    result = run("-m", "geocobot", "--version")
    assert (result.returncode, result.stdout) == (0, f"{geocobot.__version__}\n")


def test_no_command_shows_help() -> None:
    result = CliRunner().invoke(app, [])
    for command in ("train", "predict", "vectorize", "demo", "info", "models"):
        assert command in result.stdout


def test_models_list_as_text_and_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("GEOCOBOT_HOME", str(tmp_path_factory.mktemp("cache")))
    text = CliRunner().invoke(app, ["models", "list"])
    assert text.exit_code == 0
    bases = json.loads(CliRunner().invoke(app, ["models", "list", "--json"]).stdout)["bases"]
    assert [base["name"] for base in bases] == ["tiny", "vit_b", "vit_l", "vit_h"]
    for base in bases:
        assert base["name"] in text.stdout
        assert base["cached"] is False
