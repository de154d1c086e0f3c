"""The page that `geocobot check` writes: map sketch and pictures of places among the facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.windows import Window

from geocobot.bands import normalize, ranges_for
from geocobot.inspection.findings import Finding
from geocobot.inspection.html import Page, page_of
from geocobot.inspection.labels import ClassFacts
from geocobot.inspection.sketch import Layer, block_layer, label_layers, scene_layer
from geocobot.io.output import new_file
from geocobot.io.unfinished import write_text
from geocobot.workflows.ground import Ground
from geocobot.workflows.inspected import Inspected
from geocobot.workflows.picture import Row, as_png

_PLACES = 6
_PLACE_PX = 320


def write_report(
    path: Path,
    found: Inspected,
    *,
    headline: str,
    findings: Sequence[Finding],
    tables: Mapping[str, Mapping[str, str]],
    classes: Sequence[ClassFacts],
    command: str | None,
    overwrite: bool,
) -> None:
    """Write the page.

    Args:
        path: HTML file.
        found: what there is to draw.
        headline: the outcome.
        findings: what matters most first.
        tables: rows of facts by title, by headline.
        classes: background and classes.
        command: what to do next.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: it cannot be written.
    """
    page = Page(
        title=f"geocobot check: {headline}",
        findings=findings,
        tables=tables,
        classes=classes,
        layers=_layers(found),
        picture=None if found.ground is None else _picture(found.ground),
        command=command,
    )
    with new_file(path, overwrite=overwrite) as temporary:
        write_text(temporary, page_of(page), path)


def _layers(found: Inspected) -> list[Layer]:
    """What the map sketch shows, from below."""
    if not found.scenes:
        return []
    layers = [scene_layer(scene.grid for scene in found.scenes)]
    if found.labels is not None:
        layers += label_layers(found.labels)
    blocks = [
        (scene.grid, shapely.box(*scene.grid.bounds_of(block)))
        for scene, split in zip(found.scenes, found.splits, strict=False)
        for block in split.val
    ]
    return [*layers, block_layer(blocks)] if blocks else layers


def _picture(ground: Ground) -> bytes:
    """The places where most is to be seen, image and labels side by side."""
    places = []
    for k, survey in enumerate(ground.surveys):
        height, width = survey.grid.shape
        windows = [
            Window(col, row, min(_PLACE_PX, width - col), min(_PLACE_PX, height - row))
            for row in range(0, height, _PLACE_PX)
            for col in range(0, width, _PLACE_PX)
        ]
        mixtures = _mixtures(survey.counts(windows))
        places += [(m, -k, w) for m, w in zip(mixtures.tolist(), windows, strict=True)]
    places.sort(key=lambda place: place[:2], reverse=True)
    rows = []
    for _, k, window in places[:_PLACES]:
        patch = ground.scenes[-k].read(window)
        image = normalize(
            patch.image, patch.valid, ranges_for(ground.ranges, ground.scenes[-k].dtype)
        )
        rows.append(Row(image, ground.rasters[-k].read(window).classes))
    return as_png(rows, ground.labels.classes)


def _mixtures(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How evenly classes share windows (N,), by their pixels (N, K), times how many these are."""
    total = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(total, 1.0)
    logarithms = np.log(np.maximum(shares, np.finfo(np.float64).tiny))
    return np.asarray(-(shares * logarithms).sum(axis=1) * total[:, 0])
