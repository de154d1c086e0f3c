"""Open a vector result in QGIS, say as JSON what QGIS made of it, and render it to a PNG.

Needs the Python that QGIS brings, not geocobot's:

    QT_QPA_PLATFORM=offscreen /usr/bin/python3 benchmarks/qgis_open.py result.gpkg \
        --raster scene.tif --png result.png
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
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor


def main() -> int:
    """Return 0 if QGIS opens the file without a question, as a valid layer with a legend."""
    options = _parse()
    QgsApplication.setPrefixPath("/usr", True)
    app = QgsApplication([], False)
    app.initQgis()
    try:
        facts = _open(options)
    finally:
        app.exitQgis()
    print(json.dumps(facts, indent=2))
    return 0 if facts["valid"] and facts["renderer"] == "categorizedSymbol" else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vector")
    parser.add_argument("--raster", help="scene to draw below")
    parser.add_argument("--png", help="picture to write")
    parser.add_argument("--zoom", type=float, default=1.0, help="show 1/zoom of the extent")
    parser.add_argument("--size", type=int, default=1200, help="width and height in pixels")
    return parser.parse_args()


def _open(options: argparse.Namespace) -> dict[str, object]:
    """Open the file as a drag into the map would, and look at it."""
    sublayers = QgsProviderRegistry.instance().querySublayers(options.vector)
    layer = QgsVectorLayer(options.vector, "result", "ogr")
    renderer = layer.renderer()
    is_categorized = renderer is not None and renderer.type() == "categorizedSymbol"
    facts: dict[str, object] = {
        "qgis": Qgis.QGIS_VERSION,
        "sublayers": [{"name": s.name(), "features": s.featureCount()} for s in sublayers],
        "valid": layer.isValid(),
        "crs": layer.crs().authid() or layer.crs().description(),
        "features": layer.featureCount(),
        "fields": [f.name() for f in layer.fields()],
        "renderer": renderer.type() if renderer else None,
        "categories": _categories(renderer) if is_categorized else {},
        "encloses": layer.extent().toString(6),
    }
    if options.png:
        layers = [layer]
        if options.raster:
            layers.append(QgsRasterLayer(options.raster, "scene"))
            facts["raster_valid"] = layers[-1].isValid()
        _render(layers, options)
    return facts


def _categories(renderer: object) -> dict[str, str]:
    """Legend: class name and fill color."""
    return {
        c.value(): c.symbol().color().name(QColor.HexArgb)
        for c in renderer.categories()  # type: ignore[attr-defined]
    }


def _render(layers: list[object], options: argparse.Namespace) -> None:
    """Draw the layers, the first on top."""
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(layers[-1].crs())  # type: ignore[attr-defined]
    settings.setBackgroundColor(QColor("white"))
    settings.setOutputSize(QSize(options.size, options.size))
    extent = QgsRectangle(layers[-1].extent())  # type: ignore[attr-defined]
    extent.scale(1 / options.zoom)
    settings.setExtent(extent)
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(options.png)


if __name__ == "__main__":
    sys.exit(main())
