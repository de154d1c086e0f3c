"""What is compared: segmenters from several starts, trained and judged alike, one process a run.

All arms get the same patches, augmentation, loss, schedule, weight averaging, precision, threads
and minutes. They are built, trained and judged by geocobot's own stages, on crops as large as
`geocobot train` has them from their kind of start.
"""

from __future__ import annotations

import json
import multiprocessing
import platform
import resource
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import segmentation_models_pytorch as smp
import torch
from places import Place, find_place, open_part
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from geocobot.adapters.config import AdapterConfig
from geocobot.bands import normalize
from geocobot.classes import ClassSpec, classify
from geocobot.config import TrainOptions
from geocobot.config.values import CPU_CROP_PX, PrecisionName, StartName
from geocobot.data.dataset import SceneDataset
from geocobot.data.module import SceneDataModule
from geocobot.data.split import Split, split_scenes
from geocobot.evaluation.pixels import Confusion, PixelScores
from geocobot.inference.blend import blend
from geocobot.inference.tiles import load_tiles, plan_tiles, predict_tiles
from geocobot.io.fitting import open_scene_for
from geocobot.models.precision import Compute
from geocobot.models.segmenter import Segmenter, build_segmenter
from geocobot.progress import SilentProgress
from geocobot.training.first_fit import as_shown
from geocobot.training.fit import FitResult, FitSettings, fit
from geocobot.training.groups import GroupSettings, default_groups
from geocobot.training.thresholds import ScoreHistograms
from geocobot.training.trainer import checkpoint_path
from geocobot.workflows.commit import running_commit
from geocobot.workflows.defaults import fill_in
from geocobot.workflows.device import choose_compute
from geocobot.workflows.ground import Ground, Inputs, survey_ground
from geocobot.workflows.picture import Row, draw_rows

Run = dict[str, Any]

OVERLAP = 0.25
"""Share of a tile that overlaps its neighbor, as `geocobot predict` has it."""

UNET = "unet"

_STATISTICS_BATCHES = 40


@dataclass(frozen=True)
class Arm:
    """One way to begin.

    Attributes:
        build: number of classes, seed and checkpoint to a segmenter that is ready to be trained.
        pretrained: whether it begins with the weights of a checkpoint.
    """

    build: Callable[[int, int, str | None], Segmenter]
    pretrained: bool = False


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run; what it is asked is its name among the runs.

    Attributes:
        scene: name of the place.
        arm: name of the arm.
        seed: of everything random.
        minutes: of training.
        max_views: how often a run sees its training area at most; 0 for no limit.
        threads: of the CPU.
        budget_steps: in place of the clock: what so many threads, alone on their machine, do in
            these minutes. Such a run may share its machine, and computes on one thread.
        rate: peak learning rate; None for geocobot's own.
        patches: how many patches are labelled; None for all of the part.
        checkpoint: file with the pretrained weights, for the arms that begin with them.
        checkpoint_sha256: its checksum.
        precision: how exactly to compute; None leaves it to the processor.
    """

    scene: str
    arm: str
    seed: int
    minutes: float
    max_views: int
    threads: int
    budget_steps: int | None = None
    rate: float | None = None
    patches: int | None = None
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None
    precision: PrecisionName | None = None

    @property
    def key(self) -> Run:
        """What makes it another run; a checkpoint may move."""
        return {name: value for name, value in asdict(self).items() if name != "checkpoint"}

    @property
    def title(self) -> str:
        """A name for files and terminals."""
        parts = [self.scene, self.arm, f"seed{self.seed}"]
        parts += [f"{self.patches}patches"] if self.patches is not None else []
        parts += [f"rate{self.rate:g}"] if self.rate is not None else []
        return "_".join(parts)


@dataclass(frozen=True)
class Trained:
    """A segmenter after its training.

    Attributes:
        segmenter: with the weights that are kept.
        fitted: how the training went.
        classes: with the thresholds to map with.
        validation_iou: mean IoU on the validation blocks at these thresholds; None without blocks.
        validation: scores of the validation blocks; None without blocks.
        views: how often training showed a pixel of its area on average.
        tile_px: side of the tiles to map with.
    """

    segmenter: Segmenter
    fitted: FitResult
    classes: tuple[ClassSpec, ...]
    validation_iou: float | None
    validation: ScoreHistograms | None
    views: float
    tile_px: int


@dataclass(frozen=True, eq=False)
class Scored:
    """What a segmenter says of a part.

    Attributes:
        scores: (K, H, W) float32, 0 to 1.
        valid: (H, W), True where there is data.
    """

    scores: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]


class UNetHead(nn.Module):
    """The half of a U-Net behind its encoder.

    Args:
        network: the U-Net.
    """

    def __init__(self, network: smp.Unet) -> None:
        super().__init__()
        self.decoder = network.decoder
        self.out = network.segmentation_head

    def forward(self, features: list[Tensor], image: Tensor) -> Tensor:  # noqa: ARG002 # heads get both
        """Turn features of five scales into logits (B, K, H, W)."""
        logits: Tensor = self.out(self.decoder(features))
        return logits


def build_unet(n_classes: int, seed: int, checkpoint: str | None) -> Segmenter:  # noqa: ARG001
    """TorchGeo's U-Net without weights, behind the same normalization as ours.

    As `torchgeo.trainers.SemanticSegmentationTask(model="unet", backbone="resnet18")` builds it.
    It wants multiples of 32 px, which crops and tiles, multiples of 64, always are.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = smp.Unet("resnet18", encoder_weights=None, in_channels=3, classes=n_classes)
    return Segmenter(network.encoder, UNetHead(network))


def _build_tiny(method: Any, **start: Any) -> Callable[[int, int, str | None], Segmenter]:
    """A builder of `tiny`."""

    def build(n_classes: int, seed: int, checkpoint: str | None) -> Segmenter:
        return build_segmenter(
            "tiny",
            n_classes,
            AdapterConfig(method=method),
            checkpoint=checkpoint,
            seed=seed,
            **start,
        )

    return build


ARMS: Mapping[str, Arm] = {
    "pretrained": Arm(_build_tiny("lora"), pretrained=True),
    "pretrained-full": Arm(_build_tiny("full"), pretrained=True),
    "random-adapters": Arm(_build_tiny("lora", start="random", train_encoder=False)),
    "random-full": Arm(_build_tiny("full", start="random")),
    UNET: Arm(build_unet),
}


def finished(
    jobs: Sequence[Job], path: Path, folder: Path, work: Callable[[Job, Path], Run]
) -> Iterator[Run]:
    """What was asked for, with its figures: read from a file, or run and added to it.

    Args:
        jobs: what is wanted, in this order.
        path: the file, a line of JSON per run.
        folder: for parts of scenes, scores and maps.
        work: does one job, in a process of its own so that its peak memory is its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    known = runs_of(path)
    for job in jobs:
        run = next((k for k in known if {n: k.get(n) for n in job.key} == job.key), None)
        if run is None:
            spawn = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, mp_context=spawn) as alone:
                run = job.key | alone.submit(work, job, folder).result()
            with path.open("a") as file:
                file.write(json.dumps(run) + "\n")
            print(
                f"{job.title}: {run['steps']} steps in {run['seconds']:.0f} s, "
                f"IoU {run['mean_iou']:.3f}, peak {run['peak_gib']:.2f} GiB",
                flush=True,
            )
        yield run


def runs_of(path: Path) -> list[Run]:
    """All runs of a file; none if there is no file yet."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines]


def at_pace(job: Job, known: Sequence[Run]) -> Job:
    """The job with its minutes in steps.

    The pace is the median of the runs by the clock of the same arm on as many threads: of those
    of the same scene and seed, else of the same scene, else of all. Crops, and with them what a
    step takes, depend on the scene and on how the seed splits it.

    Raises:
        ValueError: there is no such run.
    """
    same = (job.arm, job.threads, None)
    clocked = [r for r in known if (r["arm"], r["threads"], r.get("budget_steps")) == same]
    here = [run for run in clocked if run["scene"] == job.scene]
    alike = [run for run in here if run["seed"] == job.seed] or here or clocked
    if not alike:
        raise ValueError(
            f"no run of {job.arm} by the clock tells its pace: run one without --at-pace"
        )
    pace = statistics.median(run["steps"] / run["seconds"] for run in alike)
    return replace(job, budget_steps=round(60 * job.minutes * pace))


def begin(job: Job) -> Compute:
    """Set the threads and choose where and how exactly to compute: the same for all arms."""
    torch.set_num_threads(job.threads if job.budget_steps is None else 1)
    return choose_compute("auto", job.precision or "auto")


def survey(job: Job, folder: Path) -> tuple[Ground, Inputs, TrainOptions]:
    """The part to train on, the part to judge, and options as `geocobot train` fills them in."""
    start: StartName = "pretrained" if ARMS[job.arm].pretrained else "random"
    return survey_place(find_place(job.scene), start, job, folder)


def survey_place(
    place: Place, start: StartName, job: Job, folder: Path
) -> tuple[Ground, Inputs, TrainOptions]:
    """The same of a place that need not be among the named ones, for an arm of that start."""
    ground = survey_ground(
        open_part(place, place.train, folder / "parts"), job.seed, SilentProgress()
    )
    options = TrainOptions(
        raster=(ground.scenes[0].path,),
        labels=(place.labels,),
        max_minutes=job.minutes,
        seed=job.seed,
        start=start,
        patch_size=place.patch_px,
        crop_size=None if place.patch_px is None else CPU_CROP_PX[start],
    )
    options = fill_in(options, begin(job).device, ground.surveys)
    return ground, open_part(place, place.judged, folder / "parts"), options


def split(ground: Ground, options: TrainOptions) -> tuple[Split, ...]:
    """Training regions and validation blocks as `geocobot train` chooses them."""
    assert options.patch_size is not None
    return split_scenes(ground.surveys, options.patch_size, options.seed)


def train(
    job: Job,
    ground: Ground,
    splits: Sequence[Split],
    options: TrainOptions,
    *,
    validated: bool,
    arm: Arm | None = None,
    steps_per_epoch: int | None = None,
    log: Path | None = None,
) -> Trained:
    """Build an arm and train it.

    The statistics of batch normalization, where an arm has it, are taken anew for the averaged
    weights: those gathered in training belong to the weights of single steps. Thresholds are
    tuned after that.

    Args:
        job: what to train.
        ground: what to learn from.
        splits: its training regions and validation blocks.
        options: filled in.
        validated: whether the blocks decide which epoch is kept and which thresholds are taken;
            else the last epoch is, with thresholds of 0.5.
        arm: what to build; None for the job's among `ARMS`.
        steps_per_epoch: None for about as many as show the training area once.
        log: where to keep what every step and epoch logs, the health of adapters included.
    """
    assert options.batch_size is not None
    compute = begin(job)
    arm = arm or ARMS[job.arm]
    classes = ground.labels.classes
    segmenter = arm.build(len(classes), job.seed, job.checkpoint)
    datamodule = SceneDataModule(
        ground.scenes,
        ground.ranges,
        ground.rasters,
        splits,
        ground.surveys,
        batch_size=options.batch_size,
        seed=job.seed,
        crop_px=options.crop_size,
        steps_per_epoch=steps_per_epoch,
    )
    settings = FitSettings(
        n_classes=len(classes),
        epochs=_most_epochs(job, datamodule),
        max_minutes=None if job.budget_steps is not None else job.minutes,
        groups=_groups(job, segmenter),
        seed=job.seed,
        compute=compute,
        log_health=log is not None,
    )
    with tempfile.TemporaryDirectory() as run:
        fitted = fit(segmenter, datamodule, settings, Path(run))
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(fitted.log, log)
        if not validated:
            last = torch.load(checkpoint_path(Path(run)), weights_only=True)
            segmenter.load_state_dict(last["average"], strict=False)
    _take_statistics(segmenter, datamodule, compute)
    iou, validation = None, None
    if validated:
        validation = _score_blocks(segmenter, datamodule, compute, len(classes))
        tuning = validation.tune()
        classes = tuple(
            replace(spec, threshold=threshold)
            for spec, threshold in zip(classes, tuning.thresholds, strict=True)
        )
        iou = tuning.mean_iou
    views = datamodule.views_per_epoch * fitted.steps / datamodule.steps_per_epoch
    return Trained(segmenter, fitted, classes, iou, validation, views, datamodule.crop_px)


def score_part(trained: Trained, ground: Ground, part: Inputs, compute: Compute) -> Scored:
    """Scores of a part, tiled and blended as `geocobot predict` does."""
    pixel_m = ground.scenes[0].grid.ground_pixel_m
    scene = open_scene_for(part.scenes[0].path, ground.ranges, pixel_m)
    dataset = SceneDataset(scene, ground.ranges)
    side_px = trained.tile_px
    plan = plan_tiles(dataset, size_px=side_px, overlap_px=round(OVERLAP * side_px))
    loader = load_tiles(dataset, plan, batch_size=4)
    tiles = predict_tiles(trained.segmenter, loader, compute, n_classes=len(trained.classes))
    strips = list(blend(tiles, plan))
    return Scored(
        np.concatenate([s.scores for s in strips], axis=1),
        np.concatenate([s.valid for s in strips]),
    )


def keep_scores(trained: Trained, scored: Scored, part: Inputs, path: Path) -> None:
    """Write down what other thresholds can be tried on, see benchmarks/thresholds.py."""
    assert trained.validation is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        validation=trained.validation.counts.numpy(),
        scores=scored.scores.astype(np.float16),
        valid=scored.valid,
        truth=_truth(part),
    )


def judge(
    trained: Trained,
    scored: Scored,
    ground: Ground,
    part: Inputs,
    picture: Path | None,
) -> PixelScores:
    """Judge the map of a part where its truth is known; draw image, truth and map if asked."""
    scene, truth = part.scenes[0], _truth(part)
    found = classify(scored.scores, scored.valid, trained.classes)
    seen = scene.read(scene.grid.window)
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        image = normalize(seen.image, seen.valid, ground.ranges)
        draw_rows([Row(image, truth, found)], trained.classes, picture)
    confusion = Confusion(trained.classes)
    confusion.add(truth, found, seen.valid)
    return confusion.scores()


def figures(trained: Trained, scores: PixelScores, compute: Compute) -> Run:
    """What a line of the runs says beside what was asked.

    "everywhere_iou" is the mean IoU of maps that have a class everywhere: who is no better has
    learned nothing.
    """
    return {
        "iou": {c.name: c.iou for c in scores.classes},
        "mean_iou": scores.mean_iou,
        "everywhere_iou": statistics.mean(c.truth_px / scores.judged_px for c in scores.classes),
        "validation_iou": trained.validation_iou,
        "thresholds": [c.threshold for c in trained.classes],
        "commit": running_commit(),
        "tile_px": trained.tile_px,
        "steps": trained.fitted.steps,
        "views": trained.views,
        "seconds": trained.fitted.seconds,
        "epochs": trained.fitted.epochs,
        "kept_epoch": trained.fitted.kept_epoch,
        "stopped_by": trained.fitted.stopped_by,
        "trained_parameters": sum(
            p.numel() for p in trained.segmenter.parameters() if p.requires_grad
        ),
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "machine": f"{_processor()}, {compute.device.type}, {compute.precision}",
    }


def _truth(part: Inputs) -> npt.NDArray[np.uint8]:
    """Class numbers (H, W) of a part as its labels have them."""
    return part.rasters[0].read(part.scenes[0].grid.window).classes


def _most_epochs(job: Job, datamodule: SceneDataModule) -> int | None:
    """The end of a run, as `geocobot train` has it; None where only the clock ends it."""
    ends = []
    if job.max_views:
        ends.append(job.max_views / datamodule.views_per_epoch)
    if job.budget_steps is not None:
        ends.append(job.budget_steps / datamodule.steps_per_epoch)
    return max(1, round(min(ends))) if ends else None


def _groups(job: Job, segmenter: Segmenter) -> GroupSettings:
    """Learning rates: geocobot's own for its segmenters, one for all of a U-Net."""
    if job.arm != UNET:
        return default_groups(segmenter, job.rate)
    assert job.rate is not None
    return GroupSettings(learning_rate=job.rate)


def _take_statistics(segmenter: Segmenter, datamodule: SceneDataModule, compute: Compute) -> None:
    """Take the statistics of batch normalization anew, on training patches."""
    datamodule.train_sampler.set_epoch(0)
    loader = datamodule.train_dataloader()
    segmenter.to(compute.device)
    with compute.autocast():
        batches = islice(loader, _STATISTICS_BATCHES)
        images = (as_shown(batch, datamodule, compute.device)["image"] for batch in batches)
        update_bn(images, segmenter, device=compute.device)


def _score_blocks(
    segmenter: Segmenter, datamodule: SceneDataModule, compute: Compute, n_classes: int
) -> ScoreHistograms:
    """Scores of the validation blocks, as training counts them after every epoch."""
    histograms = ScoreHistograms(n_classes)
    segmenter.to(compute.device).eval()
    for batch in datamodule.val_dataloader():
        with torch.inference_mode(), compute.autocast():
            logits = segmenter(batch["image"].to(compute.device))
        histograms.add(logits.cpu(), batch["label"], batch["valid"])
    return histograms


def _processor() -> str:
    """The CPU's name, where the system tells."""
    lines = (
        Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    )
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
