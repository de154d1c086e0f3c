"""The model card: everything a model file says about itself, readable without torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from geocobot._version import __version__
from geocobot.bands import BandRange
from geocobot.classes import ClassSpec
from geocobot.errors import GeocobotError, MissingFileError, ModelFileError
from geocobot.models.architecture import SegmenterConfig
from geocobot.models.bases import BASES

FORMAT_VERSION = 1
"""Version of the model file's layout that this geocobot writes, and the newest it reads."""

METADATA_KEY = "geocobot"
"""The one key of the file's metadata; several would be written in random order."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a model is, what it was trained on and what it expects.

    Attributes:
        segmenter: base, adapters and head.
        classes: one per plane of logits, in that order, thresholds included.
        ranges: the input bands in order, with the values that become 0 and 1.
        ground_pixel_m: width and height of a training pixel on the ground.
        patch_px: side of the training patches.
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
    metrics: Mapping[str, float] = field(default_factory=dict)
    data_fingerprint: str = ""
    geocobot_version: str = __version__
    format_version: int = FORMAT_VERSION

    def to_json(self) -> str:
        """One line of JSON, the same for the same card."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)


def read_card(path: str | Path) -> ModelCard:
    """Read the card of a model file, and nothing else of it.

    Raises:
        MissingFileError: there is no such file.
        ModelFileError: it is no model file, truncated, or of a newer geocobot.
    """
    path = Path(path)
    if not os.path.isfile(path):
        found, remedy = (
            ("is a folder", "Name the file in it")
            if os.path.isdir(path)
            else ("does not exist", "Check the path, or train one with geocobot train")
        )
        needed = "geocobot needs the model.safetensors of a training run"
        raise MissingFileError(path, found, needed, remedy)
    return _parse(path, _metadata(path).get(METADATA_KEY))


def _metadata(path: Path) -> Mapping[str, str]:
    """The safetensors metadata; opening checks that all tensors are there."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ModelFileError(
            path,
            f"cannot be read as a model file ({error})",
            "geocobot needs the whole model.safetensors of a training run",
            "Copy it again, or train again; the file may be truncated",
        ) from error


def _parse(path: Path, text: str | None) -> ModelCard:
    """Check the JSON and build the card."""
    from pydantic import TypeAdapter, ValidationError

    if text is None:
        raise _foreign(path, "holds tensors, but was not written by geocobot")
    try:
        content = json.loads(text)
        version = int(content["format_version"])
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path, repr(error)) from error
    if "recipe" in content:
        raise _foreign(path, "holds the pretrained weights of a base")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            path,
            f"was written by geocobot {content.get('geocobot_version')} in format {version}",
            f"This geocobot {__version__} reads formats up to {FORMAT_VERSION}",
            "Upgrade with: pip install --upgrade geocobot",
        )
    try:
        card = TypeAdapter(ModelCard).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _damaged(path, f"{where}: {first['msg']}") from error
    except GeocobotError as error:
        raise _damaged(path, str(error)) from error
    if card.segmenter.base not in BASES:
        raise ModelFileError(
            path,
            f"was trained on the base {card.segmenter.base}",
            f"This geocobot {__version__} knows {', '.join(BASES)}",
            f"Install geocobot {card.geocobot_version}, which wrote it",
        )
    return card


def _foreign(path: Path, found: str) -> ModelFileError:
    """The error for a file of another kind."""
    return ModelFileError(
        path,
        found,
        "geocobot needs the model.safetensors of a training run",
        "Pass that file, or train one with geocobot train",
    )


def _damaged(path: Path, reason: str) -> ModelFileError:
    """The error for metadata that make no sense."""
    return ModelFileError(
        path,
        f"has a model card that makes no sense ({reason})",
        "geocobot needs the card as training wrote it",
        "Copy the file again from the training run, or train again",
    )
