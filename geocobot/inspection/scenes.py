"""Facts about scenes."""

from __future__ import annotations

from dataclasses import dataclass

from geocobot.data.survey import Survey
from geocobot.grid import Bounds
from geocobot.io.crs import crs_label
from geocobot.io.scene import Scene


@dataclass(frozen=True)
class SceneFacts:
    """One scene.

    Attributes:
        name: without folder and extension.
        is_learned: whether it is to learn from, and not for validation as a whole.
        crs: its code or name.
        bounds: west, south, east, north in units of the CRS.
        width_px: columns.
        height_px: rows.
        pixel_x_m: width of a pixel on the ground.
        pixel_y_m: height of a pixel on the ground.
        area_km2: on the ground, pixels without data included.
        bands: names of those that are read.
        dtype: NumPy name of the data type.
        nodata: value without data, where there is one.
        valid_share: pixels with data, 0 to 1; None where nobody has looked.
        black_share: pixels with data that are 0 in every band, 0 to 1; None likewise.
    """

    name: str
    is_learned: bool
    crs: str
    bounds: Bounds
    width_px: int
    height_px: int
    pixel_x_m: float
    pixel_y_m: float
    area_km2: float
    bands: tuple[str, ...]
    dtype: str
    nodata: float | None
    valid_share: float | None
    black_share: float | None

    @classmethod
    def of(cls, scene: Scene, survey: Survey | None, *, is_learned: bool) -> SceneFacts:
        """Collect them.

        Args:
            scene: the scene.
            survey: of it and its labels, where that far has been come.
            is_learned: whether it is to learn from.
        """
        grid = scene.grid
        pixels = grid.height * grid.width
        pixel_x_m, pixel_y_m = grid.ground_pixel_m
        return cls(
            name=scene.name,
            is_learned=is_learned,
            crs=crs_label(grid.crs),
            bounds=grid.bounds,
            width_px=grid.width,
            height_px=grid.height,
            pixel_x_m=pixel_x_m,
            pixel_y_m=pixel_y_m,
            area_km2=pixels * grid.ground_pixel_m2 / 1e6,
            bands=scene.band_names,
            dtype=scene.dtype,
            nodata=scene.nodata,
            valid_share=None if survey is None else survey.valid_px / pixels,
            black_share=None if survey is None else survey.black_px / pixels,
        )

    def rows(self) -> dict[str, str]:
        """What it says, by title."""
        rows = {
            "size": f"{self.width_px:,} x {self.height_px:,} px, {self.area_km2:.3g} km2",
            "pixel": f"{self.pixel_x_m:.3g} x {self.pixel_y_m:.3g} m on the ground",
            "CRS": self.crs,
            "bands": f"{', '.join(self.bands)} ({self.dtype})",
            "nodata": "not declared" if self.nodata is None else f"{self.nodata:g}",
        }
        if self.valid_share is not None and self.black_share is not None:
            rows["with data"] = f"{self.valid_share:.1%}, of all {self.black_share:.1%} black"
        return rows
