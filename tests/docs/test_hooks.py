from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


def completed(hooks: ModuleType, docs: Path) -> list[Any]:
    """A small navigation after the hook."""
    nav = [
        {"Home": "index.md"},
        {"In detail": [{"Labels": "labels.md"}]},
        {"Reference": [{"Commands": "reference/index.md"}]},
    ]
    config = SimpleNamespace(docs_dir=str(docs), nav=nav)
    hooks.on_config(config)
    return config.nav


def test_commands_are_named_in_the_navigation(hooks: ModuleType, tmp_path: Path) -> None:
    reference = completed(hooks, tmp_path)[2]["Reference"]
    assert reference[0]["Commands"][:2] == [
        "reference/index.md",
        {"geocobot train": "reference/train.md"},
    ]


def test_pages_without_a_place_stand_in_the_last_section(hooks: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "howto").mkdir()
    for name in ("index.md", "labels.md", "new.md", "howto/mow.md"):
        (tmp_path / name).touch()
    detail = completed(hooks, tmp_path)[1]["In detail"]
    assert detail == [{"Labels": "labels.md"}, "howto/mow.md", "new.md"]


@pytest.mark.parametrize(
    ("here", "said", "shown"),
    [
        ("scale.md", "see `docs/labels.md`.", "see [All about labels](labels.md)."),
        ("howto/qgis.md", "see `labels.md`.", "see [All about labels](../labels.md)."),
        ("scale.md", "in [`labels.md`](labels.md)", "in [`labels.md`](labels.md)"),
        ("labels.md", "this is `docs/labels.md`", "this is `docs/labels.md`"),
        ("scale.md", "`docs/nowhere.md`", "`docs/nowhere.md`"),
        ("scale.md", "[how](../benchmarks/README.md#a)", "[how](benchmarks.md#a)"),
        (
            "howto/qgis.md",
            "`notebooks/roads.ipynb`",
            "[`notebooks/roads.ipynb`](../notebooks/roads.md)",
        ),
        ("howto/qgis.md", "`benchmarks/README.md`", "[Benchmarks](../benchmarks.md)"),
    ],
)
def test_names_of_files_become_links(hooks: ModuleType, here: str, said: str, shown: str) -> None:
    texts = {"labels.md": "# All about labels\n", "benchmarks.md": "# Benchmarks\n"}
    pages = {name: SimpleNamespace(content_string=text) for name, text in texts.items()}
    files = SimpleNamespace(get_file_from_path=pages.get)
    page = SimpleNamespace(file=SimpleNamespace(src_uri=here))
    assert hooks.on_page_markdown(said, page=page, config=None, files=files) == shown
