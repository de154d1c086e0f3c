"""Judging scene after scene, and what is kept of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from geocobot.classes import IGNORE
from geocobot.config import EvaluateOptions
from geocobot.errors import ConfigError
from geocobot.evaluation.block_plan import MAX_BLOCKS, BlockPlan
from geocobot.evaluation.judge import PixelJudge, PixelReport, joint_report
from geocobot.io.opening import file_name
from geocobot.io.quicklook import quicklook
from geocobot.progress import Progress
from geocobot.workflows.evaluate_report import Pictures
from geocobot.workflows.judged import Judged
from geocobot.workflows.overview import Overview
from geocobot.workflows.predicted import has_same_pixels
from geocobot.workflows.scene_figures import SceneFigures, worst_first

_MOST_PICTURES = 6
"""Scenes that a report shows."""


@dataclass
class Judgement:
    """What is known of pixels when all scenes are judged.

    Attributes:
        judges: counts of each scene.
        scenes: figures of each scene.
        pictures: of the worst ones, by name.
    """

    judges: list[PixelJudge] = field(default_factory=list)
    scenes: list[SceneFigures] = field(default_factory=list)
    pictures: dict[str, Pictures] = field(default_factory=dict)

    def add(self, judge: PixelJudge, figures: SceneFigures, pictures: Pictures) -> None:
        """Take a scene; of many the pictures of the better ones are forgotten."""
        self.judges.append(judge)
        self.scenes.append(figures)
        self.pictures[figures.name] = pictures
        kept = [s for s in worst_first(self.scenes) if s.name in self.pictures][:_MOST_PICTURES]
        self.pictures = {scene.name: self.pictures[scene.name] for scene in kept}

    def report(self, seed: int) -> PixelReport:
        """The figures of all scenes together."""
        return joint_report(self.judges, [scene.pixel_m for scene in self.scenes], seed)


def judge_pixels(
    judged: Sequence[Judged], names: Sequence[str], options: EvaluateOptions, progress: Progress
) -> Judgement:
    """Compare map and labels in each scene, pixel by pixel.

    Memory grows neither with the height of a scene nor, but for counts, with their number.

    Args:
        judged: maps and labels.
        names: of the scenes.
        options: of the command.
        progress: is told of every row.

    Raises:
        ConfigError: there would be too many blocks.
        GeocobotError: a file cannot be read.
    """
    found = Judgement()
    for one, name, plan in zip(judged, names, _plan_blocks(judged, options), strict=True):
        judge = PixelJudge(one.labels.classes, plan)
        said = name if len(judged) > 1 else file_name(one.mapped.path)
        pictures, unpredicted_px = _judge(one, judge, said, progress)
        pixel_m = one.grid.ground_pixel_m
        figures = SceneFigures(
            name=name,
            prediction=Path(one.mapped.path),
            scene=Path(one.scene.path),
            shape=one.grid.shape,
            pixel_m=pixel_m,
            classes=one.matching.classes,
            scores=judge.confusion.scores(),
            uncertainty=judge.blocks.uncertainty(pixel_m, options.seed),
            unpredicted_px=unpredicted_px,
        )
        found.add(judge, figures, pictures)
    return found


def _judge(
    judged: Judged, judge: PixelJudge, said: str, progress: Progress
) -> tuple[Pictures, int]:
    """Count one scene; pictures of it, and labelled pixels of which the map says nothing."""
    overviews = Overview(judged.grid), Overview(judged.grid)
    unpredicted_px = row_off = 0
    with progress.task(f"Judging {said}", judged.grid.height) as task:
        for rows in judged.rows():
            shown = np.where(rows.judged, rows.truth, np.uint8(IGNORE)), rows.prediction
            for overview, labels in zip(overviews, shown, strict=True):
                overview.add(row_off, labels)
            row_off += rows.height
            judge.add(rows.truth, rows.prediction, rows.judged, rows.steps)
            unpredicted_px += rows.unsaid_px
            task.advance(rows.height)
    truth, prediction = overviews
    scene = judged.has_data
    picture = None
    if scene is not None and has_same_pixels(scene.grid, judged.grid):
        picture = quicklook(scene, truth.sampling)
    return Pictures(truth, prediction, picture), unpredicted_px


def _plan_blocks(judged: Sequence[Judged], options: EvaluateOptions) -> list[BlockPlan]:
    """The blocks of each scene that intervals are drawn from.

    Raises:
        ConfigError: there would be too many.
    """
    side_m = options.block_size
    plans = BlockPlan.over_all(
        [one.window for one in judged], [one.grid.ground_pixel_m for one in judged], side_m
    )
    size = sum(plan.size for plan in plans)
    if side_m is not None and size > MAX_BLOCKS:
        raise ConfigError(
            "--block-size",
            f"is {side_m:g} m, which makes {size:,} blocks",
            f"Up to {MAX_BLOCKS:,} are drawn from, and each has to be larger than the objects "
            "mapped",
            "Choose larger blocks, or leave it out",
        )
    return plans
