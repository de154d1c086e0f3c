"""Maps and labels in, figures out: how good the maps are, and how sure that is."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from geocobot.config import EvaluateOptions
from geocobot.config.evaluate import MOST_OBJECT_PX
from geocobot.errors import EmptyLabelsError
from geocobot.evaluation.blocks import FEW_BLOCKS
from geocobot.evaluation.line_errors import LineErrors
from geocobot.evaluation.shared_ground import shared_ground
from geocobot.grid import GeoGrid
from geocobot.io.misplaced import in_words
from geocobot.io.opening import file_name
from geocobot.io.output import check_output_folder, refuse_within
from geocobot.progress import Progress, SilentProgress
from geocobot.settings import check_limits
from geocobot.workflows.compared_scenes import compare_scenes
from geocobot.workflows.evaluate_files import FIGURES_NAME, write_evaluation
from geocobot.workflows.evaluate_report import Pictures
from geocobot.workflows.evaluate_result import EvaluateResult
from geocobot.workflows.judged import Judged, open_judged
from geocobot.workflows.judging import judge_pixels
from geocobot.workflows.line_picture import line_picture
from geocobot.workflows.predicted import PredictedScores
from geocobot.workflows.scene_figures import SceneFigures, distinct_names

_LOG = logging.getLogger("geocobot.workflows")


def evaluate(options: EvaluateOptions, progress: Progress | None = None) -> EvaluateResult:
    """Compare maps with labels, pixel by pixel, scene by scene.

    Memory does not grow with the height of the maps.

    Args:
        options: which maps, which labels, and where to look.
        progress: is told of every row.

    Raises:
        GeocobotError: an option or a file is not as needed.
    """
    started = time.perf_counter()
    check_limits(options)
    if options.out is not None:
        check_output_folder(options.out, options.overwrite, FIGURES_NAME)
        lists = (options.pred, options.labels, options.raster, options.area)
        refuse_within(options.out, (name for names in lists for name in names or ()))
    judged = open_judged(options)
    scenes = [one.scene for one in judged]
    names = distinct_names([scene.name for scene in scenes], [scene.path for scene in scenes])
    _tell_of_overlaps(judged, names)
    found = judge_pixels(judged, names, options, progress or SilentProgress())
    _check_labelled(found.scenes, judged)
    wanted = _wants_objects(judged, options)
    if wanted:
        _tell_of_touching(judged)
    compared = compare_scenes(judged, names, options.min_area) if wanted else None
    result = EvaluateResult(
        kind=judged[0].mapped.kind,
        labels=judged[0].labels.name,
        classes=judged[0].matching.classes,
        scenes=tuple(found.scenes),
        pixels=found.report(options.seed),
        objects=None if compared is None else compared.report,
        seconds=time.perf_counter() - started,
    )
    _tell_of_doubts(result, judged)
    if options.out is None:
        return result
    errors = None if compared is None else compared.errors
    grids = {name: one.grid for name, one in zip(names, judged, strict=True)}
    pictures = _with_lines(found.pictures, {} if compared is None else compared.lines, grids)
    return write_evaluation(result, judged, pictures, errors, options)


def _with_lines(
    pictures: Mapping[str, Pictures], lines: Mapping[str, LineErrors], grids: Mapping[str, GeoGrid]
) -> dict[str, Pictures]:
    """The pictures, with those of lines where a scene has some."""
    drawn = dict(pictures)
    for name, shown in pictures.items():
        if name in lines:
            grid, sampling = grids[name], shown.truth.sampling
            picture = line_picture(lines[name].to_crs(grid.crs), grid, sampling, shown.scene)
            drawn[name] = replace(shown, lines=picture)
    return drawn


def _wants_objects(judged: Sequence[Judged], options: EvaluateOptions) -> bool:
    """Whether objects are compared; who has not said is told where they are not."""
    if options.objects is not None:
        return options.objects
    is_small = sum(math.prod(one.grid.shape) for one in judged) <= MOST_OBJECT_PX
    if not is_small:
        _LOG.info(
            "%s %s large: %s objects are not compared one by one. --objects does it, with all of "
            "them in memory.",
            _maps(judged),
            *(("is", "its") if len(judged) == 1 else ("are", "their")),
        )
    return is_small


def _tell_of_touching(judged: Sequence[Judged]) -> None:
    """Say whose objects are fewer than those of the polygons made of the same scores."""
    joined = [
        one.mapped.path
        for one in judged
        if isinstance(one.mapped, PredictedScores) and one.mapped.separates
    ]
    if joined:
        _LOG.warning(
            "%s: objects that touch count as one here, though the scores tell them apart. Judge "
            "the polygons that geocobot predict or vectorize has drawn of them.",
            in_words([file_name(path) for path in dict.fromkeys(joined)]),
        )


def _check_labelled(scenes: Sequence[SceneFigures], judged: Sequence[Judged]) -> None:
    """Refuse scenes on which nothing is labelled; tell of single ones.

    Raises:
        EmptyLabelsError: no pixel that is judged has a class.
    """
    labels = judged[0].labels.name
    if not any(scene.labelled_px for scene in scenes):
        raise EmptyLabelsError(
            labels,
            f"labels no pixel of {_maps(judged)} that is judged: the features lie on nodata, "
            "outside of --area or --labelled-area, or are smaller than a pixel",
            "A map is judged by what is labelled",
            "Look at map and labels in QGIS",
        )
    unseen = [scene.name for scene in scenes if not scene.scores.judged_px]
    if unseen:
        _LOG.warning(
            "%s: nothing is judged there: no pixel has data, a label that is known, and lies in "
            "what --area and --labelled-area name.",
            in_words(unseen),
        )
    bare = [s.name for s in scenes if s.scores.judged_px and not s.labelled_px]
    if bare:
        _LOG.warning(
            "%s has nothing on %s: all that is mapped there counts as false. Leave out scenes that "
            "nobody has labelled.",
            labels,
            in_words(bare),
        )


def _tell_of_overlaps(judged: Sequence[Judged], names: Sequence[str]) -> None:
    """Say which scenes show the same ground, where it counts more than once."""
    found = shared_ground([one.grid.crop(one.window) for one in judged])
    if not found:
        return
    worst = found[0]
    more = f", as {len(found) - 1} more pairs do" if len(found) > 1 else ""
    _LOG.warning(
        "%s and %s overlap by up to %.3g ha (%.2g %% of the smaller one)%s: what is there counts "
        "in each scene. To count it once, pass as --area what lies in one of them.",
        names[worst.first],
        names[worst.second],
        worst.area_m2 / 1e4,
        100 * worst.share,
        more,
    )


def _tell_of_doubts(result: EvaluateResult, judged: Sequence[Judged]) -> None:
    """Say what makes figures less certain than they look."""
    sure = result.pixels.uncertainty
    blocks = 1 if sure is None else sure.blocks
    if blocks < FEW_BLOCKS:
        _LOG.warning(
            "%s: judged in %d block%s only%s. Judge a larger area, or choose smaller blocks with "
            "--block-size.",
            result.name,
            blocks,
            "" if blocks == 1 else "s",
            ", so that nothing tells how sure the figures are"
            if sure is None
            else ", so that the intervals are rough",
        )
    silent = [s for s in result.scenes if s.unpredicted_px]
    if silent:
        _LOG.warning(
            "%s say%s nothing of %s pixels of what is labelled: they %s.",
            in_words(list(dict.fromkeys(s.prediction.name for s in silent))),
            "s" if len({s.prediction for s in silent}) == 1 else "",
            f"{result.unpredicted_px:,}",
            "are not judged; --raster tells which of them have data, and should have been mapped"
            if any(one.has_data is None for one in judged)
            else "count as background where the scene has data",
        )
    told = {tuple((c.name, c.threshold) for c in scene.classes) for scene in result.scenes}
    if result.pixels.curves and len(told) > 1:
        _LOG.warning("%s have different thresholds; each is judged with its own.", result.name)


def _maps(judged: Sequence[Judged]) -> str:
    """The maps' names."""
    return in_words(list(dict.fromkeys(file_name(one.mapped.path) for one in judged)))
