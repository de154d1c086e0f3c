"""Layers of a QGIS project: where their data lie, and how they look."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from pyproj import CRS

from geocobot.io.remote import is_remote
from geocobot.secrecy import without_secrets

_URL = re.compile(r"https?://|ftp://")
_DRIVE_PATH = re.compile(r"/vsi|[a-z0-9]+:(?![\\/])", re.IGNORECASE)
_GEOMETRY_KINDS = {"0": "Point", "1": "Line", "2": "Polygon"}


@dataclass(frozen=True)
class ProjectLayer:
    """One layer of a project.

    Attributes:
        title: as QGIS shows it.
        source: file name, URL or GDAL name.
        crs: of its data.
        styles: by their names, the one in force first; of a raster the first one counts.
        layer: its name in a vector file of several; None in others.
        metadata: see `metadata_of`; None for nothing.
        visible: whether it is shown at first.
        is_vector: whether it holds features.
    """

    title: str
    source: str
    crs: CRS
    styles: Mapping[str, Element]
    layer: str | None = None
    metadata: Element | None = field(default=None, repr=False)
    visible: bool = True
    is_vector: bool = False

    @property
    def provider(self) -> str:
        """QGIS' name of what reads it."""
        return "ogr" if self.is_vector else "gdal"

    @property
    def is_secret(self) -> bool:
        """Whether its address holds a password or a token, which belongs in no file."""
        return without_secrets(self.source) != self.source

    def source_from(self, folder: Path) -> str:
        """Where its data lie, seen from the project's folder."""
        place = _place(self.source, folder)
        return f"{place}|layername={self.layer}" if self.layer is not None else place

    def element(self, identity: str, folder: Path) -> Element:
        """The layer as a project holds it.

        Args:
            identity: its id in the project.
            folder: of the project.
        """
        kind = "vector" if self.is_vector else "raster"
        root = Element("maplayer", type=kind, styleCategories="AllStyleCategories")
        SubElement(root, "id").text = identity
        SubElement(root, "datasource").text = self.source_from(folder)
        SubElement(root, "layername").text = self.title
        SubElement(root, "srs").append(crs_element(self.crs))
        if self.metadata is not None:
            root.append(self.metadata)
        provider = SubElement(root, "provider")
        provider.text = self.provider
        first = next(iter(self.styles))
        if self.is_vector:
            provider.set("encoding", "UTF-8")
            root.set(
                "geometry", _GEOMETRY_KINDS[self.styles[first].findtext("layerGeometryType", "2")]
            )
            root.set("labelsEnabled", self.styles[first].get("labelsEnabled", "0"))
        manager = SubElement(root, "map-layer-style-manager", current=first)
        for name, style in self.styles.items():
            entry = SubElement(manager, "map-layer-style", name=name)
            if name != first:
                entry.append(style)
        root.extend(self.styles[first])
        return root


def _place(source: str, folder: Path) -> str:
    """Where a file lies seen from a folder; URLs and names of GDAL's as QGIS needs them."""
    if _URL.match(source):
        return f"/vsicurl/{source}"
    if is_remote(source) or _DRIVE_PATH.match(source):
        return source
    absolute = Path(source).resolve()
    try:
        relative = Path(os.path.relpath(absolute, folder.resolve())).as_posix()
    except ValueError:  # another drive
        return absolute.as_posix()
    return relative if relative.startswith("../") else f"./{relative}"


def crs_element(crs: CRS) -> Element:
    """A CRS as QGIS holds it: by its code where it has one, else by its definition."""
    root = Element("spatialrefsys", nativeFormat="Wkt")
    authority = crs.to_authority(min_confidence=100)
    texts = {
        "wkt": crs.to_wkt("WKT2_2019"),
        "srsid": "0",
        "srid": authority[1] if authority and authority[0] == "EPSG" else "0",
        "authid": ":".join(authority) if authority else "",
        "description": crs.name,
        "geographicflag": "true" if crs.is_geographic else "false",
    }
    for tag, text in texts.items():
        SubElement(root, tag).text = text
    return root
