"""From scenes and labels to a model file."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from geocobot.adapters.config import AdapterConfig
from geocobot.classes import ClassSpec
from geocobot.config import TrainOptions
from geocobot.data.module import SceneDataModule
from geocobot.data.split import Split, split_scenes
from geocobot.io.files import name_of
from geocobot.models.precision import Compute
from geocobot.models.segmenter import Segmenter, build_segmenter
from geocobot.progress import Progress, SilentProgress
from geocobot.settings import check_limits
from geocobot.training.fit import FitResult, FitSettings
from geocobot.training.job import Job
from geocobot.training.losses import SegmentationLoss
from geocobot.training.trackers import check_trackers
from geocobot.workflows.band_statistics import STATISTICS_NAME, keep_ranges, recall_ranges
from geocobot.workflows.calibrate import calibrate
from geocobot.workflows.crew import Crew, choose_crew
from geocobot.workflows.defaults import (
    choose_adapter,
    choose_base,
    choose_groups,
    choose_head,
    choose_loss,
    choose_start,
    fill_in,
    limit_epochs,
    refuse_misfits,
)
from geocobot.workflows.device import choose_compute
from geocobot.workflows.features import choose_features, keeping_features, refuse_features
from geocobot.workflows.ground import Ground, Inputs, choose_ranges, read_inputs, survey_ground
from geocobot.workflows.objects import refuse_inseparable
from geocobot.workflows.run_folder import RunFolder
from geocobot.workflows.train_files import PREVIEW_NAME, result_of, write_run
from geocobot.workflows.train_report import TrainFacts
from geocobot.workflows.train_result import TrainResult
from geocobot.workflows.validation import judge_blocks
from geocobot.workflows.watching import choose_samples, choose_tracking

_log = logging.getLogger("geocobot.workflows")

_RUNS = Path("runs")


def train(
    options: TrainOptions, progress: Progress | None = None, *, resumable: bool = True
) -> TrainResult:
    """Fine-tune a base on labelled scenes and write the run's folder.

    Args:
        options: what to train on, and how.
        progress: shows how far it is.
        resumable: whether an interrupted run will still be there; whoever interrupts it is then
            told how it can go on.

    Raises:
        GeocobotError: input, options or output cannot be used; nothing is left half-written.
            An interrupted run stays in `<out>.partial` for `resume`.
    """
    check_limits(options)
    refuse_misfits(options)
    adapter = choose_adapter(options)
    compute = choose_compute(options.device, options.precision)
    crew = choose_crew(options, compute.device)
    options = replace(options, precision=compute.precision)
    shown = progress or SilentProgress()
    return crew.conduct(lambda: _train(options, adapter, compute, crew, shown, resumable=resumable))


def _read_for(options: TrainOptions) -> Iterator[str]:
    """Every file, folder and pattern that is read."""
    lists = (
        *(options.raster, options.val_raster, options.labels),
        *(options.val_area, options.labelled_area),
    )
    yield from (name for names in lists for name in names or ())
    if options.checkpoint is not None:
        yield options.checkpoint


def _train(
    options: TrainOptions,
    adapter: AdapterConfig,
    compute: Compute,
    crew: Crew,
    progress: Progress,
    *,
    resumable: bool,
) -> TrainResult:
    """Train with those who train; all but the training itself happens here."""
    started = time.perf_counter()
    check_trackers(options.logger)
    run = RunFolder.claim(
        options.out or _RUNS / name_of(options.labels[0]),
        _read_for(options),
        resume=options.resume,
        overwrite=options.overwrite,
    )
    inputs = read_inputs(options)
    refuse_inseparable(options, inputs)
    options = replace(choose_base(options, compute.device), out=str(run.target))
    options = choose_head(choose_start(options))
    # Before the survey, which takes long: the weights of the base may be missing.
    segmenter = _build(options, adapter, inputs, progress)
    refuse_features(options, segmenter)
    learned = inputs.scenes[: inputs.n_learned]
    kept = recall_ranges(run.partial / STATISTICS_NAME, learned, options) if run.resumed else None
    ranges = kept or choose_ranges(learned, options, options.seed)
    ground = survey_ground(inputs, options.seed, progress, ranges)
    epochs_given = options.epochs is not None
    options = fill_in(options, compute.device, ground.surveys, ground.validation)
    splits = split_scenes(ground.surveys, _patch_px(options), options.seed, ground.validation)
    on_gpu = compute.device.type == "cuda"
    datamodule = _make_datamodule(options, ground, splits, pin_memory=on_gpu)
    if not epochs_given:
        options = limit_epochs(options, datamodule.views_per_epoch)
    loss = choose_loss(options, ground.surveys, splits, ground.labels.classes)
    options = choose_features(options, segmenter, datamodule, compute.device, run.begun_options())
    with run.begun(options, ground.fingerprint), run.kept() if resumable else nullcontext():
        keep_ranges(run.partial / STATISTICS_NAME, learned, options, ranges)
        settings = replace(
            _settings(options, compute, segmenter, run, loss),
            tile_px=datamodule.crop_px,
            samples=choose_samples(options, ground.labels.classes),
        )
        with keeping_features(options, segmenter):
            fitted = crew.fit(Job(segmenter, datamodule, settings, run.partial), progress)
        started -= fitted.seconds_before
        found = _judged(
            options,
            ground,
            splits,
            segmenter,
            datamodule,
            fitted=fitted,
            compute=compute,
            picture=run.partial / PREVIEW_NAME,
        )
        _tell_of_unlearned(found, run)
        found = replace(found, seconds=time.perf_counter() - started)
        write_run(run, segmenter, datamodule.crop_px, found)
        run.finish(options)
    return result_of(run, found, time.perf_counter() - started)


def _batch_size(options: TrainOptions) -> int:
    """The batch of resolved options."""
    assert options.batch_size is not None
    return options.batch_size


def _patch_px(options: TrainOptions) -> int:
    """The patch side of resolved options."""
    assert options.patch_size is not None
    return options.patch_size


def _build(
    options: TrainOptions, adapter: AdapterConfig, inputs: Inputs, progress: Progress
) -> Segmenter:
    """Build the adapted base with its head."""
    assert options.head != "auto"
    return build_segmenter(
        options.base,
        len(inputs.labels.classes),
        adapter,
        head=options.head,
        prompt=options.prompt,
        start=options.start,
        checkpoint=options.checkpoint,
        n_bands=len(inputs.scenes[0].bands),
        separate=options.separate,
        seed=options.seed,
        recompute=options.recompute,
        progress=progress,
    )


def _make_datamodule(
    options: TrainOptions, ground: Ground, splits: Sequence[Split], *, pin_memory: bool
) -> SceneDataModule:
    """Patches to train on and blocks to validate with."""
    return SceneDataModule(
        ground.scenes,
        ground.ranges,
        ground.rasters,
        splits,
        ground.surveys,
        batch_size=_batch_size(options),
        workers=options.workers or 0,
        pin_memory=pin_memory,
        seed=options.seed,
        sampling=options.sampling,
        crop_px=options.crop_size,
        separate=options.separate,
    )


def _settings(
    options: TrainOptions,
    compute: Compute,
    segmenter: Segmenter,
    run: RunFolder,
    loss: SegmentationLoss,
) -> FitSettings:
    """The options that the fit needs."""
    assert segmenter.config is not None
    return FitSettings(
        n_classes=segmenter.config.head.n_classes,
        epochs=options.epochs,
        max_minutes=options.max_minutes,
        groups=choose_groups(options, segmenter),
        loss=loss,
        log_health=options.log_adapter_health,
        patience=options.patience,
        box_jitter_px=options.box_jitter_px or 0.0,
        seed=options.seed,
        compute=compute,
        tracking=choose_tracking(options),
        resume=run.resumed,
    )


def _judged(
    options: TrainOptions,
    ground: Ground,
    splits: Sequence[Split],
    segmenter: Segmenter,
    datamodule: SceneDataModule,
    *,
    fitted: FitResult,
    compute: Compute,
    picture: Path,
) -> TrainFacts:
    """Calibrate and judge the trained model, and draw a picture; no seconds are known yet."""
    calibration = calibrate(
        options, segmenter, datamodule, _tuned(ground.labels.classes, fitted), compute
    )
    verdict = judge_blocks(
        segmenter,
        datamodule,
        calibration.classes,
        compute,
        picture=picture,
        pixel_m=ground.scenes[0].grid.ground_pixel_m,
        scaling=calibration.scaling,
        box_jitter_px=options.box_jitter_px or 0.0,
        seed=options.seed,
    )
    weights = list(segmenter.parameters())
    return TrainFacts(
        options=options,
        ground=ground,
        splits=splits,
        calibration=calibration,
        fitted=fitted,
        verdict=verdict,
        compute=compute,
        trained=sum(w.numel() for w in weights if w.requires_grad),
        weights=sum(w.numel() for w in weights),
        seconds=0.0,
    )


def _tell_of_unlearned(found: TrainFacts, run: RunFolder) -> None:
    """Warn of classes that a map which has them everywhere would find as well."""
    for name in found.verdict.pixels.scores.unlearned:
        _log.warning(
            "%s was not learned: on the validation blocks a map that has it everywhere would be "
            "as good. See %s; more --max-minutes or --epochs, or more labels, may help.",
            name,
            run.target / PREVIEW_NAME,
        )


def _tuned(classes: Sequence[ClassSpec], fitted: FitResult) -> tuple[ClassSpec, ...]:
    """The classes with the thresholds that validation chose."""
    return tuple(
        replace(spec, threshold=threshold)
        for spec, threshold in zip(classes, fitted.thresholds, strict=True)
    )
