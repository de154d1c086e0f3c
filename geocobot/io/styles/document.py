"""The XML that QGIS reads: documents, and the nested options in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, tostring

QGIS_VERSION = "3.22"
"""Oldest QGIS that has to read what is written."""

# Control characters but tab and line ends, which no XML can hold.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def style_root(*categories: str) -> Element:
    """The outermost element of a style.

    Args:
        categories: the parts of a layer's properties that the style sets.
    """
    return Element("qgis", version=QGIS_VERSION, styleCategories="|".join(categories))


def document(root: Element) -> str:
    """A style, a project or metadata as the text of a file."""
    text = _NOT_IN_XML.sub("\ufffd", tostring(root, encoding="unicode"))
    return f"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n{text}\n"


def add_options(parent: Element, values: Iterable[tuple[str, str]]) -> Element:
    """Add a map of named texts, as symbol layers hold them."""
    options = SubElement(parent, "Option", type="Map")
    for name, value in values:
        SubElement(options, "Option", name=name, type="QString", value=value)
    return options
