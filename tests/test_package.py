from __future__ import annotations

import ast
import importlib.metadata
import inspect
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import types
import zipfile
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import geocobot
from geocobot import api
from geocobot.config import (
    CheckOptions,
    DemoOptions,
    EvaluateOptions,
    PredictOptions,
    TrainOptions,
    VectorizeOptions,
)
from geocobot.errors import ConfigError
from geocobot.models.weights import PACKAGE_FOLDER
from geocobot.progress import SilentProgress

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIREMENTS = [Requirement(text) for text in PROJECT["dependencies"]]
FUNCTIONS = [
    (api.train, TrainOptions, api.TrainKeywords),
    (api.check, CheckOptions, api.CheckKeywords),
    (api.predict, PredictOptions, api.PredictKeywords),
    (api.vectorize, VectorizeOptions, api.VectorizeKeywords),
    (api.evaluate, EvaluateOptions, api.EvaluateKeywords),
    (api.demo, DemoOptions, api.DemoKeywords),
]
# Wanted by other packages, which do not ask for them themselves.
NEEDED_BY_OTHERS = {
    "tensorboard": "Lightning's TensorBoard logger imports it",
    "torchvision": "segment-anything imports it",
}


def sources() -> Iterator[tuple[Path, str]]:
    """Every file of the package with its text."""
    for path in sorted((ROOT / "geocobot").rglob("*.py")):
        yield path, path.read_text(encoding="utf-8")


def imported_packages() -> set[str]:
    """Names of the distributions that the package imports."""
    distributions = importlib.metadata.packages_distributions()
    found = set()
    for _, text in sources():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            else:
                continue
            found |= {module.partition(".")[0] for module in modules}
    foreign = found - set(sys.stdlib_module_names) - {"geocobot"}
    # Several distributions may share a package; where an extra brings it, it may be missing.
    return {
        module
        if module in distributions.get(module, [module])
        else canonicalize_name(distributions[module][0])
        for module in foreign
    }


def pins(python: str) -> dict[str, str]:
    """Versions that constraints.txt asks for on one Python."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    return {
        canonicalize_name(r.name): str(r.specifier)
        for r in wanted
        if r.marker is None or r.marker.evaluate(environment)
    }


def test_the_version_is_one() -> None:
    assert importlib.metadata.version("geocobot") == geocobot.__version__


def test_every_public_name_is_there() -> None:
    for name in geocobot.__all__:
        assert getattr(geocobot, name) is not None
    assert set(geocobot.__all__) <= set(dir(geocobot))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'geocobot' has no attribute 'tune'"):
        _ = geocobot.tune


@pytest.mark.parametrize(("function", "kind", "keywords"), FUNCTIONS)
def test_keywords_repeat_the_options(function: Any, kind: type[Any], keywords: type[Any]) -> None:
    explicit = {f.name for f in fields(kind) if f.default is MISSING}
    said = get_type_hints(keywords)
    options = {n: t for n, t in get_type_hints(kind).items() if n != "COMMAND"}
    assert set(said) == set(options) - explicit
    for name, annotation in said.items():
        path_as_text = str(annotation).replace("str | os.PathLike[str]", "str")
        plain = re.sub(r"collections.abc.Iterable\[(.*)\]", r"tuple[\1, ...]", path_as_text)
        plain = plain.replace("str | tuple[str, ...]", "tuple[str, ...]")
        assert plain in {str(options[name]), getattr(options[name], "__name__", "")}, name


@pytest.mark.parametrize(("function", "kind", "keywords"), FUNCTIONS)
def test_signature_and_docstring_show_every_option(
    function: Any, kind: type[Any], keywords: type[Any]
) -> None:
    shown = inspect.signature(function).parameters
    assert list(shown) == [*(f.name for f in fields(kind)), "progress"]
    for field in fields(kind):
        assert f"        {field.name}: {field.metadata['help']}\n" in function.__doc__


def test_the_api_hands_options_and_progress_to_the_workflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[Any, Any]] = []
    fake = types.ModuleType("geocobot.workflows.train")
    fake.train = lambda options, progress: calls.append((options, progress))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "geocobot.workflows.train", fake)
    monkeypatch.setattr("geocobot.workflows.train", fake, raising=False)
    progress = SilentProgress()
    geocobot.train(
        raster=Path("a.tif"), labels=[Path("b.shp"), "c.shp"], bands=[3, 2, 1], progress=progress
    )
    wanted = TrainOptions(raster=("a.tif",), labels=("b.shp", "c.shp"), bands=(3, 2, 1))
    assert calls == [(wanted, progress)]


def test_the_api_refuses_an_unknown_option() -> None:
    with pytest.raises(ConfigError, match=r"geocobot\.predict has the option 'treshold'"):
        geocobot.predict(raster="a.tif", model="m.safetensors", treshold=0.5)  # type: ignore[call-arg]


def test_dependencies_are_those_that_are_imported() -> None:
    declared = {canonicalize_name(requirement.name) for requirement in REQUIREMENTS}
    optional = PROJECT["optional-dependencies"]
    extras = {
        canonicalize_name(Requirement(text).name)
        for extra in ("stac", "ray", "parquet")
        for text in optional[extra]
    }
    assert imported_packages() - declared == extras
    assert declared - imported_packages() - NEEDED_BY_OTHERS.keys() == set()


def test_every_bound_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = text.partition("dependencies = [\n")[2].partition("\n]\n")[0]
    for line in block.splitlines():
        assert re.fullmatch(r' *"[^"]+", +# .{5,}', line), line


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_constraints_pin_every_dependency_within_its_bound(python: str) -> None:
    pinned = pins(python)
    dev = [Requirement(text) for text in PROJECT["optional-dependencies"]["dev"]]
    for requirement in [*REQUIREMENTS, *dev]:
        pin = pinned[canonicalize_name(requirement.name)]
        assert pin.startswith("==")
        assert requirement.specifier.contains(pin.removeprefix("==")), requirement
    assert pinned["torch"] != "==2.13.0"


def test_constraints_name_no_host() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    for trace in ("://", "--", "@", "file:"):
        assert trace not in text


def test_rasters_are_opened_in_io_alone() -> None:
    opening = re.compile(r"\brasterio\.open\(|\bfrom rasterio import .*\bopen\b")
    outside = [
        path for path, text in sources() if opening.search(text) and path.parent.name != "io"
    ]
    assert outside == []


@pytest.mark.slow
def test_base_files_travel_with_wheel_and_sdist(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path)
    unneeded = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "geocobot", tmp_path / "geocobot", ignore=unneeded)
    folder = tmp_path / "geocobot" / "models" / PACKAGE_FOLDER.name
    folder.mkdir(exist_ok=True)
    (folder / "made_up.safetensors").write_bytes(b"weights")
    build = [sys.executable, "-m", "hatchling", "build", "-d", "built"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)
    wanted = "geocobot/models/pretrained/made_up.safetensors"
    version = geocobot.__version__
    with zipfile.ZipFile(tmp_path / f"built/geocobot-{version}-py3-none-any.whl") as wheel:
        assert wanted in wheel.namelist()
    with tarfile.open(tmp_path / f"built/geocobot-{version}.tar.gz") as sdist:
        assert f"geocobot-{version}/{wanted}" in sdist.getnames()


@pytest.mark.slow
def test_wheel_and_sdist_hold_the_package_and_nothing_else(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    version = geocobot.__version__
    with zipfile.ZipFile(tmp_path / f"geocobot-{version}-py3-none-any.whl") as wheel:
        names = wheel.namelist()
        entry_points = wheel.read(f"geocobot-{version}.dist-info/entry_points.txt").decode()
    assert {"geocobot/py.typed", "geocobot/cli/app.py", "geocobot/__main__.py"} <= set(names)
    assert {name.split("/")[0] for name in names} == {"geocobot", f"geocobot-{version}.dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "geocobot = geocobot.cli:main" in entry_points
    with tarfile.open(tmp_path / f"geocobot-{version}.tar.gz") as sdist:
        parts = {name.split("/")[1] for name in sdist.getnames()}
    assert {"geocobot", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"} <= parts
    assert not parts & {"tests", "benchmarks", "notebooks", "configs"}
