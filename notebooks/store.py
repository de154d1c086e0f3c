"""Run the notebooks and store them with what came out, small and without a trace of the machine.

    python notebooks/store.py              # all of them
    python notebooks/store.py quickstart   # one

Each runs in an empty folder of its own. Stored are the outputs, pictures as small as they can be
shown; left out are times of day, versions of Python, and names of folders of this machine.
"""

from __future__ import annotations

import base64
import io
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

FOLDER = Path(__file__).resolve().parent
LARGEST_BYTES = 300_000
LARGEST_PICTURE = 120_000
TIMEOUT_S = 600
JPEG_QUALITY = 55
PALETTE = 256
# tqdm misses ipywidgets, which nothing here needs.
QUIET = "ignore:IProgress not found"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
TRACES = re.compile(
    r"(?<![\w.])/(?:tmp|home|root|work|Users|private|var|opt|usr|mnt)/|[A-Za-z]:\\\\?Users|0x[0-9a-f]{9,}"
)


def notebooks() -> list[Path]:
    """All notebooks, by name."""
    return sorted(FOLDER.glob("*.ipynb"))


def read(path: Path) -> NotebookNode:
    """A notebook, checked against the format."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def run(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """The notebook after all its cells ran in a folder, as it is stored.

    Args:
        notebook: is left as it is.
        folder: an empty one; its name is left out of what is stored.

    Raises:
        CellExecutionError: a cell has failed.
    """
    ran = nbformat.from_dict(notebook)
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(ran, timeout=TIMEOUT_S, resources=resources, record_timing=False)
    client.execute(env=os.environ | {"PYTHONWARNINGS": QUIET})
    return cleaned(ran, folder)


def cleaned(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """A notebook without what differs from machine to machine, its pictures small."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = _without(output["text"], folder)
            if "data" in output:
                output["metadata"] = {}
                output["data"] = _small(output["data"], folder)
    return notebook


def shape(notebook: NotebookNode) -> list[list[str]]:
    """Of each cell of code, what kinds of outputs it has: the same whenever it runs."""
    return [
        [_kind(output) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def faults(path: Path) -> list[str]:
    """What is wrong with a notebook as it is stored; nothing of one that `store` has written."""
    notebook = read(path)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    kinds = [kind for kinds in shape(notebook) for kind in kinds]
    numbers = [cell.execution_count for cell in cells]
    trace = TRACES.search(_texts(notebook))
    size = path.stat().st_size
    checks = {
        "cells did not run in order": numbers != list(range(1, len(cells) + 1)),
        "a cell has failed": "error" in kinds,
        "a cell has written to standard error": "stderr" in kinds,
        "no picture is stored": not any("image/" in kind for kind in kinds),
        f"{size:,} bytes": size > LARGEST_BYTES,
        "a large picture": any(size > LARGEST_PICTURE for size in _picture_sizes(notebook)),
        f"a trace of the machine: {trace and trace.group()}": trace is not None,
        "metadata of a machine": notebook.metadata != METADATA,
        "metadata of cells": any(cell.metadata for cell in notebook.cells),
    }
    return [fault for fault, is_there in checks.items() if is_there]


def store(path: Path) -> float:
    """Run a notebook and write it with its outputs; return the seconds that it took."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        ran = run(read(path), Path(folder))
    nbformat.write(ran, path)
    return time.perf_counter() - began


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs, what was printed at once and what was printed bit by bit alike."""
    joined: list[NotebookNode] = []
    for output in outputs:
        before = joined[-1] if joined else None
        if before is not None and "name" in output and output.name == before.get("name"):
            before.text += output.text
        else:
            joined.append(output)
    return joined


def _kind(output: NotebookNode) -> str:
    """An output as its kinds of data, or the name of its stream."""
    if output.output_type == "stream":
        return str(output.name)
    if output.output_type == "error":
        return "error"
    # A picture is stored as whichever format is smaller.
    return " ".join(sorted(re.sub("image/.*", "image/", kind) for kind in output.data))


def _small(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Data of an output, the picture as JPEG or as PNG with few colors, whichever is smaller."""
    kept = {kind: _without(value, folder) for kind, value in data.items() if "text/" in kind}
    picture = data.get("image/png") or data.get("image/jpeg")
    if picture is None:
        return kept
    with Image.open(io.BytesIO(base64.b64decode(picture))) as opened:
        flat = opened.convert("RGB")
    few = flat.quantize(PALETTE, dither=Image.Dither.NONE)
    jpeg, png = io.BytesIO(), io.BytesIO()
    flat.save(jpeg, "JPEG", quality=JPEG_QUALITY, optimize=True)
    few.save(png, "PNG", optimize=True)
    kind, file = min(("image/jpeg", jpeg), ("image/png", png), key=lambda it: it[1].tell())
    # A picture needs no words beside it, such as <Figure size 640x480>.
    return {kind: base64.b64encode(file.getvalue()).decode("ascii")}


def _without(text: Any, folder: Path) -> str:
    """Text that names files as seen from the notebook's folder."""
    joined = text if isinstance(text, str) else "".join(text)
    for name in {str(folder.resolve()), str(folder)}:
        joined = joined.replace(f"{name}/", "").replace(name, ".")
    return joined


def _texts(notebook: NotebookNode) -> str:
    """All that can be read: sources and outputs, pictures left out."""
    parts = [cell.source for cell in notebook.cells]
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    parts += [out["text"] for out in outputs if "text" in out]
    parts += [
        value
        for out in outputs
        for kind, value in out.get("data", {}).items()
        if kind.startswith("text/")
    ]
    return "\n".join(parts)


def _picture_sizes(notebook: NotebookNode) -> list[int]:
    """Bytes of each stored picture, as text."""
    return [
        len(value)
        for cell in notebook.cells
        for out in cell.get("outputs", [])
        for kind, value in out.get("data", {}).items()
        if kind.startswith("image/")
    ]


def main(names: list[str]) -> None:
    """Store the notebooks of these names, or all."""
    for path in [FOLDER / f"{name}.ipynb" for name in names] or notebooks():
        seconds = store(path)
        sys.stdout.write(f"{path.name}: {seconds:.0f} s, {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])
