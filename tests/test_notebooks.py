"""The notebooks run, and what is stored of them is what came out."""

from __future__ import annotations

import base64
import importlib.util
import io
import time
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST_S = 120


@pytest.fixture(scope="session")
def store() -> ModuleType:
    """The script that runs and stores notebooks."""
    spec = importlib.util.spec_from_file_location("store", ROOT / "notebooks/store.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def picture(width: int = 8, height: int = 8) -> str:
    """A PNG of noise, as an output holds it."""
    file = io.BytesIO()
    Image.effect_noise((width, height), 90).convert("RGB").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def ran(text: str = "hello\n", image: str = "") -> nbformat.NotebookNode:
    """A notebook of one cell that has printed something and shown a picture."""
    shown = {"image/png": image or picture(), "text/plain": "<Figure>"}
    outputs = [
        new_output("stream", name="stdout", text=text),
        new_output("display_data", data=shown),
    ]
    return new_notebook(
        cells=[
            new_markdown_cell("Words."),
            new_code_cell("show()", execution_count=1, outputs=outputs),
        ]
    )


def test_the_notebooks_that_the_documentation_promises_are_there() -> None:
    promised = {"quickstart", "roads", "buildings", "centerlines", "lora_or_cobot", "cluster"}
    assert {path.stem for path in NOTEBOOKS} == promised
    page = (ROOT / "docs/notebooks.md").read_text(encoding="utf-8")
    assert {name for name in promised if f"notebooks/{name}.ipynb" in page} == promised


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_is_stored_executed_small_and_without_a_trace(
    path: Path, store: ModuleType
) -> None:
    assert store.faults(path) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_pages_that_notebooks_name_are_there(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        for word in cell.source.replace("`", " ").split():
            name = word.strip(".,;:()")
            if name.startswith("docs/"):
                assert (ROOT / name).is_file(), name


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.filterwarnings("ignore:Proactor event loop:RuntimeWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_runs_and_shows_what_is_stored(
    path: Path, store: ModuleType, tmp_path: Path
) -> None:
    stored = store.read(path)
    began = time.perf_counter()
    again = store.run(stored, tmp_path)
    seconds = time.perf_counter() - began
    assert store.shape(again) == store.shape(stored)
    assert seconds < 2 * LONGEST_S  # the machine may have other work


def test_what_is_stored_has_no_fault_and_names_no_folder(store: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    notebook = ran(f"wrote {folder}/maps/roads.gpkg in {folder}\n")
    notebook.cells[1].metadata["execution"] = {"iopub.execute_input": "2026-01-01T00:00:00Z"}
    stored = store.cleaned(notebook, folder)
    nbformat.write(stored, tmp_path / "a.ipynb")
    assert store.faults(tmp_path / "a.ipynb") == []
    assert stored.cells[1].outputs[0].text == "wrote maps/roads.gpkg in .\n"
    assert store.shape(stored) == [["stdout", "image/"]]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("/home/anna/roads.gpkg\n", "a trace of the machine: /home/"),
        ("C:\\Users\\anna\n", r"a trace of the machine: C:\Users"),
        ("<object at 0x7f0a12345678>\n", "a trace of the machine: 0x7f0a12345678"),
        ("x" * 300_000, "bytes"),
    ],
)
def test_what_may_not_be_stored_is_found(
    text: str, fault: str, store: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "a.ipynb"
    nbformat.write(store.cleaned(ran(text), tmp_path / "run"), path)
    (found,) = store.faults(path)
    assert fault in found


def test_a_notebook_that_has_not_run_is_found(store: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    notebook = ran()
    notebook.cells[1].execution_count = None
    notebook.cells[1].outputs = [new_output("stream", name="stderr", text="Warning: old\n")]
    nbformat.write(notebook, path)
    assert store.faults(path) == [
        "cells did not run in order",
        "a cell has written to standard error",
        "no picture is stored",
        "metadata of a machine",
    ]


def test_what_was_printed_bit_by_bit_is_stored_at_once(store: ModuleType, tmp_path: Path) -> None:
    notebook = ran("one\n")
    bits = [new_output("stream", name="stdout", text=text) for text in ("two\n", "three\n")]
    notebook.cells[1].outputs = [notebook.cells[1].outputs[1], *bits]
    stored = store.cleaned(notebook, tmp_path)
    assert store.shape(stored) == [["image/", "stdout"]]
    assert stored.cells[1].outputs[1].text == "two\nthree\n"


def test_pictures_become_small_and_stay_as_large(store: ModuleType, tmp_path: Path) -> None:
    before = picture(300, 200)
    (_, shown) = store.cleaned(ran(image=before), tmp_path).cells[1].outputs
    ((kind, after),) = shown.data.items()
    assert kind == "image/jpeg"
    assert len(after) < len(before) / 2
    with Image.open(io.BytesIO(base64.b64decode(after))) as opened:
        assert opened.size == (300, 200)
