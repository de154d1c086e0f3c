from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def script(path: Path) -> ModuleType:
    """A script of the documentation, which is no part of the package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def command_pages() -> ModuleType:
    return script(ROOT / "docs/generate/command_pages.py")


@pytest.fixture(scope="session")
def python_page() -> ModuleType:
    return script(ROOT / "docs/generate/python_page.py")


@pytest.fixture(scope="session")
def notebook_pages() -> ModuleType:
    return script(ROOT / "docs/generate/notebook_pages.py")


@pytest.fixture(scope="session")
def drawings() -> ModuleType:
    return script(ROOT / "docs/drawings/draw.py")


@pytest.fixture
def hooks(
    command_pages: ModuleType,
    python_page: ModuleType,
    notebook_pages: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> ModuleType:
    """The hooks of the site, which import the others as their neighbors."""
    monkeypatch.syspath_prepend(ROOT / "docs/generate")
    return script(ROOT / "docs/generate/hooks.py")
