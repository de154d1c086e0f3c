"""What a prediction hands back: files, counts, areas, times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from geocobot.classes import ClassSpec
from geocobot.io.opening import file_name
from geocobot.tracing.squaring import Squaring


@dataclass(frozen=True)
class ClassTotal:
    """What was found of one class.

    Attributes:
        name: of the class.
        polygons: how many.
        area_m2: their area on the ground, geodesic.
        squaring: what squaring their outlines has cost; None where they were not squared.
        lines: how many centerlines.
        length_m: their length on the ground, geodesic.
        too_wide: how many areas are somewhere too wide for a centerline.
    """

    name: str
    polygons: int
    area_m2: float
    squaring: Squaring | None = None
    lines: int = 0
    length_m: float = 0.0
    too_wide: int = 0


@dataclass(frozen=True)
class SceneResult:
    """What was made of one scene.

    Attributes:
        raster: the scene's path; where several are mapped into one file, their name together.
        polygons: the vector file.
        scores: the scores raster, or None.
        classes: the class raster, or None.
        centerlines: the vector file that holds them, which may be that of the polygons; or None.
        config: the options that gave the result.
        totals: one per class of the model.
        tiles: how many the model could have seen, tiles without data included.
        seconds: from the first tile to the finished files.
        area_km2: of the scene on the ground, nodata included.
        n_rasters: how many files the scene is made of.
        is_recalled: whether it was there already, made by the same command.
        project: QGIS project that shows all of it, or None.
        report: page that shows the map, or None.
    """

    raster: str
    polygons: Path
    scores: Path | None
    classes: Path | None
    centerlines: Path | None
    config: Path
    totals: tuple[ClassTotal, ...]
    tiles: int
    seconds: float
    area_km2: float
    n_rasters: int = 1
    is_recalled: bool = False
    project: Path | None = None
    report: Path | None = None

    @property
    def n_polygons(self) -> int:
        """Polygons of all classes."""
        return sum(t.polygons for t in self.totals)

    def summary(self) -> str:
        """What was written, where, how much and how long it took, in a few lines."""
        how = "(finished before)" if self.is_recalled else f"in {self.seconds:.1f} s"
        if self.seconds > 0:
            rate = describe_area_rate(self.area_km2 / self.seconds)
            how += f" ({self.tiles} tiles, {self.tiles / self.seconds:.1f} per second, {rate})"
        of_many = f" ({self.n_rasters} scenes)" if self.n_rasters > 1 else ""
        lines = [
            f"{file_name(self.raster)}{of_many}: {self.n_polygons} polygons {how}"
            + describe_totals(self.totals),
            *describe_squaring(self.totals),
            f"  polygons  {self.polygons}",
            *describe_centerlines(self.polygons, self.centerlines, self.totals),
        ]
        extra = {"scores": self.scores, "classes": self.classes, "options": self.config}
        extra |= {"project": self.project, "report": self.report}
        return "\n".join(lines + [f"  {name:<9} {path}" for name, path in extra.items() if path])


@dataclass(frozen=True)
class Failure:
    """A scene that could not be mapped.

    Attributes:
        raster: its name.
        reason: what is wrong with it, and what to do.
    """

    raster: str
    reason: str


@dataclass(frozen=True)
class PredictResult:
    """What a prediction has written.

    Attributes:
        scenes: one per raster that was mapped, in the order given, or one for all.
        seconds: loading the model included.
        failures: the other ones.
    """

    scenes: tuple[SceneResult, ...]
    seconds: float
    failures: tuple[Failure, ...] = ()

    @property
    def exit_code(self) -> int:
        """3 where a scene could not be mapped."""
        return 3 if self.failures else 0

    @property
    def n_asked(self) -> int:
        """How many scenes were to be mapped."""
        return sum(scene.n_rasters for scene in self.scenes) + len(self.failures)

    def summary(self) -> str:
        """What was written, where, how much and how long it took."""
        lines = [scene.summary() for scene in self.scenes]
        if len(lines) > 1:
            lines.append(f"{len(lines)} scenes in {self.seconds:.1f} s")
        if self.failures:
            lines.append(f"Not mapped: {len(self.failures)} of {self.n_asked} scenes")
            lines += [f"  {failure.reason}" for failure in self.failures]
        return "\n".join(lines)


class Tally:
    """Counts polygons and sums areas by class.

    Args:
        classes: those that the polygons can have.
    """

    def __init__(self, classes: Sequence[ClassSpec]) -> None:
        self._totals = {c.number: ClassTotal(c.name, 0, 0.0) for c in classes}

    def add(self, frame: pd.DataFrame) -> None:
        """Count one chunk of polygons, by their columns class_id and area_m2."""
        for number, total in self._totals.items():
            area_m2 = frame["area_m2"][frame["class_id"] == number]
            self._totals[number] = replace(
                total,
                polygons=total.polygons + len(area_m2),
                area_m2=total.area_m2 + float(area_m2.sum()),
            )

    def add_lines(
        self, frame: pd.DataFrame, too_wide: Mapping[int, int] = MappingProxyType({})
    ) -> None:
        """Count centerlines, by their columns class_id and length_m, and areas without one."""
        for number, total in self._totals.items():
            length_m = frame["length_m"][frame["class_id"] == number]
            self._totals[number] = replace(
                total,
                lines=total.lines + len(length_m),
                length_m=total.length_m + float(length_m.sum()),
                too_wide=total.too_wide + too_wide.get(number, 0),
            )

    def totals(self) -> tuple[ClassTotal, ...]:
        """One per class."""
        return tuple(self._totals.values())


def describe_totals(totals: Sequence[ClassTotal]) -> str:
    """What was found of each class, after a colon; nothing where nothing was."""
    found = ", ".join(f"{t.polygons} {t.name} ({_area(t.area_m2)})" for t in totals if t.polygons)
    return f": {found}" if found else ""


def describe_squaring(totals: Sequence[ClassTotal]) -> list[str]:
    """A line for each class whose outlines were squared."""
    return [f"  squared   {t.name}: {t.squaring.summary()}" for t in totals if t.squaring]


def describe_centerlines(
    polygons: Path, centerlines: Path | None, totals: Sequence[ClassTotal]
) -> list[str]:
    """A line that says where the centerlines are, and how long; none where there are none."""
    if centerlines is None:
        return []
    where = "a second layer" if centerlines == polygons else str(centerlines)
    found = ", ".join(f"{t.lines} of {t.name} ({_length(t.length_m)})" for t in totals if t.lines)
    wide = ", ".join(f"{t.too_wide} of {t.name}" for t in totals if t.too_wide)
    missing = f"; areas too wide for a line in their middle: {wide}" if wide else ""
    return [f"  lines     {where}: {found or 'none'}{missing}"]


def _length(length_m: float) -> str:
    """A length for people."""
    return f"{length_m:.0f} m" if length_m < 1e3 else f"{length_m / 1e3:.1f} km"


def _area(area_m2: float) -> str:
    """An area for people, in the unit that suits its size."""
    if area_m2 < 1e4:
        return f"{area_m2:.0f} m2"
    return f"{area_m2 / 1e4:.1f} ha" if area_m2 < 1e6 else f"{area_m2 / 1e6:.2f} km2"


def describe_area_rate(km2_per_s: float) -> str:
    """Square kilometres per hour, with two digits at least."""
    per_hour = km2_per_s * 3600
    digits = 0 if per_hour >= 10 else 1 if per_hour >= 1 else 3
    return f"{per_hour:,.{digits}f} km2 per hour"
