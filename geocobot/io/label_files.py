"""Label files of any kind: vector files, or rasters of class numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from geocobot.errors import ConfigError
from geocobot.io.area import Area
from geocobot.io.files import find_labels, is_raster_file
from geocobot.io.label_features import LabelChoice, read_features
from geocobot.io.label_images import read_image_labels
from geocobot.io.labels import Labels
from geocobot.io.scene import Scene

__all__ = ["LabelChoice", "read_labels"]


def read_labels(
    given: Sequence[str | Path],
    choice: LabelChoice | None = None,
    *,
    area: Area | None = None,
    boundary_px: int = 0,
    scene: Scene | None = None,
) -> Labels:
    """Read label files and sort what is in them into classes.

    Args:
        given: vector files or rasters of class numbers, not both; folders and patterns too.
        choice: what of them is used; default all.
        area: where the labels are complete; None where they are throughout.
        boundary_px: pixels so close to the boundary of a class are unknown.
        scene: the scene to come, for messages.

    Raises:
        ConfigError: there are files of both kinds, or a choice that the kind does not know.
        GeocobotError: whatever `find_labels`, `read_features` and `read_image_labels` find.
    """
    choice = choice or LabelChoice()
    sets = find_labels([str(name) for name in given])
    paths = [path for s in sets for path in s.paths]
    rasters = [path for path in paths if is_raster_file(path)]
    if not rasters:
        return read_features(sets, choice, area=area, boundary_px=boundary_px, scene=scene)
    if len(rasters) < len(paths):
        vector = next(path for path in paths if path not in rasters)
        raise ConfigError(
            "--labels",
            f"names the raster {rasters[0]} and the vector file {vector}",
            "Labels are either features or rasters of class numbers",
            "Burn the features onto the raster first with: gdal_rasterize",
        )
    _refuse_choice(choice)
    return read_image_labels(paths, classes=choice.classes, area=area, boundary_px=boundary_px)


def _refuse_choice(choice: LabelChoice) -> None:
    """Refuse what can be said of features alone."""
    widths = choice.widths
    said: Mapping[str, object] = {
        "--labels-layer": choice.layer,
        "--labels-crs": choice.crs,
        "--line-width": widths.line_width_m,
        "--width-field": widths.width_field,
        "--point-radius": widths.point_radius_m,
        "--class-field": choice.class_field,
        "--where": choice.where,
    }
    for flag, value in said.items():
        if value is not None:
            raise ConfigError(
                flag,
                "is said of labels that are a raster",
                "It is about the features of vector files",
                "Leave it out; --classes chooses among the values of a raster",
            )
