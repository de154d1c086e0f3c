"""How wide labels are on the ground: lines and points that stand for areas."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from geocobot.config.values import DEFAULT_LINE_WIDTH_M, MAX_WIDTH_M
from geocobot.errors import ConfigError, FieldError, GeometryError
from geocobot.io.opening import file_name
from geocobot.io.shapes import LINES, POINTS

_LOG = logging.getLogger("geocobot.io")

# 7, 7.5, 7,5 and 7.5 m, as people and OpenStreetMap write widths.
_METRES = re.compile(r"\s*(\d+(?:[.,]\d+)?)\s*m?\s*")


@dataclass(frozen=True, kw_only=True)
class Widths:
    """How far lines and points reach beyond their geometry.

    Attributes:
        line_width_m: full width of lines; None for `DEFAULT_LINE_WIDTH_M`.
        width_field: the attribute with the full width of each line, where it has one.
        point_radius_m: radius of the disc that a point stands for; None refuses points.
    """

    line_width_m: float | None = None
    width_field: str | None = None
    point_radius_m: float | None = None

    def __post_init__(self) -> None:
        """Refuse widths of nothing."""
        given = {"--line-width": self.line_width_m, "--point-radius": self.point_radius_m}
        for flag, size in given.items():
            if size is not None and not size > 0:
                raise ConfigError(flag, f"is {size:g}", "It is a length in metres", "Give one")

    @property
    def fields(self) -> Mapping[str, str]:
        """The attribute to read, by its flag."""
        return {} if self.width_field is None else {"--width-field": self.width_field}

    def reach_m(self, parts: gpd.GeoDataFrame, path: str | Path) -> npt.NDArray[np.float64]:
        """How far each feature reaches beyond its geometry.

        Args:
            parts: single points, lines and polygons, with `width_field`.
            path: the file they come from, for messages.

        Returns:
            (N,) metres: half the width of lines, the radius of points, 0 for polygons.

        Raises:
            GeometryError: there are points, and nothing says how large they are.
            FieldError: no line has a width in the field.
        """
        kinds = shapely.get_type_id(np.asarray(parts.geometry.array))
        is_line, is_point = np.isin(kinds, LINES), np.isin(kinds, POINTS)
        if is_point.any() and self.point_radius_m is None:
            raise GeometryError(
                path,
                f"has {int(is_point.sum())} points",
                "A map is of areas",
                "Say how large what they stand for is, in metres on the ground, such as "
                "--point-radius 3, or digitize areas in QGIS",
            )
        reach = np.zeros(len(parts))
        reach[is_line] = self._line_widths_m(parts[is_line], path) / 2
        reach[is_point] = self.point_radius_m or 0.0
        return reach

    def announce(self, n_lines: int, n_points: int) -> None:
        """Say which widths were taken for granted and which were asked for in vain."""
        if n_lines and self.line_width_m is None and self.width_field is None:
            _LOG.info(
                "The %d lines are taken to be %g m wide; --line-width says otherwise.",
                n_lines,
                DEFAULT_LINE_WIDTH_M,
            )
        in_vain = {
            "--line-width": self.line_width_m is not None and not n_lines,
            "--width-field": self.width_field is not None and not n_lines,
            "--point-radius": self.point_radius_m is not None and not n_points,
        }
        for flag, unused in in_vain.items():
            if unused:
                kind = "points" if flag == "--point-radius" else "lines"
                _LOG.info("%s changes nothing: there are no %s.", flag, kind)

    def _line_widths_m(self, lines: gpd.GeoDataFrame, path: str | Path) -> npt.NDArray[np.float64]:
        """Full widths of lines (N,)."""
        default = self.line_width_m or DEFAULT_LINE_WIDTH_M
        if self.width_field is None or lines.empty:
            return np.full(len(lines), default)
        widths = np.array([_as_metres(value) for value in lines[self.width_field]])
        missing = np.isnan(widths)
        if missing.all():
            raise FieldError(
                path,
                f"has no width in the field {self.width_field!r}",
                f"It holds the full width of each line in metres, above 0 and up to "
                f"{MAX_WIDTH_M:,.0f}",
                "Choose another --width-field, or pass one --line-width for all",
            )
        if missing.any():
            _LOG.warning(
                "%s: %d of %d lines have no width in %s and are taken to be %g m wide.",
                file_name(path),
                int(missing.sum()),
                len(lines),
                self.width_field,
                default,
            )
        return np.where(missing, default, widths)


def _as_metres(value: Any) -> float:
    """A width as a number, NaN where it is none."""
    if isinstance(value, str):
        match = _METRES.fullmatch(value)
        value = float(match[1].replace(",", ".")) if match else np.nan
    is_number = isinstance(value, int | float | np.integer | np.floating)
    number = float(value) if is_number else np.nan
    return number if 0 < number <= MAX_WIDTH_M else np.nan
