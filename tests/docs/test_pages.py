"""What the pages say of commands, files and each other is so."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml

import geocobot
from geocobot.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md"))
WITH_COMMANDS = [*PAGES, ROOT / "README.md"]
# Flags of other programs that the pages name.
FOREIGN = {
    "--kill-on-bad-exit",
    "--nnodes",
    "--nproc-per-node",
    "--rdzv-backend",
    "--rdzv-endpoint",
    "--rdzv-id",
    "--gpus-per-node",
    "--gpus-per-task",
    "--no-build-isolation",
}


def flags_of(command: Any) -> set[str]:
    """Every flag that a command, or any below it, takes."""
    own = {flag for p in command.params for flag in [*p.opts, *p.secondary_opts]}
    below = getattr(command, "commands", {}).values()
    return own.union(*map(flags_of, below)) | {"--help", "-h"}


def said_commands(path: Path) -> Iterator[list[str]]:
    """Words of every geocobot command in the blocks of code of a page."""
    text = path.read_text(encoding="utf-8")
    for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if "geocobot" in words:
                yield words[words.index("geocobot") + 1 :]


@pytest.mark.parametrize("path", WITH_COMMANDS, ids=lambda path: path.name)
def test_commands_in_blocks_of_code_are_understood(path: Path) -> None:
    root = typer.main.get_command(app)
    for words in said_commands(path):
        command: Any = root
        while words and hasattr(command, "commands"):
            assert words[0] in {*command.commands, "--version"}, words
            command = command.commands.get(words.pop(0), command)
        said = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert said <= flags_of(command), said - flags_of(command)


@pytest.mark.parametrize("path", WITH_COMMANDS, ids=lambda path: path.name)
def test_flags_in_the_text_are_those_of_a_command(path: Path) -> None:
    known = flags_of(typer.main.get_command(app)) | FOREIGN
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    said = set(re.findall(r"`(--[a-z][a-z-]+)", text))
    assert said <= known, said - known


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_and_pictures_lead_somewhere(path: Path) -> None:
    written = {"reference", "benchmarks.md", "changelog.md", "contributing.md"}
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if not link.startswith(("http", "\\")):
            target = (path.parent / link).resolve()
            by_a_hook = target.is_relative_to(DOCS) and target.relative_to(DOCS).parts[0] in written
            assert by_a_hook or target.exists(), link


def test_the_navigation_names_pages_that_are_there_once() -> None:
    named = re.findall(r"[\w/-]+\.md", yaml.dump(site()["nav"]))
    written = {"reference/index.md", "reference/python.md"}
    written |= {"benchmarks.md", "changelog.md", "contributing.md"}
    assert set(named) <= {str(path.relative_to(DOCS)) for path in PAGES} | written
    assert len(named) == len(set(named))


def site() -> dict[str, Any]:
    """The site's configuration."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("name", ["relation", "site", "weights", "rows"])
def test_drawings_are_those_of_the_code(drawings: ModuleType, name: str) -> None:
    drawn = (DOCS / f"drawings/{name}.svg").read_text(encoding="utf-8")
    assert "\n".join(getattr(drawings, name)()) in drawn


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert citation["version"] == geocobot.__version__
    page = (DOCS / "citing.md").read_text(encoding="utf-8")
    assert f"version = {{{geocobot.__version__}}}" in page
    for paper in citation["references"]:
        assert paper["title"] in page
        assert f"{paper['start']}--{paper['end']}" in page
        for author in paper["authors"]:
            family = author["family-names"].replace("á", r"{\'a}")
            assert f"{family}, {author['given-names']}" in page


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_needs_no_network(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=300)
    pages = sorted(tmp_path.rglob("*.html"))
    assert {"index.html", "train.html", "models-show.html"} <= {page.name for page in pages}
    home = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert [
        page.stem
        for page in PAGES
        if f'href="{page.relative_to(DOCS).with_suffix(".html")}"' not in home
    ] == []
    for page in pages:
        # What a browser fetches by itself; links are for people.
        fetched = re.sub(r"<a\b[^>]*>", "", page.read_text(encoding="utf-8"))
        assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", fetched), page
    for sheet in tmp_path.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet
