"""Every option once: name, type, default and help, for Python, YAML and the command line alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

BaseName: TypeAlias = Literal["auto", "tiny", "vit_b", "vit_l", "vit_h"]
AdapterName: TypeAlias = Literal["lora", "adaptformer", "none"]
DeviceName: TypeAlias = Literal["auto", "cpu", "cuda"]

DEFAULT_LINE_WIDTH_M = 8.0
DEFAULT_RANKS: Mapping[str, int] = {"lora": 4, "adaptformer": 16, "none": 4}
DEFAULT_CPU_MINUTES = 10.0
DEFAULT_EPOCHS = 60
MAX_VIEWS = 600
"""How often a network that starts at random sees its training area before it knows it by heart."""

MAX_SEED = 2**32
MAX_PATCH_PX: Mapping[str, int] = {"cuda": 1024, "cpu": 512}

BATCH_SIZES: Mapping[str, int] = {"cuda": 4, "cpu": 8}

# Ten minutes on two cores are some 1,200 steps of eight crops of this side, but only a few hundred
# of four patches of 512 px: not enough to learn anything from a random start.
CPU_CROP_PX = 128


def option(
    help: str,  # noqa: A002
    default: Any = MISSING,
    *,
    flag: str = "",
    short: str = "",
    group: str = "",
    least: float | None = None,
    most: float | None = None,
    step: int | None = None,
) -> Any:
    """Declare one option of a dataclass.

    Args:
        help: one sentence for `--help`, with the unit.
        default: what holds when nobody says anything; without it the option is required.
        flag: the long flag, where it is not the name with dashes; "--cobot/--no-cobot" for both.
        short: a one-letter flag such as "-o".
        group: the heading it stands under in `--help`.
        least: smallest number that makes sense.
        most: largest number that makes sense.
        step: whole number that it has to be a multiple of.
    """
    metadata = {
        "help": help,
        "flag": flag,
        "short": short,
        "group": group,
        "least": least,
        "most": most,
        "step": step,
    }
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What `geocobot train` needs to know."""

    COMMAND: ClassVar[str] = "train"

    raster: tuple[str, ...] = option("Scene to learn from (GeoTIFF or anything GDAL reads).")
    labels: tuple[str, ...] = option(
        "What to look for there: lines or polygons in any vector format and CRS."
    )
    out: str | None = option(
        "Folder of the run; default runs/ and the name of the labels.", None, short="-o"
    )
    overwrite: bool = option("Replace an existing run.", False, short="-f")
    resume: bool = option("Continue an interrupted run in the same folder.", False)

    labels_layer: str | None = option(
        "Layer of the label file, where it has several.", None, group="Labels"
    )
    labels_crs: str | None = option(
        "CRS of labels that declare none or a wrong one.", None, group="Labels"
    )
    line_width: float | None = option(
        f"Full width of labeled lines on the ground, in metres; default {DEFAULT_LINE_WIDTH_M:g}.",
        None,
        group="Labels",
        least=1e-9,
        most=10_000,
    )
    class_field: str | None = option(
        "Attribute whose values become the classes.", None, group="Labels"
    )
    bands: tuple[int, ...] | None = option(
        "Three bands for red, green and blue, such as 3,2,1; default the first three.",
        None,
        group="Raster",
    )
    nodata: float | None = option(
        "Value without data, where the raster declares none.", None, group="Raster"
    )

    base: BaseName = option(
        "Pretrained backbone; auto is vit_b with CUDA and tiny without.", "auto", group="Model"
    )
    checkpoint: str | None = option("File with the base's official weights.", None, group="Model")
    adapter: AdapterName = option("How the backbone is adapted.", "lora", group="Model")
    cobot: bool = option(
        "Let the adapters of all blocks talk to each other.",
        True,
        flag="--cobot/--no-cobot",
        group="Model",
    )
    rank: int | None = option(
        "Width of the adapters, a multiple of 4; default 4 for lora, 16 for adaptformer.",
        None,
        group="Model",
        least=1,
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
        f"on a CPU {CPU_CROP_PX} if there is room.",
        None,
        group="Training",
        least=1,
        step=64,
    )
    batch_size: int | None = option(
        f"Patches per step; default {BATCH_SIZES['cuda']} on a GPU, {BATCH_SIZES['cpu']} on a CPU.",
        None,
        group="Training",
        least=1,
    )
    epochs: int | None = option(
        f"Epochs at most; default {DEFAULT_EPOCHS}, or as many as fit into --max-minutes; from a "
        f"random start no more than show the training area {MAX_VIEWS} times.",
        None,
        group="Training",
        least=1,
    )
    max_minutes: float | None = option(
        f"Stop training after so many minutes; default {DEFAULT_CPU_MINUTES:g} on a CPU, "
        f"none on a GPU.",
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
    patience: int | None = option(
        "Stop after so many epochs without a better validation IoU; default never.",
        None,
        group="Training",
        least=1,
    )
    workers: int = option(
        "Processes that cut patches; 0 cuts them in the trainer.", 0, group="Machine", least=0
    )
    seed: int = option("Seed of everything random.", 0, group="Training", least=0, most=MAX_SEED)
    device: DeviceName = option("Where to compute.", "auto", group="Machine")


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """What `geocobot predict` needs to know."""

    COMMAND: ClassVar[str] = "predict"

    raster: tuple[str, ...] = option("Scene to map; may be given several times.")
    model: str = option("Model file of a training run.")
    out: str | None = option(
        "Vector file to write; the ending chooses the format (.gpkg, .fgb, .parquet, .geojson); "
        "default <scene>_pred.gpkg.",
        None,
        short="-o",
    )
    overwrite: bool = option("Replace existing output.", False, short="-f")
    save_scores: bool = option("Also write the scores as <out>_scores.tif.", False)
    save_classes: bool = option("Also write the classes as <out>_classes.tif.", False)

    checkpoint: str | None = option("File with the base's official weights.", None, group="Model")
    bands: tuple[int, ...] | None = option(
        "Bands to use, where this scene orders them otherwise than the training scene.",
        None,
        group="Raster",
    )
    nodata: float | None = option(
        "Value without data, where the raster declares none.", None, group="Raster"
    )
    overlap: float = option(
        "Share of a tile that overlaps its neighbor, 0 to 0.5.",
        0.25,
        group="Prediction",
        least=0,
        most=0.5,
    )
    threshold: float | None = option(
        "Score from which on a pixel counts, 0 to 1; default tuned in training.",
        None,
        group="Prediction",
        least=0,
        most=1,
    )
    min_area: float = option(
        "Drop polygons smaller than this, in square metres.", 10.0, group="Polygons", least=0
    )
    simplify: float = option(
        "Smooth outlines by about so many metres; 0 keeps every pixel.",
        0.5,
        group="Polygons",
        least=0,
    )
    close_holes: float = option(
        "Fill holes smaller than this, in square metres; 0 keeps all.",
        0.0,
        group="Polygons",
        least=0,
    )

    batch_size: int = option("Tiles per forward pass.", 4, group="Machine", least=1)
    workers: int = option(
        "Processes that read tiles; 0 reads them in the predictor.", 0, group="Machine", least=0
    )
    device: DeviceName = option("Where to compute.", "auto", group="Machine")


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What `geocobot demo` needs to know."""

    COMMAND: ClassVar[str] = "demo"

    out: str = option("Folder for the scene, the labels and the results.", "demo", short="-o")
    overwrite: bool = option("Replace an existing demo.", False, short="-f")
    max_minutes: float = option("Stop training after so many minutes.", 3.0, least=1e-9)
    seed: int = option(
        "Seed of the made-up place and of the training.",
        0,
        group="Machine",
        least=0,
        most=MAX_SEED,
    )
    device: DeviceName = option("Where to compute.", "auto", group="Machine")
