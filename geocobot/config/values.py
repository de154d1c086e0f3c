"""Names that options choose from, and the numbers that hold where nobody says anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

KnownBase: TypeAlias = Literal["tiny", "vit_b", "vit_l", "vit_h"]
BaseName: TypeAlias = Literal["auto", KnownBase]
StartName: TypeAlias = Literal["pretrained", "random"]
AdapterName: TypeAlias = Literal["lora", "dora", "adaptformer", "none", "full"]
AdapterInit: TypeAlias = Literal["orthogonal", "published"]
AdapterTarget: TypeAlias = Literal["q", "k", "v", "proj", "mlp"]
RelationName: TypeAlias = Literal["learned", "identity", "random"]
MixingName: TypeAlias = Literal["quaternion", "linear", "none"]
DtypeName: TypeAlias = Literal["float32", "bfloat16"]
PrecisionName: TypeAlias = Literal["auto", DtypeName]
PromptName: TypeAlias = Literal["none", "boxes"]
HeadKind: TypeAlias = Literal["mask-decoder", "dense"]
HeadName: TypeAlias = Literal["auto", HeadKind]
LossName: TypeAlias = Literal["bce-dice", "focal-dice", "lovasz", "cldice"]
SamplingName: TypeAlias = Literal["area", "classes", "hard"]
StretchName: TypeAlias = Literal["percentiles", "deviations"]
ClassWeights: TypeAlias = Literal["none", "balanced"]
DeviceName: TypeAlias = Literal["auto", "cpu", "cuda"]
EngineName: TypeAlias = Literal["local", "ray"]
LoggerName: TypeAlias = Literal["csv", "tensorboard", "wandb", "mlflow"]
TtaName: TypeAlias = Literal["none", "flips", "dihedral"]
ScoresDtype: TypeAlias = Literal["uint8", "float32"]

DEFAULT_LINE_WIDTH_M = 8.0
MAX_WIDTH_M = 10_000.0
"""Of a line or the radius of a point: more is a unit mistaken."""

MAX_BOUNDARY_PX = 32
DEFAULT_PROJECTION_RATE = 2e-2
DEFAULT_WEIGHT_DECAY = 0.05

# The published widths. A LoRA site adds its delta as it is (COBOT's formula); AdaptFormer's authors
# scale by 0.1 and drop 10 % (Chen et al. 2022, section 4.1).
DEFAULT_RANKS: Mapping[str, int] = dict.fromkeys(get_args(AdapterName), 4) | {"adaptformer": 16}
DEFAULT_ALPHAS: Mapping[str, float] = dict.fromkeys(get_args(AdapterName), 1.0) | {
    "adaptformer": 0.1
}
DEFAULT_DROPOUTS: Mapping[str, float] = dict.fromkeys(get_args(AdapterName), 0.0) | {
    "adaptformer": 0.1
}
DEFAULT_CPU_MINUTES = 10.0
# Longer training made the pretrained `tiny` worse on another part of one scene of two, and hardly
# better on that of the other (benchmarks/README.md).
PRETRAINED_TINY_MINUTES = 2.0
DEFAULT_EPOCHS = 60
DEFAULT_TILES = 4
"""Tiles per forward pass where nothing is measured: more does not make a CPU faster."""

SAMPLE_PATCHES, MAX_SAMPLE_PATCHES = 3, 12

MAX_VIEWS = 600
"""How often a network sees its training area at most, before it knows it by heart."""

BOX_JITTER_PX, BOX_JITTER_SIDE_PX = 50.0, 1024
"""How far a side of a box moves in a patch of that side, as published."""

POOL_EPOCHS = 8
"""After so many epochs patches come again where the features of a frozen encoder are kept."""

FEATURE_CACHE_GB: Mapping[str, float] = {"cuda": 0.0, "cpu": 4.0}
"""Nothing on a GPU unless asked: to name a patch of 1024 px takes a CPU 9 ms, and what a GPU needs
to encode it has not been measured."""

MAX_SEED = 2**32
MAX_PATCH_PX: Mapping[str, int] = {"cuda": 1024, "cpu": 512}

BATCH_SIZES: Mapping[str, int] = {"cuda": 4, "cpu": 8}
WORKERS: Mapping[str, int] = {"cuda": 4, "cpu": 0}

# Ten minutes on two cores are some 1,200 steps of eight crops of 128 px, but only a few hundred of
# four patches of 512 px: not enough to learn anything from a random start. What is pretrained needs
# fewer steps and gains from what lies around (benchmarks/README.md).
CPU_CROP_PX: Mapping[StartName, int] = {"random": 128, "pretrained": 256}
