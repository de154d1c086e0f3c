"""How good a map is in each of several scenes, the worst first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geocobot.classes import ClassSpec
from geocobot.evaluation.blocks import FEW_BLOCKS, Uncertainty
from geocobot.evaluation.pixels import PixelScores
from geocobot.secrecy import without_secrets
from geocobot.workflows.figure_rows import Rows, share, with_interval

_MOST_CLASSES = 6


@dataclass(frozen=True, kw_only=True)
class SceneFigures:
    """How good the map of one scene is.

    Attributes:
        name: of the scene, unlike those of the others.
        prediction: the map.
        scene: raster in whose pixels it was judged.
        shape: rows and columns of these.
        pixel_m: width and height of one on the ground.
        classes: those compared, with the thresholds of this map.
        scores: figures pixel by pixel.
        uncertainty: intervals of IoU and F1 from the blocks of this scene; None where there is
            nothing to draw blocks from.
        unpredicted_px: pixels of a class of which the map says nothing.
    """

    name: str
    prediction: Path
    scene: Path
    shape: tuple[int, int]
    pixel_m: tuple[float, float]
    classes: tuple[ClassSpec, ...]
    scores: PixelScores
    uncertainty: Uncertainty | None
    unpredicted_px: int

    @property
    def judged_ha(self) -> float:
        """Ground that was judged, in hectares."""
        return self.scores.judged_px * self.pixel_m[0] * self.pixel_m[1] / 1e4

    @property
    def labelled_px(self) -> int:
        """Judged pixels of a class."""
        return sum(c.truth_px for c in self.scores.classes)


def worst_first(scenes: Sequence[SceneFigures]) -> list[SceneFigures]:
    """Scenes by their mean IoU; at the end those that have none."""
    return sorted(
        scenes, key=lambda s: math.inf if s.scores.mean_iou is None else s.scores.mean_iou
    )


def scene_rows(scenes: Sequence[SceneFigures]) -> Rows:
    """A headline and a row for each of several scenes, the worst first; nothing for one."""
    if len(scenes) < 2:
        return []
    names = [c.name for c in scenes[0].scores.classes]
    shown = names if len(names) <= _MOST_CLASSES else []
    several = ["mean IoU"] if len(names) > 1 else []
    head = ["Scenes, worst first", *several, *(f"IoU {name}" for name in shown)]
    return [
        [*head, "precision", "recall", "judged", "pixel"],
        *(_row(scene, bool(several), len(shown)) for scene in worst_first(scenes)),
    ]


def _row(scene: SceneFigures, has_mean: bool, n_shown: int) -> list[str]:
    """The figures of one scene, with intervals where they are not rough."""
    scores, sure = scene.scores, scene.uncertainty
    if sure is not None and sure.blocks < FEW_BLOCKS:
        sure = None
    mean_iou, ious = (None, ()) if sure is None else (sure.mean_iou, sure.iou)
    means = [with_interval(scores.mean_iou, mean_iou)] if has_mean else []
    known = ious or (None,) * len(scores.classes)
    by_class = zip(scores.classes[:n_shown], known, strict=False)
    return [
        scene.name,
        *means,
        *(with_interval(c.iou, interval) for c, interval in by_class),
        share(scores.mean_precision),
        share(scores.mean_recall),
        f"{scene.judged_ha:,.3g} ha",
        pixel_size([scene]),
    ]


def pixel_size(scenes: Sequence[SceneFigures]) -> str:
    """Width and height of pixels on the ground, from the smallest to the largest scene's."""
    by_area = sorted((s.pixel_m for s in scenes), key=math.prod)
    ends = [f"{x_m:.3g} x {y_m:.3g}" for x_m, y_m in (by_area[0], by_area[-1])]
    return f"{' to '.join(dict.fromkeys(ends))} m"


def has_one_size(scenes: Sequence[SceneFigures]) -> bool:
    """Whether pixels of all scenes are alike, as far as people are told."""
    return len({pixel_size([scene]) for scene in scenes}) == 1


def distinct_names(names: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Names of scenes, to be shown and saved.

    Those that have the same are called by their files, numbered where these are the same too; what
    is secret in an address is left out.
    """
    taken = Counter(names)
    files = map(without_secrets, paths)
    chosen = [n if taken[n] == 1 else file for n, file in zip(names, files, strict=True)]
    again: Counter[str] = Counter()
    found = []
    for name in chosen:
        again[name] += 1
        found.append(name if again[name] == 1 else f"{name} ({again[name]})")
    return found
