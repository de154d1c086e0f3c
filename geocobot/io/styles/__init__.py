"""How results look in QGIS, and what they say of themselves: styles, aliases, metadata."""

from geocobot.io.styles.geopackage import embed_metadata, embed_styles, geopackage_layer
from geocobot.io.styles.metadata import Origin, describe, history, metadata_of, metadata_xml
from geocobot.io.styles.raster import class_raster_qml, score_raster_style
from geocobot.io.styles.vector import (
    centerline_qml,
    centerline_style,
    polygon_styles,
    qml_of,
    score_qml,
)

__all__ = [
    "Origin",
    "centerline_qml",
    "centerline_style",
    "class_raster_qml",
    "describe",
    "embed_metadata",
    "embed_styles",
    "geopackage_layer",
    "history",
    "metadata_of",
    "metadata_xml",
    "polygon_styles",
    "qml_of",
    "score_qml",
    "score_raster_style",
]
