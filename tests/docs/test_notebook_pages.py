"""Notebooks become pages of the site."""

from __future__ import annotations

import base64
from pathlib import Path
from types import ModuleType

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output


def test_words_code_and_outputs_follow_each_other(
    notebook_pages: ModuleType, tmp_path: Path
) -> None:
    html = '<style>\n\n</style><table border="1" class="dataframe">\n<tr></tr>\n</table>'
    table = {"text/html": html, "text/plain": "a"}
    picture = {"image/jpeg": base64.b64encode(b"\xff\xd8 drawn").decode("ascii")}
    outputs = [
        new_output("stream", name="stdout", text="IoU 0.8\n"),
        new_output("display_data", data=picture),
        new_output("execute_result", data=table),
        new_output("execute_result", data={"text/plain": "42"}),
    ]
    words = new_markdown_cell("# Roads\n\nWords, with `docs/labels.md`.")
    code = new_code_cell("print(1)", execution_count=1, outputs=outputs)
    nbformat.write(new_notebook(cells=[words, code]), tmp_path / "roads.ipynb")

    (made,) = notebook_pages.notebook_pages(tmp_path)
    assert made.page == "notebooks/roads.md"
    assert made.pictures == {"roads_1.jpg": b"\xff\xd8 drawn"}
    title, _, rest = made.text.partition("\n")
    assert title == "# Roads"
    assert [part for part in rest.split("\n\n") if part][1:] == [
        "Words, with `docs/labels.md`.",
        "```python\nprint(1)\n```",
        "```text\nIoU 0.8\n```",
        "![What the cell has drawn](roads_1.jpg)",
        "<table>\n<tr></tr>\n</table>",
        "```text\n42\n```\n",
    ]


def test_the_quickstart_comes_first(notebook_pages: ModuleType) -> None:
    names = [made.name for made in notebook_pages.notebook_pages()]
    assert names == ["quickstart", *sorted(set(names) - {"quickstart"})]
