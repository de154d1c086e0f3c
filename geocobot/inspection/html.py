"""The page of `geocobot check`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from geocobot.inspection.findings import Finding
from geocobot.inspection.labels import ClassFacts
from geocobot.inspection.sketch import Layer, draw, legend
from geocobot.report.page import Section, code, facts, finding, swatch, write_page
from geocobot.report.pictures import image, png


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


def page_of(page: Page) -> str:
    """Write a report as HTML."""
    sketch = draw(page.layers)
    picture = page.picture
    sections = [
        Section("Next", "" if page.command is None else code(page.command)),
        Section("Classes", _class_table(page.classes)),
        Section("Map", f"<p>{legend(page.layers)}</p>{sketch}" if sketch else ""),
        Section("Places", "" if picture is None else image(png(picture), "places with labels")),
        *(Section(name, facts(rows)) for name, rows in page.tables.items()),
    ]
    lead = "\n".join(finding(f.level, f.text) for f in page.findings)
    return write_page(page.title, lead, sections, contents=False)


def _class_table(classes: Sequence[ClassFacts]) -> str:
    """Classes with their colors; nothing where nobody has counted."""
    lines = [
        f"<tr><th>{swatch(c.color) if c.color else ''}{escape(c.name)}</th>"
        f"<td>{escape(c.in_words())}</td></tr>"
        for c in classes
    ]
    return f"<table>{''.join(lines)}</table>" if lines else ""
