"""From a made-up world, and scenes without labels, to the weights that a base starts from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geocobot.classes import ClassSpec
from geocobot.config import PretrainOptions
from geocobot.errors import ConfigError
from geocobot.evaluation.pixels import Confusion
from geocobot.io.scene import Scene
from geocobot.io.unfinished import write_text
from geocobot.models.base_file import write_base
from geocobot.models.bases import BaseSpec, find_base
from geocobot.models.checkpoint import Checkpoint, load_checkpoint
from geocobot.models.precision import Compute
from geocobot.models.provenance import Provenance, read_provenance
from geocobot.models.weights import fetch_weights
from geocobot.progress import Progress, SilentProgress
from geocobot.settings import check_limits
from geocobot.synthetic.world.canvas import Cover
from geocobot.synthetic.world.world import draw_world
from geocobot.training.pretrain.fit import Pretrained, PretrainSettings, pretrain_parts
from geocobot.training.pretrain.model import PretrainedParts
from geocobot.training.pretrain.module import PretrainObjectives
from geocobot.workflows.commit import running_commit
from geocobot.workflows.device import choose_compute, device_name
from geocobot.workflows.picture import Row, draw_rows
from geocobot.workflows.run_folder import CONFIG_NAME, RunFolder
from geocobot.workflows.unlabelled import name_source, open_unlabelled, read_bank

METRICS_NAME = "metrics.json"
PICTURE_NAME = "worlds.png"

_FRESH_BATCHES, _FRESH_WORLDS = 8, 16
_SHOWN = 12
_WORLD_NAME = "geocobot's made-up world"
_ABOUT_THE_RUN = {"out", "overwrite", "resume", "raster", "checkpoint"}
# Seeds of training are far below: nothing that is judged was ever trained on.
_FRESH_SEED = 2**62
_COLORS = {
    Cover.GRASS: "#9bc27c",
    Cover.CROP: "#e6dc78",
    Cover.SOIL: "#a9794f",
    Cover.TREE: "#1f6e28",
    Cover.WATER: "#3c78dc",
    Cover.ROAD: "#4a4a4a",
    Cover.PAVED: "#b4b4b4",
    Cover.BUILDING: "#dc3228",
    Cover.CAR: "#d63ad6",
}
_COVERS = tuple(
    ClassSpec(number=c + 1, name=c.name.lower(), color=_COLORS[c], threshold=0.5) for c in Cover
)


@dataclass(frozen=True)
class PretrainResult:
    """What a pretraining left behind.

    Attributes:
        folder: of the run.
        base: that the weights are for.
        weights: the base file, for `geocobot train --checkpoint`.
        config: the resolved options.
        metrics: errors at the end and scores on worlds never trained on, as JSON.
        picture: some of these worlds, what is there, and what the dense head sees.
        cover_iou: IoU on these worlds by kind of ground, each against all others.
        steps: optimizer steps.
        seconds: wall time, interrupted parts included.
    """

    folder: Path
    base: str
    weights: Path
    config: Path
    metrics: Path
    picture: Path
    cover_iou: dict[str, float]
    steps: int
    seconds: float

    def summary(self) -> str:
        """What was written, where, how good it is and how long it took."""
        rows = [f"  {name}: IoU {iou:.3f}" for name, iou in self.cover_iou.items()]
        return "\n".join(
            [
                f"Pretrained in {self.seconds / 60:.1f} minutes, {self.steps:,} steps.",
                "On worlds never trained on:",
                *rows,
                f"Weights: {self.weights}",
                f"Picture: {self.picture}",
                f"Next:    geocobot train --base {self.base} --checkpoint {self.weights} ...",
            ]
        )


def pretrain(options: PretrainOptions, progress: Progress | None = None) -> PretrainResult:
    """Pretrain a base and write the run's folder.

    Args:
        options: what to learn from, and how.
        progress: shows how far it is.

    Raises:
        GeocobotError: scenes, options or output cannot be used; nothing is left half-written. An
            interrupted run stays in `<out>.partial` for `resume`.
    """
    progress = progress or SilentProgress()
    check_limits(options)
    _refuse_nothing(options)
    compute = choose_compute(options.device, options.precision)
    options = replace(options, precision=compute.precision)
    if options.checkpoint is not None:
        options = replace(options, start="pretrained")
    run = RunFolder.claim(
        options.out, options.raster or (), resume=options.resume, overwrite=options.overwrite
    )
    spec = find_base(options.base)
    begun_from = _begun_from(options, spec, progress)
    scenes = open_unlabelled(options)
    bank, fingerprint = read_bank(scenes, options.seed, progress)
    with run.begun(options, fingerprint + begun_from.sha256), run.kept():
        settings = _settings(options, compute, resume=run.resumed)
        done = pretrain_parts(
            spec, bank, settings, run.partial, progress, weights=begun_from.weights
        )
        cover_iou = _judge(done.parts, options.crop_size[0], compute, run.partial / PICTURE_NAME)
        provenance = Provenance(
            base=spec.name,
            recipe=_recipe(options),
            commit=running_commit(),
            seed=options.seed,
            steps=done.steps,
            data=_sources(options, scenes),
            hours=round(done.seconds / 3600, 3),
            device=device_name(compute.device),
            after=begun_from.provenance,
        )
        weights = f"{spec.name}.safetensors"
        _write_weights(run.partial / weights, done, options, provenance)
        content = {"cover_iou": cover_iou, "errors": done.errors, "steps": done.steps}
        metrics = run.partial / METRICS_NAME
        write_text(metrics, json.dumps(content, indent=2), metrics)
        run.finish(options)
    return PretrainResult(
        folder=run.target,
        base=spec.name,
        weights=run.target / weights,
        config=run.target / CONFIG_NAME,
        metrics=run.target / METRICS_NAME,
        picture=run.target / PICTURE_NAME,
        cover_iou=cover_iou,
        steps=done.steps,
        seconds=done.seconds,
    )


@dataclass(frozen=True)
class _BegunFrom:
    """What a pretraining goes on from, if anything.

    Attributes:
        weights: None for a random start.
        provenance: of these weights.
    """

    weights: Checkpoint | None = None
    provenance: Provenance | None = None

    @property
    def sha256(self) -> str:
        """Checksum of the weights, empty without any."""
        return "" if self.weights is None else self.weights.sha256


def _begun_from(options: PretrainOptions, spec: BaseSpec, progress: Progress) -> _BegunFrom:
    """Read the weights to go on from."""
    if options.start == "random":
        return _BegunFrom()
    path = Path(options.checkpoint) if options.checkpoint else fetch_weights(spec, progress)
    return _BegunFrom(load_checkpoint(spec, path, progress), read_provenance(path))


def _refuse_nothing(options: PretrainOptions) -> None:
    """Refuse a run with nothing to learn from, or without a size of it."""
    if not options.crop_size:
        raise ConfigError(
            "--crop-size",
            "is an empty list",
            "A step needs the side of its pictures",
            "Name one side or several, such as 256,128, or leave it out",
        )
    if options.worlds or (options.raster and options.images):
        return
    raise ConfigError(
        "--worlds 0",
        "leaves nothing to learn from",
        "A step needs made-up pictures, or crops of scenes",
        "Leave it out, or name scenes with --raster and crops with --images",
    )


def _sources(options: PretrainOptions, scenes: Sequence[Scene]) -> tuple[str, ...]:
    """Names of all that was learned from, for the record."""
    world = [_WORLD_NAME] if options.worlds else []
    return (*world, *(sorted({name_source(s) for s in scenes}) if options.images else ()))


def _settings(options: PretrainOptions, compute: Compute, *, resume: bool) -> PretrainSettings:
    """The options that the training needs."""
    objectives = PretrainObjectives(
        worlds=options.worlds,
        images=options.images if options.raster else 0,
        sides_px=options.crop_size,
        boxes=options.boxes,
        boxes_weight=options.boxes_weight,
        pixels_weight=options.pixels_weight,
        agreement_weight=options.agreement_weight,
        hidden_share=options.hidden_share,
        hidden_px=options.hidden_size,
    )
    return PretrainSettings(
        steps=options.steps,
        objectives=objectives,
        learning_rate=options.learning_rate,
        encoder_rate=options.encoder_rate,
        weight_decay=options.weight_decay,
        checkpoint_every=options.checkpoint_steps,
        budget_s=None if options.max_minutes is None else 60 * options.max_minutes,
        seed=options.seed,
        compute=compute,
        resume=resume,
    )


def _recipe(options: PretrainOptions) -> dict[str, Any]:
    """What somebody else needs to do the same, as JSON knows it."""
    recipe = {n: v for n, v in asdict(options).items() if n not in _ABOUT_THE_RUN}
    content: dict[str, Any] = json.loads(json.dumps(recipe))
    return content


def _write_weights(
    path: Path, done: Pretrained, options: PretrainOptions, provenance: Provenance
) -> None:
    """Write the base file."""
    write_base(
        path,
        done.parts.spec,
        done.parts.encoder,
        dense_head=done.parts.dense,
        mask_head=done.parts.decoder if options.worlds and options.boxes else None,
        provenance=provenance,
    )


def _judge(
    parts: PretrainedParts, side_px: int, compute: Compute, picture: Path
) -> dict[str, float]:
    """Map worlds that were never trained on, draw some, and return the IoU of every cover."""
    generator = torch.Generator().manual_seed(_FRESH_SEED)
    confusion = Confusion(_COVERS)
    rows: list[Row] = []
    parts.to(compute.device)
    for _ in range(_FRESH_BATCHES):
        world = draw_world(generator, _FRESH_WORLDS, side_px, compute.device)
        with torch.no_grad(), compute.autocast():
            planes, _ = parts(world.image)
        truth = (world.cover + 1).to(torch.uint8).cpu().numpy()
        predicted = (planes.cover.argmax(1) + 1).to(torch.uint8).cpu().numpy()
        confusion.add(truth, predicted, np.ones_like(truth, bool))
        shown = world.image.clamp(0, 1).cpu().numpy()
        rows += [Row(*views) for views in zip(shown, truth, predicted, strict=True)]
    parts.cpu()
    draw_rows(rows[:_SHOWN], _COVERS, picture)
    return {score.name: score.iou or 0.0 for score in confusion.scores().classes}
