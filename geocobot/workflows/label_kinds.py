"""What the labels of each class are, as far as they lie on scenes: areas, lines or points."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from geocobot.classes import ClassSpec
from geocobot.grid import GeoGrid
from geocobot.io.labels import FeatureLabels
from geocobot.io.misplaced import in_words
from geocobot.io.shapes import neighborhood
from geocobot.workflows.judged import Judged

_LOG = logging.getLogger("geocobot.workflows")


@dataclass(frozen=True)
class LabelKinds:
    """What the labels of each class are, the same for all scenes.

    Attributes:
        flat: classes whose labels are areas, and which are compared as objects.
        drawn: classes with lines.
        widths_m: how wide the lines of each of these are drawn, by number, on average along them.
    """

    flat: tuple[ClassSpec, ...]
    drawn: tuple[ClassSpec, ...] = ()
    widths_m: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def of(cls, judged: Sequence[Judged]) -> LabelKinds:
        """Look at the features on any of the scenes; tell of areas that are not compared."""
        labels, classes = judged[0].labels, judged[0].matching.classes
        if not isinstance(labels, FeatureLabels):
            return cls(classes)
        frame = labels.features
        near = np.any([is_near(frame, one.grid) for one in judged], axis=0)
        frame = frame[near]
        numbers = frame["class_number"].to_numpy()
        dimensions = shapely.get_dimensions(frame.geometry.to_numpy())
        areas, lines, thin = (
            set(numbers[chosen].tolist())
            for chosen in (dimensions == 2, dimensions == 1, dimensions < 2)
        )
        mixed = [spec.name for spec in classes if spec.number in areas & thin]
        if mixed:
            _LOG.warning(
                "%s has lines or points beside polygons of class %s, whose objects are not "
                "compared for that reason. Choose features with --where, or widen lines and points "
                "in QGIS (Buffer).",
                labels.name,
                in_words(mixed),
            )
        drawn = tuple(spec for spec in classes if spec.number in lines)
        return cls(
            tuple(spec for spec in classes if spec.number not in thin),
            drawn,
            {c.number: _width_m(frame[(numbers == c.number) & (dimensions == 1)]) for c in drawn},
        )


def is_near(frame: gpd.GeoDataFrame, grid: GeoGrid) -> npt.NDArray[np.bool_]:
    """Which features (N,) lie on a scene or next to it: others may be far from its plane."""
    bounds = neighborhood(grid, frame.crs, 0.0)
    if bounds is None:
        return np.ones(len(frame), dtype=np.bool_)
    near: npt.NDArray[np.bool_] = shapely.intersects(
        shapely.box(*bounds), frame.geometry.to_numpy()
    )
    return near


def _width_m(lines: gpd.GeoDataFrame) -> float:
    """How wide lines are drawn, on average along them."""
    length = np.maximum(shapely.length(lines.geometry.to_numpy()), np.finfo(float).tiny)
    return 2 * float(np.average(lines["reach_m"].to_numpy(), weights=length))
