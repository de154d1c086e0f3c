"""What MkDocs does beyond turning the pages in docs/ into a site."""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, relpath
from typing import Any

from command_pages import all_commands, command_page, overview
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from notebook_pages import notebook_pages
from python_page import python_page

ROOT = Path(__file__).resolve().parents[2]

# Files that live elsewhere because that is where people look for them, and their pages.
ELSEWHERE = {
    "benchmarks/README.md": "benchmarks.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}


OVERVIEW_PAGE = "reference/index.md"
NOTEBOOKS_PAGE = "notebooks.md"
LAST_SECTION = "In detail"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Complete the navigation: pages of commands, notebooks, and pages that it does not name."""
    entries = _entries(config.nav)
    named = {entry[title] for title, entry in entries if isinstance(entry[title], str)}
    pages = [p.relative_to(config.docs_dir).as_posix() for p in Path(config.docs_dir).rglob("*.md")]
    commands = [OVERVIEW_PAGE, *({f"geocobot {c.path}": c.page} for c in all_commands())]
    notebooks = [NOTEBOOKS_PAGE, *(made.page for made in notebook_pages())]
    for title, entry in entries:
        if entry[title] == OVERVIEW_PAGE:
            entry[title] = commands
        elif entry[title] == NOTEBOOKS_PAGE:
            entry[title] = notebooks
        elif title == LAST_SECTION:
            entry[title] += sorted(set(pages) - named)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are written from code, and those that live elsewhere."""
    commands = all_commands()
    written = {OVERVIEW_PAGE: overview(commands), "reference/python.md": python_page()}
    written |= {command.page: command_page(command) for command in commands}
    for source, page in ELSEWHERE.items():
        written[page] = (ROOT / source).read_text(encoding="utf-8")
    for made in notebook_pages():
        written[made.page] = made.text
        for name, picture in made.pictures.items():
            files.append(File.generated(config, f"{dirname(made.page)}/{name}", content=picture))
    for page, text in written.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: object) -> str:
    """Let links and names of files lead to pages of the site."""
    for source, target in ELSEWHERE.items():
        markdown = markdown.replace(f"](../{source}", f"]({_way(page, target)}")
    markdown = re.sub(
        r"`(notebooks/\w+)\.ipynb`",
        lambda found: f"[{found[0]}]({_way(page, f'{found[1]}.md')})",
        markdown,
    )
    return re.sub(
        r"(?<!\[)`(?:docs/)?([\w/-]+\.md)`",
        lambda found: _as_link(found, page, files),
        markdown,
    )


def _entries(nav: Any) -> list[tuple[str, dict[str, Any]]]:
    """Titles of the navigation with the dictionaries that they stand in."""
    found = []
    for entry in nav or []:
        if isinstance(entry, dict):
            for title, below in entry.items():
                found.append((title, entry))
                if isinstance(below, list):
                    found += _entries(below)
    return found


def _as_link(found: re.Match[str], page: Page, files: Files) -> str:
    """The name of a file as a link, where the site has a page of it."""
    name = ELSEWHERE.get(found[1], found[1])
    target = files.get_file_from_path(name)
    if target is None or name == page.file.src_uri:
        return found[0]
    return f"[{_title(target)}]({_way(page, name)})"


def _title(target: File) -> str:
    """The first heading of a page."""
    first = re.search(r"^# (.+)$", target.content_string, flags=re.MULTILINE)
    return first[1] if first else target.name


def _way(page: Page, target: str) -> str:
    """The path from one page to another."""
    return relpath(target, dirname(page.file.src_uri) or ".")
