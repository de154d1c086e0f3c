"""Files and folders that may not be read or written: one sentence, exit code 2, nothing lost."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import shapely
from click.testing import Result
from typer.testing import CliRunner

from geocobot.cli.app import app

WEST, NORTH = 500_000.0, 5_000_000.0
NOBODY = 65534

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(result: Result, *parts: str) -> None:
    """The command ended with one paragraph that says these things."""
    said = " ".join(result.output.split())
    assert result.exit_code == 2, said
    assert isinstance(result.exception, SystemExit), said
    assert "did not expect" not in said
    for part in parts:
        assert part in said


@pytest.fixture
def folder(
    scene_factory: Callable[..., Path], labels_factory: Callable[..., Path]
) -> Iterator[Path]:
    """A folder that all may enter, with scene and labels; the command has run there once.

    It has to have run: what it imports may lie where nobody but root may read.
    """
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    shutil.copy(scene_factory(shape_hw=(256, 256)), path / "scene.tif")
    roofs = [shapely.box(WEST + x, NORTH - 60, WEST + x + 30, NORTH - 30) for x in (20, 90, 160)]
    shutil.copy(labels_factory(roofs, name="labels.geojson"), path / "labels.geojson")
    assert run(*check(path)).exit_code in {0, 1}
    yield path
    shutil.rmtree(path)


@pytest.fixture
def powerless(folder: Path) -> Iterator[None]:
    """Without root's right to read and write everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


def check(folder: Path) -> list[object]:
    return [
        "check", "--raster", folder / "scene.tif", "--labels", folder / "labels.geojson",
        "--device", "cpu",
    ]  # fmt: skip


@pytest.fixture
def locked(folder: Path) -> Callable[[str, int], Path]:
    """Take permissions away, before the right to ignore them goes as well."""

    def lock(name: str, mode: int) -> Path:
        path = folder / name
        owner = os.geteuid()
        if owner != os.getuid():
            os.seteuid(os.getuid())
        if not path.exists():
            path.mkdir()
        path.chmod(mode)
        os.seteuid(owner)
        return path

    return lock


@pytest.mark.usefixtures("powerless")
@pytest.mark.parametrize("name", ["scene.tif", "labels.geojson"])
def test_a_file_that_may_not_be_read(
    folder: Path, locked: Callable[[str, int], Path], name: str
) -> None:
    locked(name, 0)
    refused(run(*check(folder)), name, "Permission denied")


@pytest.mark.usefixtures("powerless")
def test_a_folder_that_may_not_be_read(folder: Path, locked: Callable[[str, int], Path]) -> None:
    shut = locked("shut", 0)
    words = ["check", "--raster", shut, "--labels", folder / "labels.geojson"]
    refused(run(*words), "shut", "ermission")


@pytest.mark.usefixtures("powerless")
@pytest.mark.parametrize("command", ["check", "train"])
def test_a_folder_that_may_not_be_written(
    folder: Path, locked: Callable[[str, int], Path], command: str
) -> None:
    shut = locked("shut", 0o555)
    words = [
        command,
        *check(folder)[1:],
        "-o",
        shut / ("report.html" if command == "check" else "run"),
    ]
    refused(run(*words), "shut", "ermission")
    assert not list(shut.iterdir())
