"""Pages of the notebooks, as they are stored: words, code and what came out."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
ENDINGS = {"image/png": "png", "image/jpeg": "jpg"}


@dataclass
class NotebookPage:
    """A notebook as a page.

    Attributes:
        name: of the notebook, without its ending.
        text: Markdown.
        pictures: by their names, beside the page.
    """

    name: str
    text: str = ""
    pictures: dict[str, bytes] = field(default_factory=dict)

    @property
    def page(self) -> str:
        """Where it lies in the site."""
        return f"notebooks/{self.name}.md"


def notebook_pages(folder: Path = FOLDER) -> list[NotebookPage]:
    """A page for each notebook, the quickstart first."""
    found = sorted(folder.glob("*.ipynb"), key=lambda path: (path.stem != "quickstart", path.stem))
    return [notebook_page(path) for path in found]


def notebook_page(path: Path) -> NotebookPage:
    """The page of a notebook."""
    made = NotebookPage(path.stem)
    parts = []
    for cell in nbformat.read(path, as_version=4).cells:
        is_code = cell.cell_type == "code"
        parts.append(f"```python\n{cell.source}\n```" if is_code else cell.source)
        parts += [_shown(output, made) for output in cell.get("outputs", [])]
    here = f"*This is `{path.name}` of the folder `notebooks/`, with what it printed and drew.*"
    title, _, rest = "\n\n".join(part for part in parts if part).partition("\n")
    made.text = f"{title}\n\n{here}\n{rest}\n"
    return made


def _shown(output: Any, made: NotebookPage) -> str:
    """An output as Markdown; its picture becomes one of the page."""
    if output.output_type == "stream":
        return _block(output.text)
    for kind, ending in ENDINGS.items():
        if kind in output.data:
            name = f"{made.name}_{len(made.pictures) + 1}.{ending}"
            made.pictures[name] = base64.b64decode(output.data[kind])
            return f"![What the cell has drawn]({name})"
    html = output.data.get("text/html", "")
    table = re.search(r"<table[^>]*>(.*)</table>", html, flags=re.DOTALL)
    if table:  # without a class of its own it looks like the other tables of the site
        return f"<table>{table[1]}</table>"
    return _block(output.data.get("text/plain", ""))


def _block(text: str) -> str:
    """Text as it was printed."""
    return f"```text\n{text.rstrip()}\n```"
