"""A QGIS project file (.qgz): a zipped XML document that lists layers and what is shown of them."""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from pyproj import CRS

from geocobot.grid import Bounds
from geocobot.io.qgis.layers import ProjectLayer, crs_element
from geocobot.io.styles.document import QGIS_VERSION, document
from geocobot.io.unfinished import refused

_LOG = logging.getLogger("geocobot.io")

_MARGIN = 0.05
"""Of the result's width and height, left free around it."""

_FIRST_OF_ZIP = (1980, 1, 1, 0, 0, 0)
"""No entry of an archive can be older; a stopped clock may say 1970."""

_UNITS = {"degree": "degrees", "metre": "meters", "US survey foot": "feet", "foot": "feet"}


@dataclass(frozen=True)
class Project:
    """What a project shows.

    Attributes:
        title: in QGIS' window.
        layers: the one on top first.
        crs: of the map.
        bounds: what is seen at first: west, south, east, north in that CRS.
    """

    title: str
    layers: Sequence[ProjectLayer]
    crs: CRS
    bounds: Bounds

    def write(self, file: Path, path: Path, moment: datetime) -> None:
        """Write the project.

        Args:
            file: where to write.
            path: the name that it will get, to which paths are relative.
            moment: when it was made.

        Raises:
            OutputError: it cannot be written.
        """
        made = max(moment.timetuple()[:6], _FIRST_OF_ZIP)
        entry = zipfile.ZipInfo(f"{path.stem}.qgs", made)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        try:
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr(entry, self.xml(path))
        except OSError as error:
            raise refused(path, error) from error

    def xml(self, path: Path) -> str:
        """The document in the archive.

        Args:
            path: name of the project's file, to which paths are relative.
        """
        layers = self._layers_to_name(path)
        folder = path.parent
        ids = _identities(layers)
        root = Element("qgis", version=QGIS_VERSION, projectname=self.title)
        SubElement(root, "homePath", path="")
        SubElement(root, "title").text = self.title
        SubElement(root, "projectCrs").append(crs_element(self.crs))
        tree = SubElement(root, "layer-tree-group")
        for identity, layer in zip(ids, layers, strict=True):
            SubElement(
                tree,
                "layer-tree-layer",
                id=identity,
                name=layer.title,
                source=layer.source_from(folder),
                providerKey=layer.provider,
                checked="Qt::Checked" if layer.visible else "Qt::Unchecked",
                expanded="1" if layer.is_vector else "0",
            )
        root.append(self._canvas())
        described = SubElement(root, "projectlayers")
        described.extend(la.element(i, folder) for i, la in zip(ids, layers, strict=True))
        order = SubElement(root, "layerorder")
        for identity in ids:
            SubElement(order, "layer", id=identity)
        properties = SubElement(root, "properties")
        paths = SubElement(properties, "Paths")
        SubElement(paths, "Absolute", type="bool").text = "false"
        # Without it QGIS does not look at the project's CRS.
        system = SubElement(properties, "SpatialRefSys")
        SubElement(system, "ProjectionsEnabled", type="int").text = "1"
        return document(root)

    def _layers_to_name(self, path: Path) -> list[ProjectLayer]:
        """All layers but those whose address is a secret."""
        named = [layer for layer in self.layers if not layer.is_secret]
        if len(named) < len(self.layers):
            _LOG.warning(
                "%s leaves out the layers whose addresses hold a password or a token: %s.",
                path.name,
                ", ".join(layer.title for layer in self.layers if layer.is_secret),
            )
        return named

    def _canvas(self) -> Element:
        """What is seen at first."""
        west, south, east, north = self.bounds
        margin_x, margin_y = _MARGIN * (east - west), _MARGIN * (north - south)
        canvas = Element("mapcanvas", name="theMapCanvas", annotationsVisible="1")
        unit = self.crs.axis_info[0].unit_name if self.crs.axis_info else ""
        SubElement(canvas, "units").text = _UNITS.get(unit, "unknown")
        extent = SubElement(canvas, "extent")
        for tag, value in (
            ("xmin", west - margin_x),
            ("ymin", south - margin_y),
            ("xmax", east + margin_x),
            ("ymax", north + margin_y),
        ):
            SubElement(extent, tag).text = repr(float(value))
        SubElement(canvas, "rotation").text = "0"
        SubElement(canvas, "destinationsrs").append(crs_element(self.crs))
        return canvas


def _identities(layers: Sequence[ProjectLayer]) -> list[str]:
    """An id for each layer, the same whenever the project is written.

    QGIS replaces those of ten characters and fewer, and no longer finds their layers.
    """
    return [
        f"{re.sub(r'[^a-z0-9]', '_', layer.title.lower()) or 'layer'}_{number:010d}"
        for number, layer in enumerate(layers, start=1)
    ]
