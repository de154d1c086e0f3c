from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocobot.cli.results import as_json
from geocobot.errors import ConfigError
from geocobot.models import weights
from geocobot.workflows import gdal
from geocobot.workflows.info import Info, Subfolder, collect_info
from geocobot.workflows.privacy import hide

PARTS = st.lists(st.text("abcxyz.-", min_size=1).filter(lambda part: part.strip(".")), max_size=4)


@pytest.fixture
def info(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Info:
    for name in gdal.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GEOCOBOT_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "sam.pth").write_bytes(b"12345")
    return collect_info()


def test_everything_is_found_on_a_sound_installation(info: Info) -> None:
    assert info.warnings == ()
    assert "missing" not in info.packages.values()
    assert [build.package for build in info.gdal] == ["rasterio", "pyogrio", "pyproj"]
    assert all(build.data and (build.gdal or build.proj) for build in info.gdal)
    assert 1 <= info.machine.usable_cpus <= info.machine.cpus
    assert info.cache.files == {"sam.pth": 5}
    assert info.cache.free_bytes > 0


def test_text_and_json_say_the_same(info: Info) -> None:
    text, parsed = info.summary(), json.loads(as_json(info))
    for name, version in parsed["packages"].items():
        assert any(line.split() == [name, version] for line in text.splitlines())
    for build in parsed["gdal"]:
        assert build["data"] in text
    assert "sam.pth, 0.0 MiB" in text


def test_files_in_folders_of_the_cache_are_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GEOCOBOT_HOME", str(tmp_path))
    (tmp_path / "sam.pth").write_bytes(b"12345")
    (tmp_path / "features" / "deep").mkdir(parents=True)
    for number in range(1200):
        (tmp_path / "features" / f"{number}.features").write_bytes(b"1234567")
    (tmp_path / "features" / "deep" / "last.features").write_bytes(b"1")
    info = collect_info()
    assert info.cache is not None
    assert info.cache.files == {"sam.pth": 5}
    assert info.cache.subfolders == {"features": Subfolder(1201, 8401)}
    rows = [line for line in info.summary().splitlines() if line.lstrip().startswith("file ")]
    assert [row.split(maxsplit=2)[2] for row in rows] == [
        "sam.pth, 0.0 MiB",
        "features/, 1,201 files, 0.0 MiB",
    ]


def test_a_cache_that_does_not_exist_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOCOBOT_HOME", str(tmp_path / "not" / "there"))
    info = collect_info()
    assert info.cache is not None
    assert info.cache.files == {}
    assert not (tmp_path / "not").exists()


def test_no_home_and_no_name_is_given_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "ada"
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("LOGNAME", "ada")
    monkeypatch.setenv("GDAL_DATA", str(home / "qgis"))
    monkeypatch.setenv("GEOCOBOT_HOME", str(home / "cache"))
    info = collect_info()
    assert info.environment == {"GDAL_DATA": f"~{os.sep}qgis"}
    assert info.cache.folder == f"~{os.sep}cache"
    assert "ada" not in info.summary()
    assert "ada" not in as_json(info)


@given(PARTS)
def test_paths_below_the_home_keep_their_end(parts: list[str]) -> None:
    user = getpass.getuser()
    path = Path.home().joinpath(*(part for part in parts if part != user))
    assert Path(hide(str(path))).expanduser() == path


def test_a_name_is_hidden_as_a_whole_part_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    assert hide("/data/ada/adapters/ada") == "/data/<user>/adapters/<user>"


def test_a_folder_that_only_begins_like_the_home_is_left_alone() -> None:
    assert hide(f"{Path.home()}stead/x") == f"{Path.home()}stead/x"


def test_variables_left_by_qgis_are_blamed_for_a_broken_proj(tmp_path: Path) -> None:
    code = "from geocobot.workflows.gdal import inspect_gdal; print(*inspect_gdal()[1], sep='\\n')"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PROJ_LIB": str(tmp_path), "PROJ_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert result.stderr == ""
    assert "rasterio does not work" in result.stdout
    assert "Unset PROJ_LIB and PROJ_DATA, which QGIS or conda left behind" in result.stdout


def test_variables_of_another_program_are_mentioned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in gdal.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GDAL_DRIVER_PATH", str(tmp_path))
    _, warnings = gdal.inspect_gdal()
    assert len(warnings) == 1
    assert warnings[0].startswith("GDAL_DRIVER_PATH lead")


def test_variables_of_this_environment_are_no_reason_to_worry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in gdal.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GDAL_DRIVER_PATH", str(Path(sys.prefix) / "lib" / "gdalplugins"))
    assert gdal.inspect_gdal()[1] == ()


def test_a_mismatched_torchvision_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    info = collect_info()
    assert info.machine.threads is None
    assert any("matching pair from the same source" in text for text in info.warnings)


def test_a_user_without_a_home_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert hide("/data/scene.tif") == "/data/scene.tif"


def test_a_cache_without_a_place_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_place() -> Path:
        raise ConfigError("The cache folder", "has no place", "It needs one", "Set a variable")

    monkeypatch.setattr(weights, "cache_folder", no_place)
    info = collect_info()
    assert info.cache is None
    assert "The cache folder has no place. It needs one. Set a variable." in info.summary()
    assert json.loads(as_json(info))["cache"] is None


def test_a_cache_that_may_not_be_entered_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setenv("GEOCOBOT_HOME", str(tmp_path / "somebody" / "else"))
    monkeypatch.setattr(Path, "stat", forbidden)
    info = collect_info()
    assert info.cache is not None
    assert info.cache.files == {}
