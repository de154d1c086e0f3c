"""Options of `geocobot train`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from geocobot.config.inputs import InputOptions
from geocobot.config.option import option
from geocobot.config.values import (
    BATCH_SIZES,
    BOX_JITTER_PX,
    BOX_JITTER_SIDE_PX,
    CPU_CROP_PX,
    DEFAULT_ALPHAS,
    DEFAULT_CPU_MINUTES,
    DEFAULT_DROPOUTS,
    DEFAULT_EPOCHS,
    DEFAULT_PROJECTION_RATE,
    DEFAULT_RANKS,
    DEFAULT_WEIGHT_DECAY,
    FEATURE_CACHE_GB,
    MAX_SAMPLE_PATCHES,
    MAX_SEED,
    MAX_VIEWS,
    POOL_EPOCHS,
    PRETRAINED_TINY_MINUTES,
    SAMPLE_PATCHES,
    WORKERS,
    AdapterInit,
    AdapterName,
    AdapterTarget,
    BaseName,
    ClassWeights,
    DeviceName,
    DtypeName,
    HeadName,
    LoggerName,
    LossName,
    MixingName,
    PrecisionName,
    PromptName,
    RelationName,
    SamplingName,
    StartName,
)


@dataclass(frozen=True, kw_only=True)
class TrainOptions(InputOptions):
    """What `geocobot train` needs to know."""

    COMMAND: ClassVar[str] = "train"

    out: str | None = option(
        "Folder of the run; default runs/ and the name of the labels.", None, short="-o"
    )
    overwrite: bool = option("Replace an existing run.", False, short="-f")
    resume: bool = option("Continue an interrupted run in the same folder.", False)
    report: bool = option(
        "Write a page (report.html) that says how good the model is, where not, and how it was "
        "made.",
        True,
        flag="--report/--no-report",
    )

    base: BaseName = option(
        "Pretrained backbone; auto is vit_b with CUDA and tiny without.", "auto", group="Model"
    )
    start: StartName = option(
        "Start the backbone from its pretrained weights, or at random; then all of it is trained.",
        "pretrained",
        group="Model",
    )
    checkpoint: str | None = option(
        "File with the backbone's pretrained weights; default its own: SAM's official ones, or "
        "those that come with geocobot.",
        None,
        group="Model",
    )
    prompt: PromptName = option(
        "What the model is asked with beside the image; boxes gives it one around every labeled "
        "object, as published, in training and in validation: good for comparisons, not for maps.",
        "none",
        group="Model",
    )
    model_dtype: DtypeName = option(
        "Precision of large matrices in the model file; bfloat16 halves its size.",
        "float32",
        group="Model",
    )
    head: HeadName = option(
        "What draws the map: SAM's mask decoder, or convolutions down to every pixel; auto is "
        "dense for tiny and random starts, and for the others, and with boxes, the mask decoder.",
        "auto",
        group="Model",
    )

    separate: bool = option(
        "Learn as well where one object ends and the next begins, so that maps keep objects apart "
        "that touch; labels are polygons or points.",
        False,
        group="Model",
    )

    adapter: AdapterName = option(
        "How the backbone is adapted; none freezes it, full trains all of it.",
        "lora",
        group="Adapter",
    )
    cobot: bool = option(
        "Let the adapters of all blocks talk to each other.",
        True,
        flag="--cobot/--no-cobot",
        group="Adapter",
    )
    rank: int | None = option(
        f"Width of the adapters, a multiple of 4; default {DEFAULT_RANKS['lora']}, "
        f"for adaptformer {DEFAULT_RANKS['adaptformer']}.",
        None,
        group="Adapter",
        least=1,
    )
    targets: tuple[AdapterTarget, ...] | None = option(
        "What lora and dora adapt in every block: some of q,k,v,proj,mlp; default q,v.",
        None,
        group="Adapter",
    )
    alpha: float | None = option(
        "Factor of what the adapters add, not divided by the rank; "
        f"default {DEFAULT_ALPHAS['lora']:g}, for adaptformer {DEFAULT_ALPHAS['adaptformer']:g}.",
        None,
        group="Adapter",
        least=1e-9,
    )
    dropout: float | None = option(
        "Share of bottleneck activations dropped in training; "
        f"default {DEFAULT_DROPOUTS['lora']:g}, "
        f"for adaptformer {DEFAULT_DROPOUTS['adaptformer']:g}.",
        None,
        group="Adapter",
        least=0,
        most=0.999,
    )
    adapter_init: AdapterInit = option(
        "Where adapters start: orthogonal at the frozen backbone, published as the authors do.",
        "orthogonal",
        group="Adapter",
    )
    relation: RelationName = option(
        "COBOT's relation matrix: learned, or frozen as a control.", "learned", group="Adapter"
    )
    mixing: MixingName = option(
        "COBOT's mixing matrix: quaternion as published, or a control.",
        "quaternion",
        group="Adapter",
    )
    log_adapter_health: bool = option(
        "Log condition numbers of COBOT's matrices and spikes of the loss.", False, group="Adapter"
    )

    patch_size: int | None = option(
        "Patch side in pixels, a multiple of 64; default chosen from scene and device.",
        None,
        group="Training",
        least=1,
        step=64,
    )
    crop_size: int | None = option(
        "Side of what a training step sees, in pixels, a multiple of 64; default the patch, "
        f"on a CPU {CPU_CROP_PX['pretrained']} if there is room, {CPU_CROP_PX['random']} where the "
        "backbone starts at random.",
        None,
        group="Training",
        least=1,
        step=64,
    )
    calibrate: bool = option(
        "Fit, on the validation blocks, what makes probabilities of scores, and keep it in the "
        "model file.",
        True,
        flag="--calibrate/--no-calibrate",
        group="Training",
    )
    batch_size: int | None = option(
        f"Patches per step, of all --devices together; default {BATCH_SIZES['cuda']} on a GPU, "
        f"{BATCH_SIZES['cpu']} on a CPU, or the next multiple of the devices.",
        None,
        group="Training",
        least=1,
    )
    epochs: int | None = option(
        f"Epochs at most; default {DEFAULT_EPOCHS}, or as many as fit into --max-minutes; "
        f"no more than show the training area {MAX_VIEWS} times.",
        None,
        group="Training",
        least=1,
    )
    max_minutes: float | None = option(
        f"Stop training after so many minutes; default {DEFAULT_CPU_MINUTES:g} on a CPU, "
        f"{PRETRAINED_TINY_MINUTES:g} for tiny with its pretrained weights; none on a GPU or with "
        "--epochs.",
        None,
        group="Training",
        least=1e-9,
    )
    learning_rate: float | None = option(
        "Peak learning rate; default depends on what is trained.",
        None,
        group="Training",
        least=1e-9,
    )
    head_rate: float | None = option(
        "Peak learning rate of the head, where it has its own.", None, group="Training", least=1e-9
    )
    adapter_rate: float | None = option(
        "Peak learning rate of the adapters, where they have their own.",
        None,
        group="Training",
        least=1e-9,
    )
    relation_rate: float | None = option(
        "Peak learning rate of COBOT's shared matrices and mixing; default that of the adapters.",
        None,
        group="Training",
        least=1e-9,
    )
    projection_rate: float | None = option(
        f"Peak learning rate of the projection of more than three bands; default "
        f"{DEFAULT_PROJECTION_RATE:g}.",
        None,
        group="Training",
        least=1e-9,
    )
    weight_decay: float = option(
        "Weight decay of the head and of a trained backbone.",
        DEFAULT_WEIGHT_DECAY,
        group="Training",
        least=0,
    )
    adapter_decay: float = option("Weight decay of the adapters.", 0.0, group="Training", least=0)
    relation_decay: float = option(
        "Weight decay of COBOT's shared matrices and mixing.", 0.0, group="Training", least=0
    )
    loss: LossName = option(
        "What training lowers; lovasz is for the IoU itself, cldice for unbroken lines.",
        "bce-dice",
        group="Training",
    )
    class_weights: ClassWeights = option(
        "Whether pixels of rare classes weigh more, by their share of the training area.",
        "none",
        group="Training",
    )
    sampling: SamplingName = option(
        "Where training patches lie: everywhere alike; around each class, background included, as "
        "often as around any other; or every second one where the epochs before erred most.",
        "area",
        group="Training",
    )
    patience: int | None = option(
        "Stop after so many epochs without a better validation IoU; default never.",
        None,
        group="Training",
        least=1,
    )
    box_jitter_px: float | None = option(
        f"Move each side of a box by up to so many pixels; default {BOX_JITTER_PX:g} for "
        f"{BOX_JITTER_SIDE_PX} px patches, in proportion for others.",
        None,
        group="Training",
        least=0,
    )
    pool_epochs: int | None = option(
        f"Show the patches of so many epochs again and again; default {POOL_EPOCHS} at most where "
        "--feature-cache-gb keeps what was computed of them, else new ones for ever.",
        None,
        group="Training",
        least=1,
    )
    feature_cache_gb: float | None = option(
        "Disk for the features of a frozen encoder (--adapter none), which then sees every patch "
        f"once; 0 keeps none; default {FEATURE_CACHE_GB['cpu']:g} on a CPU, "
        f"{FEATURE_CACHE_GB['cuda']:g} on a GPU.",
        None,
        group="Machine",
        least=0,
    )
    recompute: bool = option(
        "Activation checkpointing: forget what is inside the backbone's blocks and compute it "
        "again for the gradients; for vit_b 0.44 times the memory and 1.34 times the time.",
        False,
        flag="--recompute/--no-recompute",
        group="Machine",
    )
    workers: int | None = option(
        "Processes that cut patches for each of --devices; 0 cuts them in the trainer; default "
        f"{WORKERS['cpu']} on a CPU, {WORKERS['cuda']} on a GPU, if there are as many processors.",
        None,
        group="Machine",
        least=0,
    )
    logger: tuple[LoggerName, ...] = option(
        "Where the figures of training go, some of csv,tensorboard,wandb,mlflow; the CSV file is "
        "written in any case; wandb and mlflow are packages of their own.",
        ("tensorboard",),
        group="Watching",
    )
    sample_patches: int = option(
        "Draw so many validation patches after an epoch, as pictures in samples/ of the run's "
        "folder; 0 draws none.",
        SAMPLE_PATCHES,
        group="Watching",
        least=0,
        most=MAX_SAMPLE_PATCHES,
    )
    seed: int = option("Seed of everything random.", 0, group="Training", least=0, most=MAX_SEED)
    device: DeviceName = option("Where to compute.", "auto", group="Machine")
    devices: int = option(
        "GPUs, or processes on a CPU, of each node that train together (DDP) and share each batch.",
        1,
        group="Machine",
        least=1,
    )
    nodes: int = option(
        "Nodes that train together; above 1, torchrun or srun starts this command on them.",
        1,
        group="Machine",
        least=1,
    )
    precision: PrecisionName = option(
        "How exactly to compute; auto is bfloat16 where the processor has instructions for it, as "
        "GPUs and CPUs with AVX512-BF16 or AMX do, and float32 elsewhere.",
        "auto",
        group="Machine",
    )
