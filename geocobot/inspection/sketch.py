"""Where scenes, labels and validation blocks lie, as a drawing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import geopandas as gpd
import numpy as np
import shapely
from pyproj import CRS

from geocobot.grid import GeoGrid
from geocobot.io.labels import FeatureLabels, Labels

_SIDE_PX = 640
_RIM_PX = 12
_MOST_FEATURES = 3000
_WGS84 = CRS.from_epsg(4326)
_COLUMN_DEGREES = 0.9999  # of latitude, at which the poles' meridians have no width left


@dataclass(frozen=True)
class Layer:
    """Shapes that are drawn alike.

    Attributes:
        title: what they are.
        shapes: in degrees.
        style: SVG's presentation attributes.
    """

    title: str
    shapes: Sequence[shapely.Geometry]
    style: str


def scene_layer(grids: Iterable[GeoGrid]) -> Layer:
    """The extents of scenes."""
    shapes = [_in_degrees([shapely.box(*g.bounds)], g.crs)[0] for g in grids]
    return Layer("scenes", shapes, 'fill="#eef2f5" stroke="#33475b" stroke-width="1.5"')


def block_layer(blocks: Iterable[tuple[GeoGrid, shapely.Geometry]]) -> Layer:
    """Validation blocks, in the CRS of their grid."""
    shapes = [_in_degrees([shape], grid.crs)[0] for grid, shape in blocks]
    return Layer("validation blocks", shapes, 'fill="#0072b2" fill-opacity="0.25" stroke="none"')


def label_layers(labels: Labels, seed: int = 0) -> list[Layer]:
    """Features by class, of many as many as can be told apart; extents of rasters."""
    if not isinstance(labels, FeatureLabels):
        return []
    features = labels.features
    if len(features) > _MOST_FEATURES:
        drawn = np.random.default_rng(seed).choice(len(features), _MOST_FEATURES, replace=False)
        features = features.iloc[np.sort(drawn)]
    layers = []
    for spec in labels.classes:
        own = features[features["class_number"] == spec.number]
        if len(own):
            style = f'fill="{spec.color}" fill-opacity="0.7" stroke="{spec.color}" stroke-width="1"'
            layers.append(Layer(spec.name, _in_degrees(own.geometry, own.crs), style))
    return layers


def draw(layers: Sequence[Layer]) -> str:
    """Draw layers above each other as SVG, north up, lengths in both directions alike."""
    shapes = [s for layer in layers for s in layer.shapes if not s.is_empty]
    if not shapes:
        return ""
    west, south, east, north = shapely.total_bounds(np.array(shapes, dtype=object)).tolist()
    middle = math.radians(max(-89.0, min(89.0, (south + north) / 2)))
    stretch = max(1 - _COLUMN_DEGREES, math.cos(middle))
    wide, high = (east - west) * stretch, north - south
    scale = (_SIDE_PX - 2 * _RIM_PX) / max(wide, high, 1e-12)
    width, height = (round(side * scale) + 2 * _RIM_PX for side in (wide, high))

    def place(points: np.ndarray) -> np.ndarray:
        x = _RIM_PX + (points[:, 0] - west) * stretch * scale
        y = _RIM_PX + (north - points[:, 1]) * scale
        return np.column_stack([x, y])

    groups = [
        f"<g {layer.style}><title>{escape(layer.title)}</title>"
        + "".join(_element(shapely.transform(s, place)) for s in layer.shapes)
        + "</g>"
        for layer in layers
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">{"".join(groups)}</svg>'
    )


def legend(layers: Sequence[Layer]) -> str:
    """What is drawn how, as HTML."""
    return " ".join(
        f'<svg width="14" height="14"><rect width="14" height="14" {layer.style}/></svg> '
        f"{escape(layer.title)}"
        for layer in layers
    )


def _in_degrees(shapes: Iterable[shapely.Geometry], crs: CRS) -> list[shapely.Geometry]:
    """Shapes of a CRS in degrees; what PROJ cannot place is left out."""
    moved = gpd.GeoSeries(list(shapes), crs=crs).to_crs(_WGS84)
    return [
        shape if np.isfinite(shapely.get_coordinates(shape)).all() else shapely.Polygon()
        for shape in moved
    ]


def _element(shape: shapely.Geometry) -> str:
    """A shape in pixels as an element of SVG."""
    if shape.is_empty:
        return ""
    if shape.geom_type == "Point":
        return f'<circle cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="2"/>'
    lines = [f"M{' '.join(f'{x:.1f},{y:.1f}' for x, y in part.coords)}" for part in _rings(shape)]
    filling = ' fill="none"' if "LineString" in shape.geom_type else ' fill-rule="evenodd"'
    return f'<path d="{"".join(lines)}"{filling}/>'


def _rings(shape: shapely.Geometry) -> list[shapely.LineString]:
    """The lines that a shape is drawn with."""
    parts = shapely.get_parts(shape)
    found: list[shapely.LineString] = []
    for part in parts:
        if part.geom_type == "Polygon":
            found += [part.exterior, *part.interiors]
        elif part.geom_type == "LineString":
            found.append(part)
    return found
