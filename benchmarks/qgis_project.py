"""Open a QGIS project, say as JSON what QGIS made of it, and render it as it opens to a PNG.

Needs the Python that QGIS brings, not geocobot's:

    QT_QPA_PLATFORM=offscreen /usr/bin/python3 benchmarks/qgis_project.py roads.qgz --png roads.png
"""

from __future__ import annotations

import argparse
import json
import sys

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor


def main() -> int:
    """Return 0 if the project opens without a warning and all its layers are valid."""
    options = _parse()
    QgsApplication.setPrefixPath("/usr", True)
    app = QgsApplication([], False)
    app.initQgis()
    said: list[str] = []
    QgsApplication.messageLog().messageReceived.connect(
        lambda text, tag, level: said.append(f"{tag}: {text}") if level else None
    )
    try:
        facts = _open(options, said)
    finally:
        app.exitQgis()
    print(json.dumps(facts, indent=2))
    return 0 if facts["read"] and not said and all(la["valid"] for la in facts["layers"]) else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project")
    parser.add_argument("--png", help="picture to write")
    parser.add_argument("--style", help="style of the topmost layer to switch to")
    parser.add_argument("--show", help="title of a hidden layer to show as well")
    parser.add_argument("--size", type=int, default=1000, help="width and height in pixels")
    return parser.parse_args()


def _open(options: argparse.Namespace, said: list[str]) -> dict[str, object]:
    """Read the project, and look at its layers in their order."""
    project = QgsProject.instance()
    view: list[object] = []
    project.readProject.connect(lambda document: view.append(_extent(document)))
    is_read = project.read(options.project)
    root = project.layerTreeRoot()
    nodes = root.findLayers()
    if options.style:
        nodes[0].layer().styleManager().setCurrentStyle(options.style)
    for node in nodes:
        if node.name() == options.show:
            node.setItemVisibilityChecked(True)
    if options.png:
        _render([node.layer() for node in nodes if node.isVisible()], project, view[0], options)
    return {
        "qgis": Qgis.QGIS_VERSION,
        "read": is_read,
        "title": project.title(),
        "crs": project.crs().authid() or project.crs().description(),
        "extent": view[0].extent().toString(6),
        "layers": [_facts(node) for node in nodes],
        "said": said,
    }


def _extent(document: object) -> QgsMapSettings:
    """What the map shows at first."""
    settings = QgsMapSettings()
    settings.readXml(document.elementsByTagName("mapcanvas").at(0))  # type: ignore[attr-defined]
    return settings


def _facts(node: object) -> dict[str, object]:
    """One layer, as it is listed."""
    layer = node.layer()  # type: ignore[attr-defined]
    facts = {
        "name": node.name(),  # type: ignore[attr-defined]
        "visible": node.isVisible(),  # type: ignore[attr-defined]
        "valid": layer is not None and layer.isValid(),
    }
    if not facts["valid"]:
        return facts
    metadata = layer.metadata()
    facts |= {
        "crs": layer.crs().authid() or layer.crs().description(),
        "styles": layer.styleManager().styles(),
        "current": layer.styleManager().currentStyle(),
        "renderer": layer.renderer().type() if layer.renderer() else None,
        "history": metadata.history(),
        "licenses": metadata.licenses(),
    }
    if isinstance(layer, QgsVectorLayer):
        facts["features"] = layer.featureCount()
        facts["aliases"] = {f.name(): f.alias() for f in layer.fields() if f.alias()}
        facts["labels"] = layer.labelsEnabled()
    elif isinstance(layer, QgsRasterLayer):
        facts["bands"] = layer.renderer().usesBands()
    return facts


def _render(
    layers: list[object], project: QgsProject, view: QgsMapSettings, options: argparse.Namespace
) -> None:
    """Draw the visible layers, the first on top."""
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(project.crs())
    settings.setEllipsoid(project.ellipsoid())
    settings.setTransformContext(project.transformContext())
    settings.setBackgroundColor(QColor("white"))
    settings.setOutputSize(QSize(options.size, options.size))
    settings.setExtent(view.extent())
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(options.png)


if __name__ == "__main__":
    sys.exit(main())
