"""Facts about labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from geocobot.classes import BACKGROUND
from geocobot.data.survey import Survey
from geocobot.grid import GeoGrid, geod_of
from geocobot.io.crs import crs_label
from geocobot.io.labels import FeatureLabels, Labels
from geocobot.io.scene import Scene
from geocobot.io.shapes import LINES, POINTS, bounds_in

_KINDS = ("lines", "points", "polygons")
_EQUAL_AREA = "EPSG:6933"  # cylindrical, on WGS 84, true for areas from pole to pole


@dataclass(frozen=True)
class Range:
    """Smallest, middle and largest of some figures."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> Range | None:
        """The range of figures (N,), what is no number left out; None where there are none."""
        values = values[np.isfinite(values)]
        if not len(values):
            return None
        return cls(float(values.min()), float(np.median(values)), float(values.max()))

    def in_words(self, unit: str) -> str:
        """One figure where they are all the same, else all three."""
        if self.least == self.most:
            return f"{self.least:.3g} {unit}"
        return f"{self.least:.3g} to {self.most:.3g} {unit}, half below {self.median:.3g}"


@dataclass(frozen=True)
class ClassFacts:
    """One class, or the background.

    Attributes:
        number: of the class; 0 for the background.
        name: of the class.
        color: as "#rrggbb"; empty for the background.
        features: how many parts of features are labelled so; None for labels that are rasters.
        pixels: labelled so, with data, on all scenes together.
        share: of all labelled pixels, 0 to 1.
        area_m2: on the ground.
    """

    number: int
    name: str
    color: str
    features: int | None
    pixels: int
    share: float
    area_m2: float

    def in_words(self) -> str:
        """What it says."""
        features = "" if self.features is None else f"{self.features:,} features, "
        area = f"{self.area_m2:,.0f} m2" if self.area_m2 < 1e5 else f"{self.area_m2 / 1e6:.3g} km2"
        return f"{features}{self.pixels:,} px, {area}, {self.share:.2%} of what is labelled"


@dataclass(frozen=True)
class FeatureFacts:
    """Labels that are features of vector files; multi-part ones are counted by their parts.

    Attributes:
        crs: in which they are compared: that of the files, degrees where they differ.
        kinds: how many lines, points and polygons there are, of those that there are.
        outside: how many lie on none of the scenes.
        duplicates: how many have the same geometry as one before them.
        widths_m: full widths of lines on the ground.
        lengths_m: of lines, geodesic.
        areas_m2: of polygons on the ellipsoid.
    """

    crs: str
    kinds: dict[str, int]
    outside: int
    duplicates: int
    widths_m: Range | None
    lengths_m: Range | None
    areas_m2: Range | None

    @classmethod
    def of(cls, labels: FeatureLabels, scenes: Sequence[Scene]) -> FeatureFacts:
        """Collect them.

        Args:
            labels: not empty.
            scenes: where they may lie.
        """
        features = labels.features
        shapes = np.asarray(features.geometry.array)
        types = shapely.get_type_id(shapes)
        is_line, is_point = np.isin(types, LINES), np.isin(types, POINTS)
        is_polygon = ~is_line & ~is_point
        counts = dict(zip(_KINDS, (m.sum() for m in (is_line, is_point, is_polygon)), strict=True))
        return cls(
            crs=crs_label(features.crs),
            kinds={kind: int(n) for kind, n in counts.items() if n},
            outside=int((~_on_any(features, [scene.grid for scene in scenes])).sum()),
            duplicates=_duplicates(shapes),
            widths_m=Range.of(2 * features["reach_m"].to_numpy(np.float64)[is_line]),
            lengths_m=Range.of(_lengths_m(features[is_line])),
            areas_m2=Range.of(_areas_m2(features[is_polygon])),
        )

    def rows(self) -> dict[str, str]:
        """What it says, by title."""
        rows = {
            "features": ", ".join(f"{n:,} {kind}" for kind, n in self.kinds.items()),
            "CRS": self.crs,
        }
        ranges = {
            "line widths": (self.widths_m, "m"),
            "line lengths": (self.lengths_m, "m"),
            "polygon areas": (self.areas_m2, "m2"),
        }
        rows |= {title: r.in_words(unit) for title, (r, unit) in ranges.items() if r is not None}
        if self.outside:
            rows["on no scene"] = f"{self.outside:,}"
        if self.duplicates:
            rows["twice"] = f"{self.duplicates:,} have the geometry of another one"
        return rows


def class_facts(
    labels: Labels, grids: Sequence[GeoGrid], surveys: Sequence[Survey]
) -> tuple[ClassFacts, ...]:
    """The background and every class, in the order of their numbers.

    Args:
        labels: of all scenes.
        grids: of the scenes.
        surveys: of the scenes.
    """
    names = {BACKGROUND: ("background", "")} | {c.number: (c.name, c.color) for c in labels.classes}
    pixels = dict.fromkeys(names, 0)
    areas = dict.fromkeys(names, 0.0)
    for grid, survey in zip(grids, surveys, strict=True):
        for number, count in zip(survey.class_numbers, survey.totals.tolist(), strict=True):
            pixels[number] += count
            areas[number] += count * grid.ground_pixel_m2
    total = max(1, sum(pixels.values()))
    features = _features_by_class(labels)
    return tuple(
        ClassFacts(
            number=number,
            name=name,
            color=color,
            features=None if features is None or number == BACKGROUND else features.get(number, 0),
            pixels=pixels[number],
            share=pixels[number] / total,
            area_m2=areas[number],
        )
        for number, (name, color) in names.items()
    )


def _features_by_class(labels: Labels) -> dict[int, int] | None:
    """Number of features by class; None for labels that have none."""
    if not isinstance(labels, FeatureLabels):
        return None
    numbers, counts = np.unique(labels.features["class_number"].to_numpy(), return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def _areas_m2(features: gpd.GeoDataFrame) -> npt.NDArray[np.float64]:
    """Areas (N,) on the ellipsoid, by an equal-area projection of it."""
    with np.errstate(invalid="ignore"):  # of what PROJ cannot place
        return np.asarray(features.geometry.to_crs(_EQUAL_AREA).area, dtype=np.float64)


def _lengths_m(features: gpd.GeoDataFrame) -> npt.NDArray[np.float64]:
    """Geodesic lengths (N,) of lines; of other kinds, of their outlines."""
    degrees = features.geometry.to_crs("EPSG:4326")
    xy, owner = shapely.get_coordinates(np.asarray(degrees.array), return_index=True)
    together = owner[1:] == owner[:-1]
    start, end = xy[:-1][together], xy[1:][together]
    _, _, steps = geod_of(degrees.crs).inv(*start.T, *end.T)
    lengths = np.bincount(owner[1:][together], weights=steps, minlength=len(features))
    return np.asarray(lengths, dtype=np.float64)


def _on_any(features: gpd.GeoDataFrame, grids: Sequence[GeoGrid]) -> npt.NDArray[np.bool_]:
    """Which features (N,) meet the extent of one of the grids."""
    found = np.zeros(len(features), dtype=np.bool_)
    shapes = np.asarray(features.geometry.array)
    for grid in grids:
        bounds = bounds_in(grid.bounds, grid.crs, features.crs)
        if bounds is not None:
            found |= shapely.intersects(shapes, shapely.box(*bounds))
    return found


def _duplicates(shapes: npt.NDArray[np.object_]) -> int:
    """How many geometries (N,) were there before, whatever vertex they begin with."""
    same = shapely.to_wkb(shapely.normalize(shapes))
    return len(same) - len(set(same.tolist()))
