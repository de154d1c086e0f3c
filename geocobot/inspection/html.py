"""A report as a page of its own, pictures within."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from geocobot.inspection.findings import Finding
from geocobot.inspection.labels import ClassFacts
from geocobot.inspection.sketch import Layer, draw

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1d2730; margin: 2rem auto; max-width: 60rem;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { text-align: left; padding: 0.2rem 1rem 0.2rem 0;
  vertical-align: top; } th { font-weight: 600; }
.finding { border-left: 5px solid; padding: 0.3rem 0.8rem; margin: 0.5rem 0;
  overflow-wrap: anywhere; }
.stop { border-color: #c0392b; background: #fbeae8; }
.warning { border-color: #d68910; background: #fdf3e3; }
.note { border-color: #7f8c8d; background: #f2f4f4; }
pre { background: #f2f4f4; padding: 0.8rem; white-space: pre-wrap; overflow-wrap: anywhere; }
img, svg { max-width: 100%; height: auto; }
.swatch { display: inline-block; width: 0.8em; height: 0.8em; margin-right: 0.4em; }
"""

_LEVELS = {"stop": "Stop", "warning": "Warning", "note": "Note"}


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a report shows.

    Attributes:
        title: headline.
        findings: what is to be said, most important first.
        tables: rows of facts by title, by headline.
        classes: empty where nobody has counted.
        layers: of the map sketch.
        picture: PNG of places with their labels.
        command: what to do next; None where there is nothing.
    """

    title: str
    findings: Sequence[Finding]
    tables: Mapping[str, Mapping[str, str]]
    classes: Sequence[ClassFacts]
    layers: Sequence[Layer]
    picture: bytes | None
    command: str | None


def write_page(page: Page) -> str:
    """Write a report as HTML."""
    title = escape(page.title)
    parts = [f"<h1>{title}</h1>", *map(_finding, page.findings)]
    if page.command is not None:
        parts.append(f"<h2>Next</h2><pre>{escape(page.command)}</pre>")
    if page.classes:
        parts.append(f"<h2>Classes</h2>{_class_table(page.classes)}")
    sketch = draw(page.layers)
    if sketch:
        parts.append(f"<h2>Map</h2><p>{_legend(page.layers)}</p>{sketch}")
    if page.picture is not None:
        encoded = base64.b64encode(page.picture).decode("ascii")
        parts.append(
            '<h2>Places</h2><img alt="places with their labels" '
            f'src="data:image/png;base64,{encoded}">'
        )
    parts += [
        f"<h2>{escape(name)}</h2>{_table(rows)}" for name, rows in page.tables.items() if rows
    ]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}'
        f"</title><style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _finding(finding: Finding) -> str:
    """A finding as a colored paragraph."""
    level = finding.level
    return f'<div class="finding {level}"><b>{_LEVELS[level]}.</b> {escape(finding.text)}</div>'


def _table(rows: Mapping[str, str]) -> str:
    """Facts in two columns."""
    lines = [f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in rows.items()]
    return f"<table>{''.join(lines)}</table>"


def _class_table(classes: Sequence[ClassFacts]) -> str:
    """Classes with their colors."""
    lines = [
        f"<tr><th>{_swatch(c.color) if c.color else ''}{escape(c.name)}</th>"
        f"<td>{escape(c.in_words())}</td></tr>"
        for c in classes
    ]
    return f"<table>{''.join(lines)}</table>"


def _legend(layers: Sequence[Layer]) -> str:
    """What is drawn how."""
    return " ".join(
        f'<svg width="14" height="14"><rect width="14" height="14" {layer.style}/></svg> '
        f"{escape(layer.title)}"
        for layer in layers
    )


def _swatch(color: str) -> str:
    """A square of a color."""
    return f'<span class="swatch" style="background:{color}"></span>'
