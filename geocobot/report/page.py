"""A page of HTML that needs no other file: style, headings, tables, remarks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, TypeAlias

from geocobot.secrecy import without_secrets

Level: TypeAlias = Literal["stop", "warning", "note"]
"""How much a remark matters, the most important first."""

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: #1d2730;
  background: #fff; margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 0.5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 0.6rem; padding-top: 0.6rem;
  border-top: 1px solid #d8dee3; }
h3 { font-size: 1rem; margin: 1.4rem 0 0.4rem; }
p { max-width: 46rem; }
.lead { font-size: 1.1rem; }
.quiet, figcaption { color: #55626e; font-size: 0.9rem; }
nav { margin: 1rem 0; display: flex; flex-wrap: wrap; gap: 0.2rem 1rem; font-size: 0.9rem; }
a { color: #00588f; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: 0.25rem 1.1rem 0.25rem 0; vertical-align: top; }
thead th { border-bottom: 1px solid #9aa7b2; font-weight: 600; }
tbody th { font-weight: 600; }
td { overflow-wrap: anywhere; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.finding { border-left: 5px solid; padding: 0.4rem 0.9rem; margin: 0.6rem 0; max-width: 46rem;
  overflow-wrap: anywhere; }
.stop { border-color: #c0392b; background: #fbeae8; }
.warning { border-color: #d68910; background: #fdf3e3; }
.note { border-color: #7f8c8d; background: #f2f4f4; }
pre { background: #f2f4f4; padding: 0.8rem; white-space: pre-wrap; overflow-wrap: anywhere; }
figure { margin: 1rem 0; break-inside: avoid; }
img, svg { max-width: 100%; height: auto; }
.charts { display: flex; flex-wrap: wrap; gap: 1rem 2rem; }
.charts figure { flex: 1 1 19rem; max-width: 30rem; margin: 0; }
.swatch { display: inline-block; width: 0.8em; height: 0.8em; margin-right: 0.4em; }
.swipe { position: relative; --cut: 50%; max-width: 40rem; }
.swipe img { display: block; width: 100%; }
.swipe .over { position: absolute; inset: 0 0 auto 0; clip-path: inset(0 0 0 var(--cut)); }
.swipe .edge { position: absolute; top: 0; bottom: 2rem; left: var(--cut); width: 2px;
  background: #fff; box-shadow: 0 0 3px #000; }
.swipe input { width: 100%; height: 2rem; margin: 0; display: block; }
@media print {
  body { font-size: 11pt; max-width: none; padding: 0; }
  nav, .swipe input, .swipe .edge { display: none; }
  .swipe { display: flex; gap: 0.5rem; max-width: none; }
  .swipe img { width: 49%; }
  .swipe .over { position: static; clip-path: none; }
  pre { columns: 2; font-size: 8pt; }
  details::details-content { content-visibility: visible; block-size: auto; }
  h2, h3 { break-after: avoid; }
}
"""

_LEVELS: dict[Level, str] = {"stop": "Stop", "warning": "Warning", "note": "Note"}


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        title: its heading.
        body: what stands below it, as HTML.
    """

    title: str
    body: str


def write_page(title: str, lead: str, sections: Sequence[Section], *, contents: bool = True) -> str:
    """Write a page.

    Args:
        title: headline, and name of the page.
        lead: what stands below it, as HTML.
        sections: the rest, those without a body left out.
        contents: whether the sections are listed above them.
    """
    sections = [section for section in sections if section.body]
    name = _shown(title)
    parts = [f"<h1>{name}</h1>", lead]
    if contents:
        links = (f'<a href="#{_anchor(s.title)}">{_shown(s.title)}</a>' for s in sections)
        parts.append(f"<nav>{' '.join(links)}</nav>")
    parts += [
        f'<h2 id="{_anchor(section.title)}">{_shown(section.title)}</h2>\n{section.body}'
        for section in sections
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def finding(level: Level, text: str) -> str:
    """A remark, colored by how much it matters."""
    return f'<div class="finding {level}"><b>{_LEVELS[level]}.</b> {_shown(text)}</div>'


def paragraph(text: str, style: str = "") -> str:
    """A paragraph of plain text."""
    return f"<p{_class(style)}>{_shown(text)}</p>"


def points(texts: Sequence[str]) -> str:
    """A list of plain texts; nothing of none."""
    items = "".join(f"<li>{_shown(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def facts(rows: Mapping[str, str]) -> str:
    """Facts in two columns; nothing of none."""
    lines = "".join(f"<tr><th>{_shown(k)}</th><td>{_shown(v)}</td></tr>" for k, v in rows.items())
    return _table(f"<tbody>{lines}</tbody>") if rows else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of plain texts, the first of each row its name; nothing of no row."""
    if not rows:
        return ""
    top = "".join(f"<th>{_shown(text)}</th>" for text in head)
    lines = "".join(
        f"<tr><th>{_shown(name)}</th>"
        + "".join(f'<td class="number">{_shown(text)}</td>' for text in cells)
        + "</tr>"
        for name, *cells in rows
    )
    return _table(f"<thead><tr>{top}</tr></thead><tbody>{lines}</tbody>")


def swatch(color: str) -> str:
    """A square of a color."""
    return f'<span class="swatch" style="background:{_shown(color)}"></span>'


def figure(content: str, caption: str) -> str:
    """A picture or a chart with what it shows."""
    return f"<figure>{content}<figcaption>{_shown(caption)}</figcaption></figure>"


def charts(figures: Sequence[str]) -> str:
    """Figures beside each other where there is room; nothing of none."""
    return f'<div class="charts">{"".join(figures)}</div>' if figures else ""


def folded(title: str, body: str) -> str:
    """What is seen when asked for."""
    return f"<details><summary>{_shown(title)}</summary>{body}</details>"


def code(text: str) -> str:
    """Text as it stands in a file or a terminal."""
    return f"<pre>{_shown(text)}</pre>"


def _shown(text: str) -> str:
    """A text as it stands on a page: no part of it is markup, and no password or token is there."""
    return escape(without_secrets(text))


def _table(content: str) -> str:
    """A table that may be wider than a phone."""
    return f'<div class="wide"><table>{content}</table></div>'


def _class(name: str) -> str:
    """An element's class, if it has one."""
    return f' class="{name}"' if name else ""


def _anchor(title: str) -> str:
    """What a heading is linked by."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
