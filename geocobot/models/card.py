"""The model card: everything a model file says about itself, readable without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from geocobot._version import __version__
from geocobot.bands import BandRange
from geocobot.classes import ClassSpec
from geocobot.errors import ModelFileError
from geocobot.models.architecture import SegmenterConfig
from geocobot.models.bases import BASES
from geocobot.models.cards import FileKind, read_as
from geocobot.scaling import Scaling

FORMAT_VERSION = 2
"""Version of the model file's layout that this geocobot writes, and the newest it reads.

Before 2 there was no scaling: what reads 1 alone would put thresholds to scores they are not for.
"""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a model is, what it was trained on and what it expects.

    Attributes:
        segmenter: base, adapters and head.
        classes: one per plane of logits, in that order, thresholds included.
        ranges: the input bands in order, with the values that become 0 and 1; one data type after
            the other.
        ground_pixel_m: width and height of a training pixel on the ground.
        resampled: whether scenes are read in pixels of that size, whatever their own are.
        scaling: what makes probabilities of the logits of each class, in the order of `classes`,
            whose thresholds are of scores after it; none for a model that is not calibrated.
        patch_px: side of what a training step saw, and of the tiles to map with.
        metrics: results on validation data by name, such as {"iou": 0.71}.
        data_fingerprint: checksum of scenes and labels it was trained on.
        geocobot_version: of the geocobot that wrote it.
        format_version: of the file's layout.
    """

    segmenter: SegmenterConfig
    classes: tuple[ClassSpec, ...]
    ranges: tuple[BandRange, ...]
    ground_pixel_m: tuple[float, float]
    patch_px: int
    resampled: bool = False
    scaling: tuple[Scaling, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    data_fingerprint: str = ""
    geocobot_version: str = __version__
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        """Refuse a scaling of other classes."""
        if len(self.scaling) not in (0, len(self.classes)):
            raise ValueError(
                f"scaling of {len(self.scaling)} classes beside {len(self.classes)} classes"
            )

    def to_json(self) -> str:
        """One line of JSON, the same for the same card."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)


_MODEL_FILE = FileKind(
    name="a model file",
    error=ModelFileError,
    needed="geocobot needs the model.safetensors of a training run",
    origin="train one with geocobot train",
    others={"recipe": "holds the pretrained weights of a base"},
    format_version=FORMAT_VERSION,
)


def read_card(path: str | Path) -> ModelCard:
    """Read the card of a model file, and nothing else of it.

    Raises:
        MissingFileError: there is no such file.
        ModelFileError: it is no model file, truncated, of a newer geocobot, or of a base that is
            not known.
    """
    path = Path(path)
    card = read_as(path, _MODEL_FILE, ModelCard)
    if card.segmenter.base not in BASES:
        raise ModelFileError(
            path,
            f"was trained on the base {card.segmenter.base}",
            f"This geocobot {__version__} knows {', '.join(BASES)}",
            f"Install geocobot {card.geocobot_version}, which wrote it",
        )
    return card
